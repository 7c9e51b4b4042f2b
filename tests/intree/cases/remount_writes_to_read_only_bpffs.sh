# SPDX-License-Identifier: MIT OR Apache-2.0
# What is read-only, or becomes so, stays as it is; as soon as it is writable
# again, its files are back.

remount() { mount -t bpf -o "remount,$1" bpf $bpffs; }
is_option() { grep " $bpffs bpf $1" /proc/mounts; }

patient
mount_bpffs
rm $bpffs/maps.debug
remount ro
is_option ro
test ! -e $bpffs/maps.debug
remount ro
/files/reconfigure $bpffs
is_option ro
test ! -e $bpffs/maps.debug
cat $bpffs/progs.debug
fails rm $bpffs/progs.debug
remount rw
is_option rw
cat $bpffs/maps.debug

rm $bpffs/maps.debug
/files/reconfigure $bpffs ro
test ! -e $bpffs/maps.debug
/files/reconfigure $bpffs rw
cat $bpffs/maps.debug
