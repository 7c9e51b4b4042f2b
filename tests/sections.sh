#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# section_is_taken_for_another: for each name in the table of program sections of the newest
# libbpf (of Debian's linux-source), an object, of which `dump` has to say what that table says:
# type, attach type, flags. Names that may go on do; names that may not are refused if they do.

. "$(dirname "$0")/vm/lib.sh"
. "$top/tests/vm/apt.sh"

tree=7.3
source=$cache/sections/linux-$tree
mkdir -p "$cache/sections"
exec 9>"$cache/lock"
flock 9
[ -d "$source" ] || {
	rm -rf "$source.partial"
	kernel_source "$tree" "$source.partial" tools/lib/bpf/libbpf.c tools/include/uapi/linux
	mv "$source.partial" "$source"
}
flock -u 9
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# NAME GOES_ON PROG_TYPE ATTACH_TYPE FLAGS
{
	echo '#include <linux/bpf.h>
		#include <stdio.h>
		#include <string.h>'
	sed -n '/^enum sec_def_flags {/,/^};/p' "$source/tools/lib/bpf/libbpf.c"
	echo '#define SEC_DEF(sec, type, attach, flags, ...) { sec, BPF_PROG_TYPE_##type, attach, flags }
		static const struct { const char *sec; int type, attach, flags; } section_defs[] = {'
	sed -n '/^static const struct bpf_sec_def section_defs\[\] = {/,/^};/p' "$source/tools/lib/bpf/libbpf.c" | tail -n +2
	echo 'int main(void) {
			for (unsigned i = 0; i < sizeof(section_defs) / sizeof(*section_defs); i++) {
				int flags = section_defs[i].flags, len = strlen(section_defs[i].sec);
				int more = section_defs[i].sec[len - 1] == 43;
				printf("%.*s %d %d %d %d\n", len - more, section_defs[i].sec, more,
				       section_defs[i].type, section_defs[i].attach,
				       (flags & SEC_SLEEPABLE ? BPF_F_SLEEPABLE : 0) |
				       (flags & SEC_XDP_FRAGS ? BPF_F_XDP_HAS_FRAGS : 0));
			}
		}'
} >"$tmp/table.c"
gcc -I"$source/tools/include/uapi" -idirafter /usr/include -o "$tmp/table" "$tmp/table.c"
"$tmp/table" >"$tmp/table.txt"
[ "$(wc -l <"$tmp/table.txt")" -gt 110 ] || die "libbpf's table has only $(wc -l <"$tmp/table.txt") names"

# dump SECTION: of a program in it type, attach type and flags.
dump() {
	cat >"$tmp/one.s" <<-END
		.section "$1", "ax", @progbits
		.globl prog
		.type prog, @function
		prog:
		r0 = 0
		exit
		.size prog, . - prog
		.section license, "aw", @progbits
		.asciz "GPL"
	END
	"${CLANG:-clang}" -target bpf -c -o "$tmp/one.o" "$tmp/one.s"
	"$target/bpf-preload" -j dump "$tmp/one.o" 2>/dev/null |
		jq -r '.programs[]? | "\(.prog_type) \(.attach_type) \(.prog_flags)"' || :
}

wrong=0
differs() {
	echo "$1: $2, not $3"
	wrong=$((wrong + 1))
}
looked=0
while read -r name goes_on expected; do
	[ "$goes_on" = 0 ] || name=$name/something
	case $name in
	# They are loaded for the struct that they are in.
	struct_ops*) continue ;;
	esac
	looked=$((looked + 1))
	said=$(dump "$name")
	[ "$said" = "$expected" ] || differs "$name" "${said:-refused}" "$expected"
	said=$(dump "?$name")
	[ -z "$said" ] || differs "?$name" "$said" "left out"
	[ "$goes_on" = 0 ] || continue
	said=$(dump "$name/something")
	grep -q "^$name/something " "$tmp/table.txt" || [ -z "$said" ] || differs "$name/something" "$said" "refused"
done <"$tmp/table.txt"
[ "$looked" -gt 110 ] && [ "$wrong" = 0 ]
