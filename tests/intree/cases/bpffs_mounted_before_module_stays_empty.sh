# SPDX-License-Identifier: MIT OR Apache-2.0
# Mounted when there was no module yet, as in an initramfs without it: a remount
# makes up for it.

needs_module
ko=/lib/modules/$(uname -r)/$module.ko
mv "$ko" /tmp/later.ko
mount_bpffs
test -z "$(ls $bpffs)"
mount -t bpf -o remount bpf $bpffs
test -z "$(ls $bpffs)"
mv /tmp/later.ko "$ko"
# More than once only where the driver misses the deadline on a busy host.
filled() { mount -t bpf -o remount bpf $bpffs && [ -e $bpffs/links.debug ]; }
eventually 5 filled
rmmod $module
rm $bpffs/maps.debug
patient
mount -t bpf -o remount bpf $bpffs
test -e $bpffs/maps.debug
