// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs behind maps.debug and progs.debug. One object for every kernel
 * from 5.10 on: what a kernel lacks is found out at load time, and the branch
 * that needs it is then dead code to the verifier.
 *
 * Strings handed to bpf_seq_printf() are never NULL: since its %s would read a
 * NULL pointer as a user address, which costs a page fault each (5.10 to 7.3).
 */
#include "kernel.h"
#include "bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Since 6.6. */
extern __s64 bpf_map_sum_elem_count(const struct bpf_map *map) __ksym __weak;

static const char none[] = "-";

static __u64 str(const char *s)
{
	return (__u64)s;
}

SEC("iter/bpf_map") __link_name("maps.debug")
int dump_bpf_map(struct bpf_iter__bpf_map *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_map *map = ctx->map;
	const char *name;

	/* The last call has no map, and seq_num 0 again if there was only one. */
	if (!map)
		return 0;
	if (ctx->meta->seq_num == 0)
		seq_puts(seq, "  id name             max_entries  cur_entries\n");

	name = map->name[0] ? map->name : none;
	/* Only types that count their elements have a counter to sum. */
	if (bpf_map_sum_elem_count && bpf_core_field_exists(map->elem_count) && map->elem_count)
		seq_printf(seq, "%4u %-16s  %10u   %10lld\n", map->id, str(name),
			   map->max_entries, bpf_map_sum_elem_count(map));
	else
		seq_printf(seq, "%4u %-16s  %10u   %10s\n", map->id, str(name),
			   map->max_entries, str(none));
	return 0;
}

/*
 * The untruncated name is that of the BTF function of the first instruction.
 * Programs without func_info have only the 15 bytes given to BPF_PROG_LOAD,
 * programs loaded without a name not even those.
 */
static __u64 prog_name(struct bpf_prog_aux *aux)
{
	struct btf *btf = aux->btf;
	__u32 type_id, name_off = 0;
	struct btf_type *t = NULL;

	if (btf && aux->func_info_cnt) {
		type_id = aux->func_info->type_id;
		if (type_id < btf->nr_types)
			bpf_probe_read_kernel(&t, sizeof(t), btf->types + type_id);
		if (t)
			bpf_probe_read_kernel(&name_off, sizeof(name_off), &t->name_off);
		if (name_off && name_off < btf->hdr.str_len)
			return str(btf->strings + name_off);
	}
	return str(aux->name[0] ? aux->name : none);
}

SEC("iter/bpf_prog") __link_name("progs.debug")
int dump_bpf_prog(struct bpf_iter__bpf_prog *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_prog *prog = ctx->prog;
	struct bpf_prog *dst_prog;
	struct bpf_prog_aux *aux;

	if (!prog)
		return 0;
	if (ctx->meta->seq_num == 0)
		seq_puts(seq, "  id name             attached\n");

	aux = prog->aux;
	dst_prog = aux->dst_prog;
	/*
	 * Printed piece by piece: strings of several origins in one argument
	 * array would multiply the paths that the verifier walks (945
	 * instructions instead of 238 on 6.18, half a load's time).
	 */
	seq_printf(seq, "%4u %-16s ", aux->id, prog_name(aux));
	/*
	 * attach_func_name is borrowed from the target's BTF. The kernel's own
	 * BTF stays; that of a target program is held by dst_prog, which the
	 * first attachment clears (since 5.10): the name may dangle then.
	 */
	if (aux->attach_func_name && (dst_prog || aux->saved_dst_prog_type == BPF_PROG_TYPE_UNSPEC))
		seq_printf(seq, "%s", str(aux->attach_func_name));
	if (dst_prog)
		seq_printf(seq, " %s", prog_name(dst_prog->aux));
	seq_puts(seq, "\n");
	return 0;
}
