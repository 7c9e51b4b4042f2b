# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What the scripts of this directory share: where things are, and the sets of objects.
# To be sourced by bash.

. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"

# Kernel trees with selftests; libbpf and the oracle are made of the last one.
trees=(6.1 6.12 7.3)
newest=${trees[-1]}
elsewhere=$cache/conformance/elsewhere-$newest
clang_root=$cache/tools/clang-19
work=$target/conformance
packages=$work/packages
recipe=$top/tests/conformance/lib.sh
oracle=$work/oracle
tool=$target/bpf-preload

bpf_clang() {
	LD_LIBRARY_PATH=$clang_root/usr/lib/x86_64-linux-gnu:$clang_root/usr/lib/llvm-19/lib \
		"$clang_root/usr/lib/llvm-19/bin/clang" -target bpf "$@"
}

# That of sid, which like bpftool (tests/vm/bpftool.sh) wants a libc of its own.
gcc_root=$cache/tools/gcc-bpf-sid
bpf_gcc() {
	local lib=$gcc_root/usr/lib/x86_64-linux-gnu
	"$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$gcc_root/usr/bin/bpf-gcc" \
		-wrapper "$lib/ld-linux-x86-64.so.2,--library-path,$lib" \
		-gbtf -mco-re -masm=pseudoc -DBPF_NO_PRESERVE_ACCESS_INDEX "$@"
}
fetch_gcc() (
	flock 9
	[ ! -d "$gcc_root" ] || exit 0
	echo "fetch gcc-bpf of sid" >&2
	apt_use "$cache/apt/gcc-bpf" sid
	rm -rf "$gcc_root.partial"
	apt_unpack "$gcc_root.partial" gcc-bpf binutils-bpf libc6 libgmp10 libjansson4 libmpc3 libmpfr6 libsframe3 libzstd1 zlib1g
	mv "$gcc_root.partial" "$gcc_root"
)

# What follows is about the selftests of tree $1.
use_tree() {
	source=$cache/conformance/linux-$1 headers=$work/libbpf-$1
	base=$source/tools/testing/selftests/bpf
	# Older trees declare the kfuncs themselves.
	selftests=$work/selftests types=$work kfuncs=-DBPF_NO_KFUNC_PROTOTYPES
	[ "$1" = 6.12 ] || selftests+=-$1
	[ "$1" != 7.3 ] || types=$cache/conformance/vmlinux-7.3/usr/include/x86_64-linux-gnu/linux/bpf kfuncs=
}

