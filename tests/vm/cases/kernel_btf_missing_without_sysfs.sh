# SPDX-License-Identifier: MIT OR Apache-2.0
# A driver that knows kernel BTF from nowhere but the shim, and no /sys, as in an
# initramfs before anything is mounted.

echo "exec /files/hostile" | use_driver
umount /sys
status=0
mount_bpffs /tmp/bpf2 || status=1
mount -t sysfs sysfs /sys
test $status = 0
test -e /tmp/bpf2/progs.debug
