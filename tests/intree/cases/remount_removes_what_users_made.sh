# SPDX-License-Identifier: MIT OR Apache-2.0
# Pins, directories, options and the mode stay as they are.

patient
mount_bpffs
mkdir $bpffs/dir
chmod 750 $bpffs
bpftool link pin id "$(bpftool link show | sed -n 's/^\([0-9]*\): iter .*target_name bpf_map .*/\1/p;q')" $bpffs/dir/pin ||
	bpftool link pin id "$(bpftool link show | sed -n 's/^\([0-9]*\): iter.*/\1/p' | head -n 1)" $bpffs/dir/pin
options=$(grep " $bpffs " /proc/mounts)
rm $bpffs/progs.debug
mount -t bpf -o remount bpf $bpffs
test -e $bpffs/progs.debug
test -e $bpffs/dir/pin
test "$(stat -c %a $bpffs)" = 750
test "$(grep " $bpffs " /proc/mounts)" = "$options"
