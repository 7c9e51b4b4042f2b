/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the programs that are attached have in common. */
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
