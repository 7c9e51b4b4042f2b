// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The programs behind maps.debug and progs.debug. One object for every kernel
 * from 5.10 on: what a kernel lacks is found out at load time, and the branch
 * that needs it is then dead code to the verifier.
 *
 * Each start of the blob waits until the verifier has walked these programs,
 * and each row of a listing for bpf_seq_printf(). So a row is one call, and its
 * arguments are as good as free of branches. Addresses of strings are numbers:
 * the verifier would tell addresses of different origin apart, and walk the
 * rest of the program once for each (ten times the instructions, 6.18).
 *
 * Strings are never NULL: %s would read that as a user address, which costs a
 * page fault each (5.10 to 7.3).
 */
#include "kernel.h"
#include "bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Since 6.6. */
extern __s64 bpf_map_sum_elem_count(const struct bpf_map *map) __ksym __weak;

/* Strings in one place, so that one address leads to each. */
struct text {
	char types[41][24];
	char none[2];
};

static const struct text map_text = {
	/* enum bpf_map_type */
	.types = {
		"unspec", "hash", "array", "prog_array", "perf_event_array", "percpu_hash",
		"percpu_array", "stack_trace", "cgroup_array", "lru_hash", "lru_percpu_hash",
		"lpm_trie", "array_of_maps", "hash_of_maps", "devmap", "sockmap", "cpumap",
		"xskmap", "sockhash", "cgroup_storage", "reuseport_sockarray",
		"percpu_cgroup_storage", "queue", "stack", "sk_storage", "devmap_hash",
		"struct_ops", "ringbuf", "inode_storage", "task_storage", "bloom_filter",
		"user_ringbuf", "cgrp_storage", "arena", "insn_array", "rhash",
		/* What newer kernels may have. */
		"36", "37", "38", "39", "40+",
	},
	.none = "-",
};

static const struct text prog_text = {
	/* enum bpf_prog_type */
	.types = {
		"unspec", "socket_filter", "kprobe", "sched_cls", "sched_act", "tracepoint",
		"xdp", "perf_event", "cgroup_skb", "cgroup_sock", "lwt_in", "lwt_out",
		"lwt_xmit", "sock_ops", "sk_skb", "cgroup_device", "sk_msg", "raw_tracepoint",
		"cgroup_sock_addr", "lwt_seg6local", "lirc_mode2", "sk_reuseport",
		"flow_dissector", "cgroup_sysctl", "raw_tracepoint_writable",
		"cgroup_sockopt", "tracing", "struct_ops", "ext", "lsm", "sk_lookup",
		"syscall", "netfilter",
		/* What newer kernels may have. */
		"33", "34", "35", "36", "37", "38", "39", "40+",
	},
	.none = "-",
};

/*
 * An address as a number. The verifier knows nothing any more of a pointer that
 * was negated (5.10 to 7.3); in asm, since the compiler knows better.
 */
#define number_of(addr) ({						\
	const void *__addr = (addr);					\
									\
	asm volatile("%0 = -%0\n%0 = -%0" : "+r"(__addr));		\
	(__u64)__addr;							\
})

/* 0 < n ? yes : no, without a branch: the verifier would walk both ways. */
#define choose(n, yes, no) ({						\
	__u64 __is = (n);						\
									\
	asm volatile("%0 = -%0\n%0 >>= 63" : "+r"(__is));		\
	(no) + ((yes) - (no)) * __is;					\
})

/* Ours, or as many as upstream's files have: tests/bench/read compares those. */
#ifndef columns
#define columns(ours, upstream) ours
#endif

#define none_of(address) ((address) + offsetof(struct text, none))

/* The name of a type in a text; of a type beyond the table, the last one there. */
static __u64 type_of(__u64 text, __u64 type)
{
	__u64 last = ARRAY_SIZE(map_text.types) - 1;

	return text + choose((type - last) >> 63, type, last) * sizeof(*map_text.types);
}

