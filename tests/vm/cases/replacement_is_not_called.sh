# SPDX-License-Identifier: MIT OR Apache-2.0
# `bpf-preload load --target`: functions of a loaded program are replaced and traced.

one_cpu
mount_bpffs
bpf-preload load /files/target.bpf.o --pin $bpffs/t
dd if=/dev/zero of=/tmp/packet bs=64 count=1 2>/dev/null
returned() { bpftool prog run pinned $bpffs/t/target data_in /tmp/packet repeat 1 | sed -n 's/^Return value: \([0-9]*\).*/\1/p'; }
test "$(returned)" = 12

traced="--target at_entry=$bpffs/t/target --target at_exit:traced=$bpffs/t/target"
id=$(bpftool prog show pinned $bpffs/t/target | sed -n 's/^\([0-9]*\): .*/\1/p')
bpf-preload load /files/replace.bpf.o --target replacement=id:$id $traced --attach --pin $bpffs/r
test "$(returned)" = 72
bpftool map dump pinned $bpffs/r/replace_bss | grep '"entries": 1'
bpftool map dump pinned $bpffs/r/replace_bss | grep '"exits": 1'
rm $bpffs/r/*
back() { test "$(returned)" = 12; }
eventually 5 back

# refused WORDS ARGUMENTS...: in one line, and nothing of it stays.
refused() {
	words=$1 status=0
	shift
	bpf-preload load /files/replace.bpf.o --attach --pin $bpffs/refused "$@" 2>/tmp/err || status=$?
	cat /tmp/err
	test $status = 1
	test "$(wc -l </tmp/err)" = 1
	grep -F -- "replace.bpf.o: $words" /tmp/err
	test ! -e $bpffs/refused
}
refused "prog replacement: which program it replaces a function of must be given (--target)"
refused "target of replacement: open prog id 999999: ENOENT (2)" --target replacement=id:999999
refused "target of replacement: open $bpffs/nothing: ENOENT (2)" --target replacement=$bpffs/nothing
refused "target of replacement: $bpffs/t/target has no function nothing" --target replacement:nothing=$bpffs/t/target
refused "target of nobody: the object has no program nobody" --target nobody=id:$id
refused "target of replacement: two are given" --target replacement=id:$id --target replacement=id:$id
