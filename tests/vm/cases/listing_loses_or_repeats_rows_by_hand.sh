# SPDX-License-Identifier: MIT OR Apache-2.0
#
# While others load and unload, each reading has every row that it must have,
# and none twice, whatever the reader's buffer. Also run by tests/by_hand.sh.

by_hand_start
mkdir "$dir/bpf"
mount -t bpf bpf "$dir/bpf"
for n in 0 1; do
	bpftool link pin id "$(record_id $n)" "$dir/bpf/$(record_name $n | tr . _)"
done
by_hand_end
"$churn" "$readings" progs="$dir/bpf/progs_debug" maps="$dir/bpf/maps_debug"
umount "$dir/bpf"
rm -r "$dir"
