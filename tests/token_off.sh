#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# token_is_carried_when_off: what strace sees of the bpf() calls of a load. Without a token
# each attr ends before the field of a token's fd, and none is asked for; nor has the blob one.

set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tests/bpf/variants tests/bpf/token/kinds.bpf.c KIND "$work"
status=0

# Each kind of command that takes a token is there, and none has room for one: the size of the
# attr is its last argument. An strace older than tokens knows BPF_TOKEN_CREATE as 0x24.
bare() {
	strace -f -e trace=bpf -o "$work/trace" "$@" >/dev/null 2>"$work/said" || cat "$work/said"
	sed -nE 's/^[0-9]* *bpf\((0x24|[A-Z_]+).*, ([0-9]+)\) += .*/\1 \2/p' "$work/trace" | sort -u >"$work/calls"
	awk '
		BEGIN { end["BPF_MAP_CREATE"] = 76; end["BPF_PROG_LOAD"] = 144; end["BPF_BTF_LOAD"] = 36 }
		$1 == "0x24" || $1 == "BPF_TOKEN_CREATE" { bad = 1 }
		$1 in end { seen[$1] = 1; if ($2 > end[$1]) bad = 1 }
		END { for (cmd in end) if (!seen[cmd]) bad = 1; exit bad }' "$work/calls"
}
must() { bare "$@" || { cat "$work/calls"; echo "token_off.sh: not what $* should ask for"; status=1; }; }

load="target/bpf-preload load $work/1.bpf.o"
must $load --token ''
must $load --token-fd -1
must env LIBBPF_BPF_TOKEN_PATH= $load
# The driver, with a process beside it that says the words of the shim.
blob() { { printf '\125\125\0\0'; sleep 1; printf '\252\252\0\0'; } | target/bpf_preload_umd; }
export -f blob
must bash -c blob
# And what is implicit is seen, so that this is able to fail.
if bare $load; then
	echo "token_off.sh: sees no token where one is asked for"
	status=1
fi
exit "$status"
