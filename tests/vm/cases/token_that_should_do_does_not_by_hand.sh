# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What `token needs` says is enough for a load, for objects of different kinds; names and BTF
# are those of a load without a token.

. "${container_sh:-/files/container.sh}"
has_tokens || skip "a kernel with BPF tokens (since 6.9)"
start_container

loaded=0
for object in "$objects"/*.bpf.o; do
	delegate --for "$object"
	as_root $tool load "$object" --token "$work/bpf" || fail "not enough for $object: $($tool token needs "$object")"
	loaded=$((loaded + 1))
done
[ "$loaded" -ge 20 ]

object=$objects/1.bpf.o
delegate --for "$object"
as_root $tool load "$object" --token "$work/bpf" --pin "$work/bpf/names" >"$work/said"
id=$(sed -n 's/^prog see_at_cgroup: id \([0-9]*\).*/\1/p' "$work/said")
bpftool prog show id "$id" | grep ' name see_at_cgroup '
bpftool prog show id "$id" | grep btf_id
id=$(sed -n 's/^map seen_by_programs: id \([0-9]*\).*/\1/p' "$work/said")
bpftool map show id "$id" | grep ' name seen_by_program '
bpftool map show id "$id" | grep btf_id
