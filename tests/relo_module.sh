#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# relocation_for_a_module_is_anothers: what `relo` says of members of structs that only a
# module has, from that module's file and its kernel's, vmlinux: a stock one, whose BTF counts
# on from the kernel's, and one built outside of the tree, which since 6.13 has a base of its own.

. "$(dirname "$0")/vm/lib.sh"
. "$top/tests/vm/apt.sh"
. "$top/tests/vm/bpftool.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/members.bpf.c" <<'END'
struct nf_conn;
struct ct_iter_state { unsigned int bucket; } __attribute__((preserve_access_index));
struct two_ops { int data; } __attribute__((preserve_access_index));
__attribute__((section("socket"), used)) int stock(void *ctx)
{
	return __builtin_preserve_field_info(((struct ct_iter_state *)0)->bucket, 0);
}
__attribute__((section("socket"), used)) int ours(void *ctx)
{
	return __builtin_preserve_field_info(((struct two_ops *)0)->data, 0);
}
END
"${CLANG:-clang}" -target bpf -O2 -g -c -o "$tmp/members.bpf.o" "$tmp/members.bpf.c"

# value MODULE VMLINUX STRUCT: of the relocation of its member.
value() {
	"$target/bpf-preload" relo "$tmp/members.bpf.o" --btf "$1" --base-btf "$2" |
		sed -n "s/.* struct $3\\.[a-z]* .* = \\([0-9]*\\)$/\\1/p"
}

for kver in 6.12 7.3; do
	"$top/tests/vm/fetch" "$kver"
	vmlinux=$cache/kernels/$kver/kdir/vmlinux
	find "$cache/kernels/$kver/root" -name 'nf_conntrack.ko*' -exec cp {} "$tmp" \;
	[ ! -e "$tmp/nf_conntrack.ko.xz" ] || unxz -f "$tmp/nf_conntrack.ko.xz"
	bucket=$(bpftool -B "$vmlinux" btf dump file "$tmp/nf_conntrack.ko" |
		awk '/^\[/ { here = /STRUCT .ct_iter_state. / } here && /.bucket. / { sub(/.*=/, ""); print $0 / 8 }')
	[ "$(value "$tmp/nf_conntrack.ko" "$vmlinux" ct_iter_state)" = "$bucket" ] ||
		die "$kver: ct_iter_state.bucket is at $(value "$tmp/nf_conntrack.ko" "$vmlinux" ct_iter_state), not $bucket"
	SOURCES=$top/tests/vm/struct_ops OUT=$target/kmod/$kver/struct_ops "$top/tests/vm/module" "$kver" >&2
	module=$target/kmod/$kver/struct_ops/two_ops.ko
	# Behind two pointers.
	[ "$(value "$module" "$vmlinux" two_ops)" = 16 ] || die "$kver: two_ops.data is at $(value "$module" "$vmlinux" two_ops)"
done
readelf -SW "$module" | grep -F .BTF.base >/dev/null || die "$module has no base of its own"
# Where what it needs of the kernel is another thing, that is said.
! said=$("$target/bpf-preload" relo "$tmp/members.bpf.o" --btf "$module" --base-btf "$cache/kernels/6.12/kdir/vmlinux" 2>&1) &&
	grep ': its base has type [a-z_]*, which the kernel has not, or not of its size$' <<<"$said" >/dev/null ||
	die "what a base of 7.3 says of 6.12: $said"
