# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The driver over pipes, asked for all that it has: three records in order, of
# links of its own, and links.debug lists every link. Also run by tests/by_hand.sh.

has_link_iter || skip "no iter/bpf_link before 5.19"
by_hand_start_all
mkdir "$dir/bpf"
mount -t bpf bpf "$dir/bpf"
test "$(wc -c <"$dir/records")" = 60
test "$(record_name 0)" = maps.debug
test "$(record_name 1)" = progs.debug
test "$(record_name 2)" = links.debug
for n in 0 1 2; do
	bpftool link show id "$(record_id $n)" | grep 'iter  prog '
done
bpftool link pin id "$(record_id 2)" "$dir/bpf/links_debug"
by_hand_end

link_ids() { bpftool link show | sed -n 's/^\([0-9]*\): .*/\1/p'; }
same_ids() { [ "$(listed_ids "$dir/bpf/links_debug")" = "$(link_ids)" ]; }
test -n "$(listed_ids "$dir/bpf/links_debug")"
eventually 3 same_ids

umount "$dir/bpf"
for n in 0 1 2; do
	gone() { ! bpftool link show id "$(record_id $n)" 2>/dev/null; }
	eventually 3 gone
done
rm -r "$dir"
