# SPDX-License-Identifier: MIT OR Apache-2.0
# `bpf-preload load --attach` attaches to functions, hooks, probes and tracepoints: a
# mkdir(2) is counted by each, once; what this kernel has not is said in one line.

one_cpu
mount_bpffs
has() { bpftool btf dump file /sys/kernel/btf/vmlinux | grep -q "'$1'" ; }

# The counters that are not 1 (or not $2), in the map pinned at $1.
others() { bpftool map dump $1 | sed -n 's/.*"\([a-z_]*_count\)": \([0-9]*\).*/\1 \2/p' >/tmp/counts; test -s /tmp/counts; grep -v " ${2:-1}$" /tmp/counts || :; }

# Does a mkdir(2) leave the counters in the map pinned at $1 as they are?
quiet() {
	before=$(bpftool map dump pinned $1)
	mkdir /tmp/counted
	rmdir /tmp/counted
	test "$(bpftool map dump pinned $1)" = "$before"
}

# runs NAME [COUNT]: what is pinned runs, and no more once its links are gone.
runs() {
	bpf-preload load /files/$1.bpf.o --attach --pin $bpffs/$1
	test -z "$(others "pinned $bpffs/$1/${1}_bss" 0)"
	mkdir /tmp/counted
	test -z "$(others "pinned $bpffs/$1/${1}_bss" "${2:-1}")"
	rmdir /tmp/counted
	rm $bpffs/$1/*_link
	# The kernel detaches some time after the last reference is gone.
	eventually 5 quiet $bpffs/$1/${1}_bss
	rm -r $bpffs/$1
}

# refused NAME WORDS: in one line, and nothing of it stays.
refused() {
	status=0
	bpf-preload load /files/$1.bpf.o --attach --pin $bpffs/$1 2>/tmp/err || status=$?
	cat /tmp/err
	test $status = 1
	test "$(wc -l </tmp/err)" = 1
	grep -F -- "$2" /tmp/err
	test ! -e $bpffs/$1
}

if has BPF_LINK_TYPE_PERF_EVENT; then
	runs attach
else
	refused attach "without cannot pin"
fi
refused attach_wrong "attach prog at_nothing to kprobe/no_such_function: open the event: ENOENT (2)"
if grep -q ' register_fprobe_ips$' /proc/kallsyms; then
	runs attach_multi
elif has BPF_TRACE_KPROBE_MULTI; then
	refused attach_multi "attach prog at_pattern to kprobe.multi/vfs_mk?ir: this kernel was built without CONFIG_FPROBE"
else
	refused attach_multi "this kernel has no BPF_TRACE_KPROBE_MULTI (since 5.18)"
fi
if has BPF_TRACE_KPROBE_SESSION && grep -q ' register_fprobe_ips$' /proc/kallsyms; then
	runs attach_session 2
elif has BPF_TRACE_KPROBE_SESSION; then
	refused attach_session "attach prog at_both to kprobe.session/vfs_mkdi*: this kernel was built without CONFIG_FPROBE"
else
	refused attach_session "at_both"
fi
if has BPF_TRACE_UPROBE_MULTI; then
	bpf-preload load /files/attach_uprobes.bpf.o --attach --pin $bpffs/uprobes
	/files/hold || :
	test -z "$(others "pinned $bpffs/uprobes/attach_uprobes_bss")"
	rm -r $bpffs/uprobes
else
	refused attach_uprobes "attach prog at_pattern to uprobe.multi//files/hold:mai?: this kernel has no BPF_TRACE_UPROBE_MULTI (since 6.6)"
fi
if has BPF_TRACE_FSESSION; then
	runs attach_fsession 2
else
	refused attach_fsession "load prog at_both: "
fi
mkdir -p /sys/kernel/security
[ -e /sys/kernel/security/lsm ] || mount -t securityfs securityfs /sys/kernel/security
if grep -w bpf /sys/kernel/security/lsm; then
	runs attach_lsm
elif ! has bpf_lsm_inode_mkdir; then
	refused attach_lsm "bpf_lsm_inode_mkdir is not in kernel BTF"
fi

# Without a pin all stays until the signal, also where events have no links.
bpf-preload load /files/attach.bpf.o --attach >/tmp/said &
pid=$!
eventually 20 grep at_tracepoint_exit /tmp/said
eventually 20 grep 'link at_btf' /tmp/said
mkdir /tmp/counted
map=$(sed -n 's/^map attach.bss: id //p' /tmp/said)
test -z "$(others "id $map")"
rmdir /tmp/counted
kill -TERM $pid
wait $pid
eventually 5 sh -c "! bpftool map show id $map 2>/dev/null"
