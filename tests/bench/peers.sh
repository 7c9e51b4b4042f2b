# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What the blob is measured against, and with. To be sourced after lib.sh and
# apt.sh. All of it is made or fetched when first needed.

blob=$target/bpf_preload_umd
out=$target/bench
here=$top/tests/bench

[ "$(id -u)" = 0 ] || die "only root may load programs"
[ -x "$blob" ] || die "no $blob (make blob)"
mkdir -p "$out" "$cache/tools"

# Debian 12's bpftool makes light skeletons that miss a weak kfunc (libbpf
# before 1.2): they would load less than the others. 13's wants a newer libc,
# so it runs through that libc's own loader.
bpftool_root=$cache/tools/bpftool-trixie
fetch_bpftool() (
	flock 9
	[ ! -d "$bpftool_root" ] || exit 0
	echo "bench: fetch bpftool of trixie" >&2
	apt_use "$cache/apt/bpftool" trixie
	rm -rf "$bpftool_root.partial"
	apt_unpack "$bpftool_root.partial" bpftool libc6 libcap2 libelf1t64 libzstd1 zlib1g
	mv "$bpftool_root.partial" "$bpftool_root"
)
fetch_bpftool 9>"$cache/lock"
bpftool_lib=$bpftool_root/usr/lib/x86_64-linux-gnu
bpftool=("$bpftool_lib/ld-linux-x86-64.so.2" --library-path "$bpftool_lib" "$bpftool_root/usr/sbin/bpftool")
bpftool() { "${bpftool[@]}" "$@"; }

machine() {
	echo "Linux $(uname -r), $(nproc) x $(sed -n 's/^model name.*: //p;T;q' /proc/cpuinfo), libbpf $(dpkg-query -W -f '${Version}' libbpf-dev), $(bpftool version | head -n1)"
}
