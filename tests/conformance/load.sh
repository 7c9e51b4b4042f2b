# SPDX-License-Identifier: MIT OR Apache-2.0
#
# load.sh PEERS TOOL OBJECT... - loads each object with libbpf (the oracle in PEERS),
# with `bpftool prog loadall` and with the host tool, and prints "NAME LIBBPF BPFTOOL
# OURS" and what the tool said: `loads`, `refuses`, `hangs` for what took too long, or
# `crashes`. bpftool may have loaded all and then fail to pin programs that are not to
# be loaded (sections with `?`), which it does not skip: `loads-unpinned`. On this
# machine, or by /bin/sh in a guest.

peers=$1 tool=$2
shift 2
log=$(mktemp)

# What is loaded is gone when this returns, what was pinned as well.
loads() {
	status=0
	timeout "${LIMIT_S:-60}" unshare --mount sh -c 'mount -t bpf bpf /sys/fs/bpf && exec "$@"' sh "$@" >"$log" 2>&1 || status=$?
	case $status in
	0) echo loads ;;
	# bpftool ends with -1.
	1 | 255) grep -q '^Error: failed to pin all programs' "$log" && echo loads-unpinned || echo refuses ;;
	124 | 137 | 143) echo hangs ;;
	*) echo crashes ;;
	esac
}

for object; do
	name=${object##*/}
	libbpf=$(loads "$peers/oracle" load "$object")
	bpftool=$(loads "$peers/ld-linux-x86-64.so.2" --library-path "$peers" "$peers/bpftool" prog loadall "$object" /sys/fs/bpf/all)
	ours=$(loads "$tool" load "$object")
	echo "${name%.bpf.o} $libbpf $bpftool $ours $(tail -n 1 "$log" | cut -c 1-300)"
done
rm -f "$log"
