# SPDX-License-Identifier: MIT OR Apache-2.0
#
# While others load and unload, each reading has every row that it must have,
# and none twice, whatever the reader's buffer. Also run by tests/by_hand.sh.

files="maps progs"
if has_link_iter; then
	files="$files links"
	by_hand_start_all
else
	by_hand_start
fi
mkdir "$dir/bpf"
mount -t bpf bpf "$dir/bpf"
set --
for name in $files; do
	test "$(record_name $#)" = $name.debug
	bpftool link pin id "$(record_id $#)" "$dir/bpf/$name"
	set -- "$@" "$name=$dir/bpf/$name"
done
by_hand_end
"$churn" "$readings" "$@"
umount "$dir/bpf"
rm -r "$dir"
