// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs at many functions: since 5.18. */
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

COUNT("kprobe.multi/vfs_mk?ir", at_pattern, 0)
COUNT("kprobe.multi/vfs_mkdir", at_function, 0)
COUNT("kretprobe.multi/vfs_mkd*", at_return, 0)
