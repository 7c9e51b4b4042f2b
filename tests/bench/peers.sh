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
# before 1.2): they would load less than the others.
. "$top/tests/vm/bpftool.sh"

# The floor, of the calls in a directory given by -I. One page of code less or more is seen in
# the time: no notes, no padding.
compile_floor() {
	gcc -std=gnu11 -Wall -Wextra -Werror -Os -I"$top/kmod-shim" "$@" \
		-static -nostdlib -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
		-Wl,--build-id=none,-z,noseparate-code,-z,norelro "$here/floor.c"
	strip --strip-all -R .comment "${@: -1}"
}

machine() {
	echo "Linux $(uname -r), $(nproc) x $(sed -n 's/^model name.*: //p;T;q' /proc/cpuinfo), libbpf $(dpkg-query -W -f '${Version}' libbpf-dev), $(bpftool version | head -n1)"
}
