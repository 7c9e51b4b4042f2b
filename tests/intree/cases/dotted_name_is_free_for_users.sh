# SPDX-License-Identifier: MIT OR Apache-2.0
# Names with a dot are the core's: also while a remount uses them, and also in a
# directory without a mode, which is how the core was known before.

mount_bpffs
fails mkdir $bpffs/some.dir
chmod 0 $bpffs
fails mkdir $bpffs/some.dir
chmod 1777 $bpffs
mkdir $bpffs/sub
fails mkdir $bpffs/sub/maps.debug

i=0
while [ $i -lt 500 ]; do
	mkdir $bpffs/some.dir
	i=$((i + 1))
done 2>/dev/null &
maker=$!
while kill -0 $maker 2>/dev/null; do
	rm $bpffs/maps.debug
	mount -t bpf -o remount bpf $bpffs
done
test ! -e $bpffs/some.dir
test -e $bpffs/maps.debug
