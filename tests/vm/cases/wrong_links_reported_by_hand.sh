# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The driver without the shim, over pipes: what it reports are its links, and
# through them every program and map is listed, once. Also run by a test of the
# host (tests/by_hand.sh), so it supposes nothing of what else is loaded.

by_hand_start
mkdir "$dir/bpf"
mount -t bpf bpf "$dir/bpf"
test "$(wc -c <"$dir/records")" = 40
test "$(record_name 0)" = maps.debug
test "$(record_name 1)" = progs.debug
for n in 0 1; do
	bpftool link show id "$(record_id $n)" | grep 'iter  prog '
	bpftool link pin id "$(record_id $n)" "$dir/bpf/$(record_name $n | tr . _)"
done
# It holds no link after its exit; the pins do.
by_hand_end

same_ids() {
	[ "$(listed_ids "$dir/bpf/progs_debug")" = "$(prog_ids)" ] &&
		[ "$(listed_ids "$dir/bpf/maps_debug")" = "$(map_ids)" ]
}
test -n "$(listed_ids "$dir/bpf/progs_debug")"
eventually 3 same_ids

umount "$dir/bpf"
for n in 0 1; do
	gone() { ! bpftool link show id "$(record_id $n)" 2>/dev/null; }
	eventually 3 gone
done
rm -r "$dir"
