# SPDX-License-Identifier: MIT OR Apache-2.0
needs_module
mount_bpffs
cat $bpffs/*.debug
umount $bpffs
eventually 3 no_bpf_objects
rmmod $module
test ! -d /sys/module/$module
