#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# splat_passes_unnoticed: the gate must see each kind of splat, and must not
# see one in a sound kernel's log nor in the crash of a process.

set -euo pipefail
cd "$(dirname "$0")"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
complain() { echo "gate.sh: $*" >&2; failed=1; }

# As a kernel writes them, with the CR of a serial console.
clean() {
	sed 's/$/\r/' <<-'EOF'
		[    0.000000] Linux version 6.1.0 (gcc-12) #1 SMP PREEMPT_DYNAMIC
		[    0.000000] kasan: KernelAddressSanitizer initialized
		[    0.004000] rcu: Hierarchical RCU implementation.
		[    0.004000] kfence: initialized - using 2097152 bytes for 255 objects
		[    0.911433] acpi PNP0A03:00: fail to add MMCONFIG information
		[    1.940000] bpf_preload: loading out-of-tree module taints kernel.
		[    2.000000] a.out[77]: segfault at 0 ip 0000000000401000 sp 00007ffe error 4
		[    2.100000] traps: a.out[78] general protection fault ip:401000 sp:7ffe error:0
		[    2.200000] traps: a.out[79] trap invalid opcode ip:401000 sp:7ffe error:0
		[    2.300000] bpf_preload_vm: exit status 0
	EOF
}

clean >"$tmp/clean"
./vm/gate "$tmp/clean" || complain "a clean log does not pass"
: >"$tmp/empty"
! ./vm/gate "$tmp/empty" 2>/dev/null || complain "an empty log passes"
! ./vm/gate "$tmp/absent" 2>/dev/null || complain "a log that is not there passes"

# What 7.3 says of itself, and nothing else of the kind.
known() {
	printf '[    2.500000] %s\r\n' '------------[ cut here ]------------' \
		"UBSAN: shift-out-of-bounds in $1:665:27" 'shift exponent 65536 is too large for 64-bit type' \
		'Call Trace:' ' dump_stack_lvl+0x5d/0x80' "$2"
}
end='---[ end trace ]---'
{ clean; known kernel/bpf/inode.c "$end"; clean; known ../kernel/bpf/inode.c "$end"; } >"$tmp/log"
./vm/gate "$tmp/log" || complain "a known fault of 7.3 does not pass"
{ clean; known kernel/bpf/inode.c ''; seq -f '[    2.600000] %g' 60; echo "$end"; } >"$tmp/log"
! ./vm/gate "$tmp/log" 2>/dev/null || complain "a known fault without an end passes"
{ clean; known kernel/bpf/core.c "$end"; } >"$tmp/log"
! ./vm/gate "$tmp/log" 2>/dev/null || complain "a shift elsewhere passes"
{ clean; known kernel/bpf/inode.c "$end"; echo 'BUG: KASAN: x'; } >"$tmp/log"
! ./vm/gate "$tmp/log" 2>/dev/null || complain "a splat behind a known one passes"

while read -r splat; do
	{ clean; printf '[    3.000000] %s\r\n' "$splat"; clean; } >"$tmp/log"
	! ./vm/gate "$tmp/log" 2>/dev/null || complain "passes: $splat"
done <<-'EOF'
	BUG: unable to handle page fault for address: ffffc90000000000
	BUG: sleeping function called from invalid context at mm/slab.h:493
	watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [kworker/1:1:42]
	kernel BUG at fs/dcache.c:2031!
	WARNING: CPU: 0 PID: 77 at kernel/workqueue.c:3023 __flush_work+0x2a0/0x2e0
	WARNING: possible circular locking dependency detected
	======[ INFO: possible recursive locking detected ]======
	inconsistent lock state
	DEBUG_LOCKS_WARN_ON(1)
	WARNING: suspicious RCU usage
	Oops: 0002 [#1] PREEMPT SMP NOPTI
	invalid opcode: 0000 [#2] SMP PTI
	general protection fault, probably for non-canonical address 0xdead: 0000
	general protection fault: 0000
	Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100
	Call Trace:
	BUG: KASAN: use-after-free in bpf_link_put+0x1a/0x90 [bpf_preload]
	BUG: KCSAN: data-race in preload / release
	BUG: KFENCE: memory corruption in kfree+0x8f/0x190
	UBSAN: array-index-out-of-bounds in kernel/bpf/inode.c:12:3
	ODEBUG: free active (active state 0) object type: work_struct
	kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
	INFO: task mount:123 blocked for more than 120 seconds.
	rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
	rcu: INFO: rcu_sched self-detected stall on CPU
	NMI watchdog: Watchdog detected hard LOCKUP on cpu 0
	refcount_t: underflow; use-after-free.
	BUG kmalloc-64 (Tainted: G           O     ): Right Redzone overwritten
	VFS: Busy inodes after unmount of tmpfs. Self-destruct in 5 seconds.
	Bad page map in process mount pte:8000 pmd:8000
	unregister_netdevice: waiting for lo to become free. Usage count = 2
EOF
exit "$failed"
