// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The program behind links.debug, for kernels with iter/bpf_link (since 5.19).
 */
#include "kernel.h"
#include "bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_link {
	__u32 id;
};

struct bpf_iter__bpf_link {
	struct bpf_iter_meta *meta;
	struct bpf_link *link;
};

#pragma clang attribute pop

SEC("iter/bpf_link") __link_name("links.debug")
int dump_bpf_link(struct bpf_iter__bpf_link *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_link *link = ctx->link;

	/*
	 * A link has no id before it is settled. Kernels leave such links out
	 * (6.1 to 7.3), but a 6.18 with patches of its own was seen to show them.
	 */
	if (!link || !link->id)
		return 0;
	if (ctx->meta->seq_num == 0)
		seq_puts(seq, "  id\n");
	seq_printf(seq, "%4u\n", link->id);
	return 0;
}