# compile NAME...: those of $base/NAME.c that are not there yet, or are older than what
# they are made of, to $selftests/NAME.bpf.o, without progs/ and with _ for another /. What
# does not compile with the running kernel's types, 7.3's with those of 7.3, is left out;
# its messages are in $selftests/NAME.err. $compiler is bpf_clang or bpf_gcc, $flags come last.
compile() {
	mkdir -p "$selftests"
	export -f bpf_clang bpf_gcc
	export clang_root gcc_root compiler work selftests base source headers types kfuncs recipe flags
	# shellcheck disable=SC2016
	printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -c '
		name={} name=${name#progs/} name=${name//\//_} name=${name%.bpf}
		made="$selftests/$name.err"
		[ ! "$made" -nt "$types/vmlinux.h" ] || [ ! "$made" -nt "$recipe" ] || exit 0
		rm -f "$selftests/$name.bpf.o"
		cd "$base"
		$compiler -g -O2 -mcpu=v3 -std=gnu11 -fno-strict-aliasing -w -mlittle-endian \
			-D__TARGET_ARCH_x86 -DENABLE_ATOMICS_TESTS $kfuncs \
			-I"$types" -I"$headers/include" -I. -I"$source/tools/include/uapi" \
			-I"$source/tools/include" -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include \
			-c "{}.c" -o "$selftests/$name.bpf.o" $flags 2>"$made" || rm -f "$selftests/$name.bpf.o"'
}

# The names of selftests' programs that match a pattern, without their ".c".
progs() { (cd "$base/progs" && ls) | sed -n 's/\.c$//p' | grep -xE "$1"; }

# What else of the newest tree are BPF programs, by their paths.
programs_elsewhere() {
	(cd "$elsewhere" && find . -path ./tools/testing/selftests/bpf -prune -o \
		-name '*.bpf.c' -print -o -path './samples/bpf/*_kern.c' -print -o -path '*/selftests/hid/progs/*.c' -print) |
		sed 's|^\./||;s/\.c$//'
}

# make_set SET PATTERN: what of the set is not there yet. Says in $objects where it
# is, and in $at_least how many there must be. Sets are
#	selftests, selftests-6.1, selftests-7.3		of that tree, 6.12's without a version
#	selftests:-O1, selftests-7.3:-mcpu=v1, ...	the same with another flag
#	selftests-7.3:gcc				the same by gcc
#	linked						6.12's, each and some together through bpftool's linker
#	elsewhere					what 7.3's source has elsewhere
#	packages					what Debian's packages carry
make_set() {
	local tree=${1%%:*} names
	flags= compiler=bpf_clang
	[[ $1 != *:* ]] || flags=${1#*:}
	case $tree in
	packages)
		at_least=150 objects=$packages
		return
		;;
	linked) tree=selftests ;;
	elsewhere)
		use_tree "$newest"
		base=$elsewhere selftests=$work/elsewhere${flags:+:$flags} objects=$selftests at_least=70
		# What the kernel's own headers are to samples/bpf.
		flags="-DKBUILD_MODNAME=\"x\" -Du32=__u32 -Du64=__u64 -I$elsewhere/tools/sched_ext/include
			-I$elsewhere/tools/sched_ext/include/bpf-compat -idirafter $elsewhere/include $flags"
		mapfile -t names < <(programs_elsewhere)
		compile "${names[@]}"
		return
		;;
	selftests | selftests-*) ;;
	*) die "no set $1" ;;
	esac
	tree=${tree#selftests} tree=${tree#-}
	use_tree "${tree:-6.12}"
	[ -d "$source" ] || die "no set $1"
	selftests+=${flags:+:$flags}
	if [ "$flags" = gcc ]; then
		fetch_gcc 9>"$cache/lock"
		flags= compiler=bpf_gcc
	fi
	objects=$selftests at_least=450
	mapfile -t names < <(progs "$2")
	compile "${names[@]/#/progs/}"
	[ "$1" != linked ] || link
}

# run_set SCRIPT SET WHERE [PATTERN]: what load.sh or requests.sh prints of the objects of a
# set, on this machine (WHERE is `here`) or in the VM of a stock kernel (its KVER), into the
# file $results.
run_set() {
	local script=$1 where=$3 pattern=${4:-.*} guest files file name
	make_set "$2" "$pattern"
	mapfile -t files < <(find "$objects" -maxdepth 1 -name '*.bpf.o' -size +0 | sort | while read -r file; do
		name=${file##*/}
		[[ ! ${name%.bpf.o} =~ ^$pattern$ ]] || echo "$file"
	done)
	[ "$pattern" != '.*' ] || [ ${#files[@]} -ge "$at_least" ] || die "only ${#files[@]} objects"

	results=$work/${script%.sh}.$2.$where guest=$work/guest.${script%.sh}.$2.$where
	rm -rf "$guest"
	mkdir -p "$guest/objects"
	bpftool_into "$guest/peers"
	cp "$oracle" "$work/requests" "$guest/peers"
	cp "$top/tests/conformance/$script" "$guest/peers/run.sh"
	if [ "$where" = here ]; then
		sh "$guest/peers/run.sh" "$guest/peers" "$tool" "${files[@]}" >"$results"
	else
		# Where nothing is shared with the guest all goes into its memory.
		ln "${files[@]}" "$guest/objects"
		MODULE=none VM_TIMEOUT=${VM_TIMEOUT:-7200} "$top/tests/vm/boot" "$where" "$top/tests/conformance/guest.sh" \
			"$guest/objects" "$guest/peers" >"$results"
	fi
	rm -rf "$guest"
	[ "$(wc -l <"$results")" = ${#files[@]} ] || die "$(wc -l <"$results") results of ${#files[@]} objects: $results"
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
