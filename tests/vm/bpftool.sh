# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The newest bpftool of Debian's suites, fetched once: that of Debian 13's backports.
# To be sourced after lib.sh and apt.sh. It wants a newer libc than this machine's,
# so it runs through that libc's own loader, here and in guests.

bpftool_root=$cache/tools/bpftool-trixie-backports
fetch_bpftool() (
	flock 9
	[ ! -d "$bpftool_root" ] || exit 0
	echo "fetch bpftool of trixie-backports" >&2
	apt_use "$cache/apt/bpftool" trixie,trixie-backports
	rm -rf "$bpftool_root.partial"
	apt_unpack "$bpftool_root.partial" bpftool/trixie-backports libc6 libcap2 libelf1t64 libssl3t64 libzstd1 zlib1g
	mv "$bpftool_root.partial" "$bpftool_root"
)
mkdir -p "$cache/tools"
fetch_bpftool 9>"$cache/lock"
bpftool_lib=$bpftool_root/usr/lib/x86_64-linux-gnu
bpftool=("$bpftool_lib/ld-linux-x86-64.so.2" --library-path "$bpftool_lib" "$bpftool_root/usr/sbin/bpftool")
bpftool() { "${bpftool[@]}" "$@"; }

# Copies it with all that it needs into directory $1, for a guest.
bpftool_into() {
	mkdir -p "$1"
	cp "$bpftool_root/usr/sbin/bpftool" "$bpftool_lib/ld-linux-x86-64.so.2" "$1"
	"$bpftool_lib/ld-linux-x86-64.so.2" --library-path "$bpftool_lib" --list "$bpftool_root/usr/sbin/bpftool" |
		sed -n "s|.*=> \($bpftool_lib/lib[^ ]*\).*|\1|p" | xargs cp -Lt "$1"
}
