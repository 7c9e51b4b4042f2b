#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# tcx_command_does_something_else: tests/tcx/commands.sh with this machine's
# kernel, if it has tcx.

set -euo pipefail
cd "$(dirname "$0")"
. vm/lib.sh
. vm/apt.sh
. vm/bpftool.sh

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/bpftool" <<-END
	#!/bin/sh
	exec $(printf '"%s" ' "${bpftool[@]}") "\$@"
END
chmod +x "$tmp/bpftool"
export TMPDIR=$tmp tool=$target/bpf-preload object=$tmp/tcx.bpf.o
[ -x "$tool" ] || die "no tool: run make tool"
bpf/compile tcx.bpf "$object"
if unshare --net "$tool" tcx show lo 2>&1 | grep -F 'this kernel has no tcx'; then
	echo "SKIP tcx (6.6)"
	exit
fi
unshare --net --mount sh -eu -c '
	. vm/ktap.sh
	usleep() { sleep 0.1; }	# busybox has it
	new_bpftool() { "$TMPDIR/bpftool" "$@"; }
	set -x
	. tcx/commands.sh' >"$tmp/log" 2>&1 || {
	tail -n 25 "$tmp/log"
	die "fails on $(uname -r)"
}
