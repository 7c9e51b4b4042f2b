// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs at functions of tests/bpf/target.bpf.c. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

__u64 entries, exits;

SEC("freplace/replaced")
int replacement(struct __sk_buff *skb)
{
	return 7;
}

SEC("fentry/traced")
int at_entry(void *ctx)
{
	entries++;
	return 0;
}

/* The function is to be named by whoever loads it. */
SEC("fexit/no_such_function")
int at_exit(void *ctx)
{
	exits++;
	return 0;
}
