# SPDX-License-Identifier: MIT OR Apache-2.0
#
# load.sh ORACLE TOOL OBJECT... - loads each object with libbpf and with the host
# tool, and prints "NAME THEIRS OURS" and what the tool said: `loads`, `refuses`,
# `hangs` for what took too long, or `crashes`. On this machine, or by /bin/sh in a guest.

oracle=$1 tool=$2
shift 2
log=$(mktemp)

# What is loaded is gone when this returns, what was pinned as well.
loads() {
	status=0
	timeout "${LIMIT_S:-60}" unshare --mount sh -c 'mount -t bpf bpf /sys/fs/bpf && exec "$@"' sh "$@" >"$log" 2>&1 || status=$?
	case $status in
	0) echo loads ;;
	1) echo refuses ;;
	124 | 137 | 143) echo hangs ;;
	*) echo crashes ;;
	esac
}

for object; do
	theirs=$(loads "$oracle" load "$object")
	ours=$(loads "$tool" load "$object")
	name=${object##*/}
	echo "${name%.bpf.o} $theirs $ours $(tail -n 1 "$log" | cut -c 1-300)"
done
rm -f "$log"
