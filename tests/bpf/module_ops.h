/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The struct of tests/vm/struct_ops/two_ops.c, in another order, and with a member more. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct two_ops___ours {
	int data;
	int (*second)(int add);
	int (*first)(void);
	int (*not_yet)(void);
};

char LICENSE[] SEC("license") = "GPL";

SEC("struct_ops")
int first(__u64 *ctx)
{
	return 40;
}

SEC("struct_ops")
int second(__u64 *ctx)
{
	return (int)ctx[0] + 100;
}
