// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program for a member that the kernel has not. */
#include "tcp_ca.h"

SEC("struct_ops")
void not_yet(__u64 *ctx)
{
}

SEC(".struct_ops") struct tcp_congestion_ops___two ops = {
	.name = "two_missing",
	.undo_cwnd = (void *)undo_cwnd,
	.ssthresh = (void *)ssthresh,
	.cong_avoid = (void *)cong_avoid,
	.not_yet = (void *)not_yet,
};
