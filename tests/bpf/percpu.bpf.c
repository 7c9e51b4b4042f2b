// SPDX-License-Identifier: MIT OR Apache-2.0
/* Variables of which each CPU has its own. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

int first SEC(".percpu") = 7;
int second SEC(".percpu") = 40;

SEC("tc")
int count(void *ctx)
{
	first++;
	second += 2;
	return 0;
}
