# SPDX-License-Identifier: MIT OR Apache-2.0
# A struct of functions may be a module's (since 6.9): that of tests/vm/struct_ops, called
# when its parameter is read. Without the module, and before, it is named.

sum=/sys/module/two_ops/parameters/sum
is() { test "$(cat $sum)" = "$1"; }
status=0
bpf-preload load /files/module_ops.bpf.o 2>/tmp/err || status=$?
cat /tmp/err
test $status = 1
head -n 1 /tmp/err | grep "create map two: struct bpf_struct_ops_two_ops is not in kernel BTF\$"
[ -e /files/modules/two_ops.ko ] || skip "struct_ops of modules (6.9)"
insmod /files/modules/two_ops.ko
mount_bpffs
is -1

# 40, and 2 + 100.
bpf-preload load /files/module_ops.bpf.o --attach >/tmp/said &
pid=$!
eventually 20 grep '^link two: .struct_ops, without a link$' /tmp/said
is 142
kill -TERM $pid
wait $pid
eventually 5 is -1

bpf-preload load /files/module_ops_link.bpf.o --attach --pin $bpffs/two
is 143
bpftool map show pinned $bpffs/two/two
# Who has it registered keeps the module.
fails rmmod two_ops
rm $bpffs/two/two_link
eventually 5 is -1
rm -r $bpffs/two
eventually 5 rmmod two_ops
