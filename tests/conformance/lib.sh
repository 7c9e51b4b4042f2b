# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What the scripts of this directory share. To be sourced by bash.

. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"

source=$cache/conformance/linux-6.12
clang_root=$cache/tools/clang-19
work=$target/conformance
selftests=$work/selftests
packages=$work/packages
recipe=$top/tests/conformance/lib.sh
oracle=$work/oracle
tool=$target/bpf-preload

clang() {
	LD_LIBRARY_PATH=$clang_root/usr/lib/x86_64-linux-gnu:$clang_root/usr/lib/llvm-19/lib \
		"$clang_root/usr/lib/llvm-19/bin/clang" "$@"
}

# compile NAME...: those of the selftests' progs that are not there yet, or are older
# than what they are made of, to $selftests/NAME.bpf.o. What does not compile with the
# running kernel's types is left out; its messages are in $selftests/NAME.err.
compile() {
	mkdir -p "$selftests"
	export -f clang
	export clang_root work selftests source recipe
	# shellcheck disable=SC2016
	printf '%s\n' "$@" | xargs -P "$(nproc)" -I{} bash -c '
		made="$selftests/{}.err"
		[ ! "$made" -nt "$work/vmlinux.h" ] || [ ! "$made" -nt "$recipe" ] || exit 0
		rm -f "$selftests/{}.bpf.o"
		cd "$source/tools/testing/selftests/bpf"
		clang -g -O2 -target bpf -mcpu=v3 -std=gnu11 -fno-strict-aliasing -w -mlittle-endian \
			-D__TARGET_ARCH_x86 -DENABLE_ATOMICS_TESTS \
			-I"$work" -I"$work/libbpf/installed/include" -I. -I"$source/tools/include/uapi" \
			-I"$source/tools/include" -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include \
			-c "progs/{}.c" -o "$selftests/{}.bpf.o" 2>"$made" || rm -f "$selftests/{}.bpf.o"'
}

# The names of selftests' programs that match a pattern, without their ".c".
progs() { (cd "$source/tools/testing/selftests/bpf/progs" && ls) | sed -n 's/\.c$//p' | grep -xE "$1"; }
