# SPDX-License-Identifier: MIT OR Apache-2.0
# The tool's commands for tcx, compared with bpftool after each.

needs_tcx
tool=/bin/bpf-preload object=$TCX_OBJECT
export tool object
unshare -n -m sh -eu -c '
	. /files/ktap.sh
	new_bpftool() { /files/bpftool/ld-linux-x86-64.so.2 --library-path /files/bpftool /files/bpftool/bpftool "$@"; }
	ip() { /files/tcx/bin/ip "$@"; }
	tc() { /files/tcx/bin/tc "$@"; }
	set -x
	. /files/tcx/commands.sh'
