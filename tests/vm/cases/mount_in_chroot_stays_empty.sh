# SPDX-License-Identifier: MIT OR Apache-2.0
# Without /proc, /sys and a modprobe: what the kernel needs it finds from PID 1's
# root, not from the mounter's.

mkdir -p /tmp/chroot/bin /tmp/chroot/bpf
cp /bin/busybox /tmp/chroot/bin
chroot /tmp/chroot /bin/busybox mount -t bpf bpf /bpf
grep '^ *id name ' /tmp/chroot/bpf/maps.debug
grep '^ *id name ' /tmp/chroot/bpf/progs.debug
