/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A congestion control that keeps a window of two packets, as a map of struct_ops. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct sock;

/* The members in another order than the kernel's; the last one no kernel has, nor has it a program. */
struct tcp_congestion_ops___two {
	char name[16];
	__u32 flags;
	__u32 (*undo_cwnd)(struct sock *sk);
	__u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, __u32 ack, __u32 acked);
	void (*not_yet)(struct sock *sk);
};

char LICENSE[] SEC("license") = "GPL";

SEC("struct_ops")
__u32 undo_cwnd(__u64 *ctx)
{
	return 2;
}

SEC("struct_ops")
__u32 ssthresh(__u64 *ctx)
{
	return 2;
}

SEC("struct_ops")
void cong_avoid(__u64 *ctx)
{
}

/* 0x1 is TCP_CONG_NON_RESTRICTED: everybody may choose it. */
#define TCP_CA(section, ca_name)				\
	SEC(section) struct tcp_congestion_ops___two ops = {	\
		.name = ca_name,				\
		.flags = 0x1,					\
		.undo_cwnd = (void *)undo_cwnd,			\
		.ssthresh = (void *)ssthresh,			\
		.cong_avoid = (void *)cong_avoid,		\
	}
