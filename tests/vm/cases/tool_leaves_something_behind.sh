# SPDX-License-Identifier: MIT OR Apache-2.0
# A failed `bpf-preload mount` neither leaves its mount nor its pins, and says why in one line.
needs_module
rm "/lib/modules/$(uname -r)/$module.ko"
mkdir -p $bpffs
for limit in 4 5 6 7; do
	fails sh -c "ulimit -n $limit; bpf-preload mount $bpffs" 2>/tmp/err
	test "$(grep -c '^bpf-preload: .*EMFILE (24)$' /tmp/err)" = 1
	test -z "$(grep " $bpffs " /proc/mounts)"
	eventually 3 no_bpf_objects
done
bpf-preload mount $bpffs
rm $bpffs/maps_debug
fails bpf-preload mount $bpffs 2>/tmp/err
grep 'pin link progs.debug at /sys/fs/bpf/progs_debug: EEXIST (17)' /tmp/err
test ! -e $bpffs/maps_debug
rm $bpffs/*
eventually 3 no_bpf_objects
