# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Mounts by the thousand, in the guest: afterwards nothing may be more than
# before. How many of each, and how much memory may differ, is in soak.conf.

. /files/ktap.sh
. /files/soak.conf
mounts=/files/mounts dir=/tmp/soak

# What was freed is given back, and only then do the numbers tell the truth: RCU
# gets its time, caches drop what they keep for later, and loading a module makes
# the kernel forget the ranges of vmalloc that it no longer uses.
settle() {
	eventually 5 no_bpf_objects
	! grep -q "^$module " /proc/modules || rmmod $module
	patient
	for round in 1 2 3; do
		sleep 1
		echo 3 >/proc/sys/vm/drop_caches
		for cache in /sys/kernel/slab/*/shrink; do
			echo 1 >"$cache"
		done 2>/dev/null
	done
}

# Lines of NAME NUMBER. A name with a dot is memory, whose amount differs by a
# little from one minute to the next; everything else is to be the same. Of slab
# caches the third number is how many objects a slab has: all of the one that a
# processor allocates from count as used.
counts() {
	$mounts counts || failed=1
	echo "mounts $(wc -l </proc/mounts)"
	echo "module_users $(awk -v m=$module '$1 == m { print $3 }' /proc/modules)"
	awk 'NR > 2 { print "slab." $1, $2, $5 }' /proc/slabinfo
	awk '/^(VmallocUsed|Percpu|KernelStack|PageTables):/ { print "KiB." $1, $2, 0 }' /proc/meminfo
}

# Whether no more is left than there was; /tmp/compared says what.
as_before() {
	awk -v slack=$slack -v processors="$(grep -c ^processor /proc/cpuinfo)" '
		NR == FNR { before[$1] = $2; next }
		{
			n++
			growth = $2 - before[$1]
			memory = $1 ~ /\./
			allowed = $3 * processors > slack ? $3 * processors : slack
			if (!memory) {
				kinds += $1 in before
				printf "  %s: %d before, %d after\n", $1, before[$1], $2
			} else if (growth > most) { most = growth; name = $1 }
			if (memory ? growth > allowed : growth) {
				printf "  GROWN: %s from %d to %d\n", $1, before[$1], $2
				failed = 1
			}
		}
		END {
			printf "  of %d slab caches (objects) and kinds of memory (KiB) the most grown: %s by %d\n", n, name, most
			if (n < 100 || kinds < 7) { print "  too few to be all"; failed = 1 }
			exit failed
		}' /tmp/before /tmp/after >/tmp/compared
}

patient
failed=0
phase() {
	local what=$1 start
	shift
	start=$(now_cs)
	$mounts "$@" >/tmp/said || failed=1
	echo "  $what: $(cat /tmp/said), $((($(now_cs) - start) / 100)) s"
}

echo "Linux $(uname -r)"
# So that there is one of whatever is allocated once, or kept for the next time.
phase "warm-up" cycle $warm_up $dir
phase "warm-up" parallel $width 10 $dir.d unload
settle
counts >/tmp/before
phase "as fast as they come" cycle $cycles $dir
phase "set unloaded in between" cycle $unloads $dir unload
phase "in parallel" parallel $width $rounds $dir.d
phase "in parallel, set unloaded in between" parallel $width $unload_rounds $dir.d unload

# Once 5.10 still had 185 of the files that it had closed, on a busy host, and none
# in three times as many mounts: what is late goes, what leaks stays.
tries=0
while
	settle
	counts >/tmp/after
	! as_before && [ $((tries += 1)) -lt 4 ]
do :; done
cat /tmp/compared
[ $tries -lt 4 ] || failed=1
[ $failed = 0 ] && echo "  ok" || echo "  FAILED"
exit $failed
