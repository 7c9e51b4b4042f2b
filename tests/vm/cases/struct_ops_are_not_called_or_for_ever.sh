# SPDX-License-Identifier: MIT OR Apache-2.0
# `bpf-preload load --attach` registers maps of struct_ops: a congestion control is there as
# long as its link, or what holds it; without links (before 6.4) that is said in one line.

mount_bpffs
listed() { grep -w "$1" /proc/sys/net/ipv4/tcp_available_congestion_control; }
not_listed() { ! listed "$1"; }

# held NAME CA: while it is held, and no longer.
held() {
	# Before it is started: what the last one said is not to be read for its words.
	: >/tmp/said
	bpf-preload load /files/$1.bpf.o --attach >>/tmp/said &
	pid=$!
	eventually 20 grep '^link ops' /tmp/said
	listed $2
	kill -TERM $pid
	wait $pid
	eventually 5 not_listed $2
}

held tcp_ca two_registered
bpf-preload load /files/tcp_ca.bpf.o --attach --pin $bpffs/ca
listed two_registered
test ! -e $bpffs/ca/ops_link
# The kernel keeps it without a pin.
rm -r $bpffs/ca
listed two_registered
bpftool struct_ops unregister name ops
eventually 5 not_listed two_registered

if bpftool btf dump file /sys/kernel/btf/vmlinux | grep "'BPF_STRUCT_OPS'"; then
	held tcp_ca_link two_linked
	bpf-preload load /files/tcp_ca_link.bpf.o --attach --pin $bpffs/ca
	listed two_linked
	rm $bpffs/ca/ops_link
	eventually 5 not_listed two_linked
	rm -r $bpffs/ca
else
	status=0
	bpf-preload load /files/tcp_ca_link.bpf.o --attach --pin $bpffs/ca 2>/tmp/err || status=$?
	cat /tmp/err
	test $status = 1
	test "$(wc -l </tmp/err)" = 1
	grep ': create map ops: this kernel has no links of struct_ops (since 6.4)$' /tmp/err
	test ! -e $bpffs/ca
fi

# A member that this kernel has not may have no program.
status=0
bpf-preload load /files/tcp_ca_missing.bpf.o 2>/tmp/err || status=$?
cat /tmp/err
test $status = 1
test "$(wc -l </tmp/err)" = 1
grep ": create map ops: member not_yet is set, which this kernel's tcp_congestion_ops has not\$" /tmp/err
