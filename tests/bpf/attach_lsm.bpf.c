// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program at a hook of LSM: where BPF LSM is built in. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

/* A program that counts how often it ran, in a variable of its name. */
#define COUNT(section, name, result)		\
	__u64 name##_count;			\
	SEC(section)				\
	int name(void *ctx)			\
	{					\
		name##_count++;			\
		return result;			\
	}

COUNT("lsm/inode_mkdir", at_hook, 0)
