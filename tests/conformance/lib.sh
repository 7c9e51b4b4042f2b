# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What the scripts of this directory share: where things are, and the sets of objects.
# To be sourced by bash.

. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"

# Kernel trees with selftests; libbpf and the oracle are made of the last one.
trees=(6.1 6.12 7.3)
newest=${trees[-1]}
clang_root=$cache/tools/clang-19
work=$target/conformance
packages=$work/packages
recipe=$top/tests/conformance/lib.sh
oracle=$work/oracle
tool=$target/bpf-preload

clang() {
	LD_LIBRARY_PATH=$clang_root/usr/lib/x86_64-linux-gnu:$clang_root/usr/lib/llvm-19/lib \
		"$clang_root/usr/lib/llvm-19/bin/clang" "$@"
}

# What follows is about the selftests of tree $1.
use_tree() {
	source=$cache/conformance/linux-$1 headers=$work/libbpf-$1
	selftests=$work/selftests types=$work
	[ "$1" = 6.12 ] || selftests+=-$1
	[ "$1" != 7.3 ] || types=$cache/conformance/vmlinux-7.3/usr/include/x86_64-linux-gnu/linux/bpf
}

# compile NAME...: those of the selftests' progs that are not there yet, or are older
# than what they are made of, to $selftests/NAME.bpf.o. What does not compile with the
# running kernel's types, 7.3's with those of 7.3, is left out; its messages are in
# $selftests/NAME.err.
# $flags come last.
compile() {
	mkdir -p "$selftests"
	export -f clang
	export clang_root work selftests source headers types recipe flags
	# shellcheck disable=SC2016
	printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -c '
		made="$selftests/{}.err"
		[ ! "$made" -nt "$types/vmlinux.h" ] || [ ! "$made" -nt "$recipe" ] || exit 0
		rm -f "$selftests/{}.bpf.o"
		cd "$source/tools/testing/selftests/bpf"
		clang -g -O2 -target bpf -mcpu=v3 -std=gnu11 -fno-strict-aliasing -w -mlittle-endian \
			-D__TARGET_ARCH_x86 -DENABLE_ATOMICS_TESTS \
			-I"$types" -I"$headers/include" -I. -I"$source/tools/include/uapi" \
			-I"$source/tools/include" -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include \
			-c "progs/{}.c" -o "$selftests/{}.bpf.o" $flags 2>"$made" || rm -f "$selftests/{}.bpf.o"'
}

# The names of selftests' programs that match a pattern, without their ".c".
progs() { (cd "$source/tools/testing/selftests/bpf/progs" && ls) | sed -n 's/\.c$//p' | grep -xE "$1"; }

# make_set SET PATTERN: what of the set is not there yet. Says in $objects where it
# is, and in $at_least how many there must be. Sets are
#	selftests, selftests-6.1, selftests-7.3		of that tree, 6.12's without a version
#	selftests:-O1, selftests-7.3:-mcpu=v1, ...	the same with another flag
#	linked						6.12's, each and some together through bpftool's linker
#	packages					what Debian's packages carry
make_set() {
	local tree=${1%%:*} names
	flags=
	[[ $1 != *:* ]] || flags=${1#*:}
	case $tree in
	packages)
		at_least=150 objects=$packages
		return
		;;
	linked) tree=selftests ;;
	selftests | selftests-*) ;;
	*) die "no set $1" ;;
	esac
	tree=${tree#selftests} tree=${tree#-}
	use_tree "${tree:-6.12}"
	[ -d "$source" ] || die "no set $1"
	selftests+=${flags:+:$flags} objects=$selftests at_least=450
	mapfile -t names < <(progs "$2")
	compile "${names[@]}"
	[ "$1" != linked ] || link
}

# Through bpftool's (libbpf's) linker, which leaves out, moves and sorts: each object
# alone, and those together that are made for it.
link() {
	local object
	objects=$work/linked
	mkdir -p "$objects"
	for object in "$selftests"/*.bpf.o; do
		object=${object##*/}
		link_to "${object%.bpf.o}" "${object%.bpf.o}"
	done
	for object in linked_funcs linked_maps linked_vars test_static_linked; do
		link_to "$object" "$object"{1,2}
	done
	link_to subskeleton test_subskeleton{,_lib,_lib2}
}

# link_to NAME OBJECT...
link_to() {
	local name=$1 files
	shift
	files=("${@/#/$selftests/}")
	files=("${files[@]/%/.bpf.o}")
	[ "$objects/$name.err" -nt "$selftests/$1.bpf.o" ] ||
		bpftool gen object "$objects/$name.bpf.o" "${files[@]}" >"$objects/$name.err" 2>&1 ||
		rm -f "$objects/$name.bpf.o"
}
