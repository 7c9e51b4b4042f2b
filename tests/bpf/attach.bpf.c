// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs that run once at a mkdir(2), on all kernels from 5.10 on. */
#include "count.h"

COUNT("fentry/vfs_mkdir", at_entry, 0)
COUNT("fexit/vfs_mkdir", at_exit, 0)
COUNT("fmod_ret/security_inode_mkdir", before_return, 0)
COUNT("kprobe/vfs_mkdir", at_kprobe, 0)
COUNT("kprobe/vfs_mkdir+0x0", at_offset, 0)
COUNT("kretprobe/vfs_mkdir", at_kretprobe, 0)
COUNT("ksyscall/mkdir", at_syscall, 0)
COUNT("kretsyscall/mkdir", at_syscall_return, 0)
COUNT("tp/syscalls/sys_enter_mkdir", at_tracepoint, 0)
COUNT("tracepoint/syscalls/sys_exit_mkdir", at_tracepoint_exit, 0)

__u64 at_raw_count, at_btf_count;

/* mkdir is system call 83. */
SEC("raw_tp/sys_enter")
int at_raw(__u64 *ctx)
{
	at_raw_count += ctx[1] == 83;
	return 0;
}

SEC("tp_btf/sys_enter")
int at_btf(__u64 *ctx)
{
	at_btf_count += ctx[1] == 83;
	return 0;
}
