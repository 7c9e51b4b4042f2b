// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs whose links tests/bpf/links.c makes, as far as they need BTF. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

/* Global, so that it can be replaced, with work that keeps it from being inlined. */
__attribute__((noinline)) int replaced(struct __sk_buff *skb)
{
	return skb->len + 1;
}

SEC("socket")
int first_target_with_a_long_name(struct __sk_buff *skb)
{
	return replaced(skb);
}

SEC("socket")
int second_target(struct __sk_buff *skb)
{
	return replaced(skb) + 1;
}

SEC("socket")
int third_target(struct __sk_buff *skb)
{
	return replaced(skb) + 2;
}

SEC("freplace/replaced")
int replacement(struct __sk_buff *skb)
{
	return skb->len + 2;
}

SEC("fentry/bpf_fentry_test1")
int at_kernel_function(void *ctx)
{
	return 0;
}

SEC("fexit/replaced")
int at_program_exit(void *ctx)
{
	return 0;
}

SEC("iter/bpf_map_elem")
int each_element(void *ctx)
{
	return 0;
}

SEC("iter/task")
int each_task(void *ctx)
{
	return 0;
}

SEC("iter/cgroup")
int each_cgroup(void *ctx)
{
	return 0;
}

SEC("tp_btf/sched_switch")
int at_switch(void *ctx)
{
	return 0;
}
