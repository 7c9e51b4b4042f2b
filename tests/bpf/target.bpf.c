// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program of which functions can be replaced and traced. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

/* What the compiler does not see through: else nothing would be called. */
static __always_inline int opaque(int x)
{
	asm volatile("" : "+r"(x));
	return x;
}

__attribute__((noinline)) int replaced(struct __sk_buff *skb)
{
	return opaque(skb->len > 0);
}

__attribute__((noinline)) int traced(struct __sk_buff *skb)
{
	return opaque(skb->len > 0) + 1;
}

SEC("tc")
int target(struct __sk_buff *skb)
{
	return 10 * replaced(skb) + traced(skb);
}
