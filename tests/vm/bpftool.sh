# SPDX-License-Identifier: MIT OR Apache-2.0
#
# A bpftool newer than this machine's, fetched once. To be sourced after lib.sh
# and apt.sh. Debian 13's wants a newer libc, so it runs through that libc's own
# loader, here and in guests.

bpftool_root=$cache/tools/bpftool-trixie
fetch_bpftool() (
	flock 9
	[ ! -d "$bpftool_root" ] || exit 0
	echo "fetch bpftool of trixie" >&2
	apt_use "$cache/apt/bpftool" trixie
	rm -rf "$bpftool_root.partial"
	apt_unpack "$bpftool_root.partial" bpftool libc6 libcap2 libelf1t64 libzstd1 zlib1g
	mv "$bpftool_root.partial" "$bpftool_root"
)
mkdir -p "$cache/tools"
fetch_bpftool 9>"$cache/lock"
bpftool_lib=$bpftool_root/usr/lib/x86_64-linux-gnu
bpftool=("$bpftool_lib/ld-linux-x86-64.so.2" --library-path "$bpftool_lib" "$bpftool_root/usr/sbin/bpftool")
bpftool() { "${bpftool[@]}" "$@"; }