SEC("iter/bpf_map") __link_name("maps.debug")
int dump_bpf_map(struct bpf_iter__bpf_map *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_map *map = ctx->map;
	__u64 text, name, type;

	/* The last call has no map, and seq_num 0 again if there was only one. */
	if (!map)
		return 0;
	seq_heading(seq, ctx->meta->seq_num,
		    "    id name             max_entries  cur_entries type             key_size value_size\n");

	text = number_of(&map_text);
	name = choose(map->name[0], number_of(map->name), none_of(text));
	type = type_of(text, map->map_type);
	/* Only types that count their elements have a counter to sum. */
	if (bpf_map_sum_elem_count && bpf_core_field_exists(map->elem_count) && map->elem_count)
		seq_printf(seq, columns("%6u %-16s  %10u   %10lld %-16s %8u %10u\n",
					"%6u %-16s  %10u   %10lld\n"),
			   map->id, name, map->max_entries, bpf_map_sum_elem_count(map),
			   type, map->key_size, map->value_size);
	else
		seq_printf(seq, columns("%6u %-16s  %10u            - %-16s %8u %10u\n",
					"%6u %-16s  %10u            -\n"),
			   map->id, name, map->max_entries,
			   type, map->key_size, map->value_size);
	return 0;
}

/*
 * The untruncated name is that of the BTF function of the first instruction:
 * the kernel has checked at load that there is one wherever there is func_info.
 */
#define btf_name(aux) ({						\
	struct btf_type *__type = NULL;					\
	__u32 __name_off = 0;						\
									\
	bpf_probe_read_kernel(&__type, sizeof(__type),			\
			      (aux)->btf->types + (aux)->func_info->type_id); \
	bpf_probe_read_kernel(&__name_off, sizeof(__name_off), &__type->name_off); \
	number_of((aux)->btf->strings) + __name_off;		\
})

#define UNATTACHED_ROW "%6u %-16s -                -                %-16s %7u %7llu %6u\n"

SEC("iter/bpf_prog") __link_name("progs.debug")
int dump_bpf_prog(struct bpf_iter__bpf_prog *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_prog *prog = ctx->prog;
	__u64 text, target, attached, args[8];
	struct bpf_prog_aux *aux;
	struct bpf_prog *dst_prog;
	long err;

	if (!prog)
		return 0;
	seq_heading(seq, ctx->meta->seq_num,
		    "    id name             attached         target           type              xlated  loaded    uid\n");

	aux = prog->aux;
	text = number_of(&prog_text);
	args[0] = aux->id;
	args[2] = none_of(text);
	args[3] = args[2];
	args[4] = type_of(text, prog->type);
	args[5] = prog->len * 8;
	args[6] = aux->load_time / 1000000000;
	args[7] = aux->user->uid.val;

	/* Without func_info: the 15 bytes given to BPF_PROG_LOAD, or not even those. */
	args[1] = choose(aux->name[0], number_of(aux->name), args[2]);
	if (aux->func_info_cnt)
		args[1] = btf_name(aux);

	/*
	 * attach_func_name is borrowed from the target's BTF. The kernel's and a
	 * module's BTF stay; that of a target program is held by dst_prog, which
	 * the first attachment clears (since 5.10): the name may dangle then.
	 */
	if (aux->attach_func_name) {
		attached = number_of(aux->attach_func_name);
		dst_prog = aux->dst_prog;
		if (dst_prog) {
			target = btf_name(dst_prog->aux);
			/* Cleared meanwhile: the target may be gone, with its func_info. */
			if (aux->dst_prog == dst_prog) {
				args[2] = attached;
				args[3] = target;
			}
		} else if (aux->saved_dst_prog_type == BPF_PROG_TYPE_UNSPEC) {
			args[2] = attached;
		}
	}

	/*
	 * The names may be too long for one call (512 bytes), which then prints
	 * nothing. A call for each would cost each start more than such names
	 * are worth: the program's own gets one, the others are left out.
	 */
	if (aux->attach_func_name)
		err = seq_row(seq, columns("%6u %-16s %-16s %-16s %-16s %7u %7llu %6u\n",
					   "%6u %-16s %s %s\n"), args);
	else	/* Most programs: two strings less to copy is a fifth of the time. */
		err = seq_printf(seq, columns(UNATTACHED_ROW, "%6u %-16s - -\n"),
				 args[0], args[1], args[4], args[5], args[6], args[7]);
	if (err == -ENOSPC) {
		seq_printf(seq, "%6u", args[0]);
		seq_printf(seq, " %-16s", args[1]);
		seq_printf(seq, " -                -                %-16s %7u %7llu %6u\n",
			   args[4], args[5], args[6], args[7]);
	}
	return 0;
}
