# SPDX-License-Identifier: MIT OR Apache-2.0
# The host tool fills a bpffs where no module can be had: the same programs, names without a dot.
needs_module
rm "/lib/modules/$(uname -r)/$module.ko"
mkdir -p $bpffs
bpf-preload mount $bpffs >/tmp/pinned
test ! -e /sys/module/$module
grep " $bpffs bpf " /proc/mounts
test "$(listed_ids $bpffs/progs_debug)" = "$(prog_ids)"
test "$(listed_ids $bpffs/maps_debug)" = "$(map_ids)"
for file in $bpffs/*; do
	grep -x "$file" /tmp/pinned
	test "$(wc -l <"$file")" -gt 1
done
# Each listing is there, or said to be left out because the iterator is missing.
if bpftool btf dump id 1 | grep "FUNC 'bpf_iter_bpf_link'"; then
	fails grep 'left out' /tmp/pinned
else
	test ! -e $bpffs/links_debug
fi
