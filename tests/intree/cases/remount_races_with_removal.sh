# SPDX-License-Identifier: MIT OR Apache-2.0
# Remounts, removals, readers and further mounts at once: no complaint of the
# kernel, no remount that fails, and the files are there at the end.

patient
mount_bpffs
remounts() { for n in $(seq 50); do mount -t bpf -o remount bpf $bpffs || exit 1; done; }
removals() { for n in $(seq 50); do rm $bpffs/maps.debug $bpffs/links.debug || :; done; }
readings() { for n in $(seq 50); do cat $bpffs/*.debug >/dev/null || :; ls -l $bpffs >/dev/null || :; done; }
mounts() { for n in $(seq 10); do mount_bpffs /tmp/bpf2 && umount /tmp/bpf2 || exit 1; done; }
pids=
for job in remounts remounts removals readings mounts; do
	$job 2>/dev/null &
	pids="$pids $!"
done
for pid in $pids; do
	wait "$pid"
done
mount -t bpf -o remount bpf $bpffs
for file in links maps progs; do
	head -n 1 $bpffs/$file.debug | grep '^ *id'
done
