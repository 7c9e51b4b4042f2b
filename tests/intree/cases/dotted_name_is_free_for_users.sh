# SPDX-License-Identifier: MIT OR Apache-2.0
# Names with a dot are the core's: also while a remount uses them, and also in a
# directory without a mode, which is how the core was known before.

patient
mount_bpffs
fails mkdir $bpffs/some.dir
chmod 0 $bpffs
fails mkdir $bpffs/some.dir
chmod 1777 $bpffs
mkdir $bpffs/sub
fails mkdir $bpffs/sub/maps.debug

maker() {
	for n in $(seq 500); do
		fails mkdir $bpffs/some.dir
	done 2>/dev/null
}
maker &
maker=$!
remounts=0
while kill -0 $maker 2>/dev/null; do
	rm $bpffs/maps.debug
	mount -t bpf -o remount bpf $bpffs
	remounts=$((remounts + 1))
done
wait $maker
test $remounts -ge 10
test -e $bpffs/maps.debug
