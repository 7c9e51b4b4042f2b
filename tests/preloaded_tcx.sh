#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# tcx_program_spoils_the_listings: an object of iterators that has a tcx program,
# too, is built into a blob as it is. The blob attaches its iterators and leaves
# nothing of that program; the host tool attaches it.

set -euo pipefail
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp iterators/*.h iterators/iterators.bpf.c "$tmp"
cat >>"$tmp/iterators.bpf.c" <<-'END'

	SEC("tcx/ingress")
	int count_ingress(void *skb __attribute__((unused)))
	{
		return -1;
	}
END
"${CLANG:-clang}" -target bpf -mcpu=v3 -O2 -g -c -o "$tmp/iterators.bpf.o" "$tmp/iterators.bpf.c"
BPF_PRELOAD_OBJ=$tmp/iterators.bpf.o CARGO_TARGET_DIR=target/preloaded-tcx \
	cargo rustc --quiet --release --bin bpf_preload_umd -- -C relocation-model=static

driver=$PWD/target/preloaded-tcx/release/bpf_preload_umd TMPDIR=$tmp
export driver TMPDIR
. tests/vm/ktap.sh
before=$(bpftool prog show | grep -c ' name count_ingress ' || :)
by_hand_start
test "$(record_name 0) $(record_name 1)" = "maps.debug progs.debug"
bpftool link show id "$(record_id 0)" | grep -q bpf_map
bpftool link show id "$(record_id 1)" | grep -q bpf_prog
by_hand_end
test "$(bpftool prog show | grep -c ' name count_ingress ' || :)" = "$before"

tool=target/bpf-preload
[ -x $tool ] || fail "no tool: run make tool"
if unshare --net $tool tcx show lo 2>&1 | grep -F 'this kernel has no tcx'; then
	echo "SKIP attaching it: tcx (6.6)"
	exit
fi
unshare --net sh -euc '"$0" tcx attach lo ingress "$1" --no-link >"$1.said" &&
	"$0" tcx verify lo ingress count_ingress >"$1.said"' $tool "$tmp/iterators.bpf.o"
