// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The program behind links.debug, for kernels that iterate links (since 5.19).
 *
 * The iterator holds a reference to the link that it shows, and RCU. So what the
 * link holds is there: its program, a target program, a map, an open file. What
 * it does not hold is a device, a cgroup, a network namespace; but the link's
 * pointer to it is cleared, and RCU waited for, before that is freed. Such a
 * pointer is read once, and NULL means a detached link.
 */
#include "links.h"
#include "bpf.h"

/*
 * The verifier knows of struct bpf_link alone: the struct that it is part of,
 * and all that this leads to, is read by probing. The offset is an argument,
 * which is an instruction less than to add it.
 */
static __u64 read_u64(const void *from, __u64 offset);
static __u32 read_u32(const void *from, __u64 offset);
#define READ(p, field) ({								\
	typeof(p) __p = (p);								\
	__u64 __offset = bpf_core_field_offset(__p->field);				\
											\
	(typeof(__p->field))__builtin_choose_expr(sizeof(__p->field) == 8,		\
		read_u64(__p, __offset), read_u32(__p, __offset));			\
})

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __noinline __u64 read_u64(const void *from, __u64 offset)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), from + offset);
	return value;
}

static __noinline __u32 read_u32(const void *from, __u64 offset)
{
	__u32 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), from + offset);
	return value;
}

static __u64 str(const char *s)
{
	return (__u64)s;
}

/* A string that may be empty. */
static __noinline __u64 str_or_none(const char *s)
{
	char first = 0;

	bpf_probe_read_kernel(&first, sizeof(first), s);
	return first ? str(s) : text("-");
}

/* The kernel has checked that the type is there: it is that of a function. */
static __noinline __u64 btf_name(struct btf *btf, __u32 type_id)
{
	struct btf_type *type = (void *)read_u64(READ(btf, types) + type_id, 0);

	return str(READ(btf, strings) + READ(type, name_off));
}

/* As in progs.debug: whole from BTF, else the 15 bytes given to BPF_PROG_LOAD. */
static __noinline __u64 prog_name(struct bpf_prog_aux *aux)
{
	if (READ(aux, func_info_cnt))
		return btf_name(READ(aux, btf), READ(READ(aux, func_info), type_id));
	return str_or_none(aux->name);
}

/* What a link is the first member of. */
#define PART_OF(type) ((struct type *)link)
#define container_of(p, type, member) \
	((type *)((void *)(p) - bpf_core_field_offset(((type *)0)->member)))

/* Room for the longest enumerator: BPF_SK_REUSEPORT_SELECT_OR_MIGRATE. */
#define NAME_WORDS 5

/*
 * Prints the kernel's own name for a value of one of its enums, in lower case
 * and without the enum's prefix; the number if it has none.
 */
static __noinline void put_enum(struct seq_file *seq, __u32 value, __u32 type_id,
				__u32 prefix_len)
{
	struct btf_ptr ptr = { .ptr = &value, .type_id = type_id };
	__u64 words[NAME_WORDS];
	char *name = (char *)words;

	bpf_snprintf_btf(name, sizeof(words), &ptr, sizeof(ptr), BTF_F_COMPACT | BTF_F_NONAME);
#pragma clang loop unroll(disable)
	for (int i = 0; i < NAME_WORDS; i++) {
		/* Bit 5 is that of lower case; '_' is above all letters. */
		__u64 others = (words[i] & 0x1f1f1f1f1f1f1f1f) + 0x0505050505050505;

		words[i] |= words[i] >> 1 & ~others & 0x2020202020202020;
	}
	if (*name >= 'a')
		name += prefix_len;
	seq_printf(seq, " %-14s", str(name));
}

/* The pieces of a line: words, and numbers with what they are. */
static __noinline void put(struct seq_file *seq, __u64 word)
{
	seq_printf(seq, " %s", word);
}

static __noinline void put_number(struct seq_file *seq, __u64 what, __s64 number)
{
	seq_printf(seq, " %s %lld", what, number);
}

static __noinline void put_dev(struct seq_file *seq, struct net_device *dev)
{
	if (dev) {
		put(seq, str(dev->name));
		put_number(seq, text("ifindex"), READ(dev, ifindex));
	} else {
		put(seq, text("detached"));
	}
}

static __noinline void put_map(struct seq_file *seq, struct bpf_map *map)
{
	if (map) {
		put(seq, str_or_none(map->name));
		put_number(seq, text("id"), READ(map, id));
	} else {
		put(seq, text("detached"));
	}
}

/* The root has no name. */
static __noinline void put_cgroup(struct seq_file *seq, struct cgroup *cgroup)
{
	struct kernfs_node *kn;

	if (cgroup) {
		kn = READ(cgroup, kn);
		put(seq, str_or_none(READ(kn, name)));
		put_number(seq, text("id"), READ(kn, id));
	} else {
		put(seq, text("detached"));
	}
}

/* The bit of both kinds of multi links (uapi), and perf's. */
static __noinline void put_return(struct seq_file *seq, __u32 flags)
{
	if (flags & 1)
		put(seq, text("return"));
}

static __noinline void put_symbol(struct seq_file *seq, __u64 address)
{
	seq_printf(seq, " %ps", address);
}

static void put_tracing(struct seq_file *seq, struct bpf_tracing_link *link,
			struct bpf_prog *prog)
{
	struct bpf_prog *target = READ(link, tgt_prog);
	struct bpf_prog_aux *aux;

	if (!target) {
		/* Borrowed from the BTF of the kernel or of a module, which the program holds. */
		put(seq, str(prog->aux->attach_func_name));
		return;
	}
	/*
	 * attach_func_name is that of the program's first target, which may be
	 * gone. The link's own target is not, and the key says which function.
	 */
	aux = READ(target, aux);
	put(seq, btf_name(READ(aux, btf), READ(READ(link, trampoline), key)));
	put(seq, prog_name(aux));
	put_number(seq, text("id"), READ(aux, id));
}

static void put_iter(struct seq_file *seq, struct bpf_iter_link *link)
{
	struct bpf_map *map = READ(link, aux.map);
	struct cgroup *cgroup;
	__u32 pid;

	put(seq, str(READ(READ(READ(link, tinfo), reg_info), target)));
	if (map)
		put_map(seq, map);
	if (bpf_core_field_exists(link->aux.cgroup)) {
		cgroup = READ(link, aux.cgroup.start);
		if (cgroup)
			put_cgroup(seq, cgroup);
	}
	if (bpf_core_field_exists(link->aux.task)) {
		pid = READ(link, aux.task.pid);
		if (pid)
			put_number(seq, text("pid"), pid);
	}
}

static void put_netns(struct seq_file *seq, struct net *net)
{
	if (net)
		put_number(seq, text("inode"), READ(net, ns.inum));
	else
		put(seq, text("detached"));
}

static void put_netfilter(struct seq_file *seq, struct bpf_nf_link *link)
{
	if (READ(link, dead)) {
		put(seq, text("detached"));
		return;
	}
	put_number(seq, text("pf"), (__u8)read_u32(link, bpf_core_field_offset(link->hook_ops.pf)));
	put_enum(seq, READ(link, hook_ops.hooknum), bpf_core_type_id_kernel(enum nf_inet_hooks),
		 sizeof("NF_INET_") - 1);
	put_number(seq, text("priority"), READ(link, hook_ops.priority));
}

/* A kprobe's or uprobe's own event, of which no other can be. */
static void put_probe(struct seq_file *seq, struct perf_event *event, char kind)
{
	struct trace_event_call *call = READ(event, tp_event);
	const char *name = READ(call, name);
	struct trace_probe_event *probe_event;
	struct trace_uprobe *uprobe = NULL;

	put_return(seq, READ(event, attr.config));
	if (!READ(event, attr.kprobe_func)) {
		put_symbol(seq, READ(event, attr.probe_offset));
		return;
	}
	if (kind == 'u' && bpf_core_field_exists(uprobe->filename)) {
		probe_event = container_of(call, struct trace_probe_event, call);
		uprobe = container_of(READ(probe_event, probes.next), struct trace_uprobe, tp.list);
		name = READ(uprobe, filename);
	}
	put(seq, str(name));
	put_number(seq, text("offset"), READ(event, attr.probe_offset));
}

static void put_perf_event(struct seq_file *seq, struct bpf_perf_link *link)
{
	struct perf_event *event = READ(READ(link, perf_file), private_data);
	struct trace_event_call *call = READ(event, tp_event);
	const char *pmu = READ(READ(event, pmu), name);
	const char *name;
	__u32 is_tracepoint;

	if (!call) {
		put_number(seq, text("type"), READ(event, attr.type));
		put_number(seq, text("config"), READ(event, attr.config));
		return;
	}
	put(seq, str(pmu));
	if (READ(event, attr.type) != PERF_TYPE_TRACEPOINT) {
		put_probe(seq, event, read_u32(pmu, 0));
	} else {
		/* The flag moved when the filter went (6.12); others are made in tracefs. */
		is_tracepoint = bpf_core_field_exists(call->filter) ? 16 : 8;
		name = READ(call, name);
		if (READ(call, flags) & is_tracepoint)
			name = READ((struct tracepoint *)name, name);
		put(seq, str(name));
	}
}

static void put_struct_ops(struct seq_file *seq, struct bpf_map *map)
{
	struct bpf_struct_ops_map *ops = (void *)map;

	if (map && bpf_core_field_exists(ops->st_ops_desc))
		put(seq, str(READ(READ(READ(ops, st_ops_desc), st_ops), name)));
	put_map(seq, map);
}

/* The first of the functions, and how many there are. */
static void put_kprobe_multi(struct seq_file *seq, struct bpf_link *link)
{
	struct bpf_kprobe_multi_link *multi = PART_OF(bpf_kprobe_multi_link);

	put_return(seq, bpf_core_field_exists(link->flags) ? link->flags : READ(multi, flags));
	put_symbol(seq, read_u64(READ(multi, addrs), 0));
	put_number(seq, text("count"), READ(multi, cnt));
}

static void put_uprobe_multi(struct seq_file *seq, struct bpf_link *link)
{
	struct bpf_uprobe_multi_link *multi;

	multi = container_of(link, struct bpf_uprobe_multi_link, link);
	put_return(seq, bpf_core_field_exists(link->flags) ? link->flags : READ(multi, flags));
	put(seq, str(READ(READ(multi, path.dentry), d_name.name)));
	put_number(seq, text("count"), READ(multi, cnt));
}

#define ATTACH_TYPE(type, field) \
	(bpf_core_field_exists(PART_OF(type)->field) ? READ(PART_OF(type), field) : 0)

static __u32 attach_type(struct bpf_link *link, struct bpf_prog *prog)
{
	/* Since 6.17 a field of all links. */
	if (bpf_core_field_exists(link->attach_type))
		return link->attach_type;
	switch ((int)link->type) {
	case BPF_LINK_TYPE_CGROUP:
		return ATTACH_TYPE(bpf_cgroup_link, type);
	case BPF_LINK_TYPE_NETNS:
		return ATTACH_TYPE(bpf_netns_link, type);
	case BPF_LINK_TYPE_TCX:
		return ATTACH_TYPE(tcx_link, location);
	case BPF_LINK_TYPE_NETKIT:
		return ATTACH_TYPE(netkit_link, location);
	case BPF_LINK_TYPE_SOCKMAP:
		return ATTACH_TYPE(sockmap_link, attach_type);
	default:
		return prog->expected_attach_type;
	}
}

#define WITH_ATTACH_TYPE (BIT(BPF_LINK_TYPE_TRACING) | BIT(BPF_LINK_TYPE_CGROUP) |		\
			  BIT(BPF_LINK_TYPE_NETNS) | BIT(BPF_LINK_TYPE_KPROBE_MULTI) |		\
			  BIT(BPF_LINK_TYPE_TCX) | BIT(BPF_LINK_TYPE_UPROBE_MULTI) |		\
			  BIT(BPF_LINK_TYPE_NETKIT) | BIT(BPF_LINK_TYPE_SOCKMAP) |		\
			  BIT(BPF_LINK_TYPE_TRACING_MULTI))

SEC("iter/bpf_link") __link_name("links.debug")
int dump_bpf_link(struct bpf_iter__bpf_link *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct bpf_link *link = ctx->link;
	struct bpf_prog *prog;
	int type;

	/*
	 * The last call has no link, and a link no id before it is settled. Kernels
	 * leave such out (6.1 to 7.3), but a 6.18 with patches of its own shows them.
	 */
	if (!link || !link->id)
		return 0;
	if (ctx->meta->seq_num == 0)
		seq_puts(seq, "    id type             prog name             attached\n");

	type = link->type;
	seq_printf(seq, "%6u", link->id);
	put_enum(seq, type, bpf_core_type_id_kernel(enum bpf_link_type),
		 sizeof("BPF_LINK_TYPE_") - 1);
	prog = link->prog;
	if (prog)
		seq_printf(seq, " %6u %-16s", prog->aux->id, prog_name(prog->aux));
	else
		seq_puts(seq, "      - -               ");

	if (prog && prog->type == BPF_PROG_TYPE_EXT)
		put(seq, text("freplace"));
	else if (prog && (WITH_ATTACH_TYPE & BIT(type)))
		put_enum(seq, attach_type(link, prog),
			 bpf_core_type_id_kernel(enum bpf_attach_type), sizeof("BPF_") - 1);

	switch (type) {
	case BPF_LINK_TYPE_RAW_TRACEPOINT:
		if (bpf_core_field_exists(PART_OF(bpf_raw_tp_link)->btp))
			put(seq, str(READ(READ(READ(PART_OF(bpf_raw_tp_link), btp), tp), name)));
		break;
	case BPF_LINK_TYPE_TRACING:
		if (bpf_core_field_exists(PART_OF(bpf_tracing_link)->tgt_prog))
			put_tracing(seq, PART_OF(bpf_tracing_link), prog);
		break;
	case BPF_LINK_TYPE_CGROUP:
		if (bpf_core_field_exists(PART_OF(bpf_cgroup_link)->cgroup))
			put_cgroup(seq, READ(PART_OF(bpf_cgroup_link), cgroup));
		break;
	case BPF_LINK_TYPE_ITER:
		put_iter(seq, PART_OF(bpf_iter_link));
		break;
	case BPF_LINK_TYPE_NETNS:
		if (bpf_core_field_exists(PART_OF(bpf_netns_link)->net))
			put_netns(seq, READ(PART_OF(bpf_netns_link), net));
		break;
	case BPF_LINK_TYPE_XDP:
		if (bpf_core_field_exists(PART_OF(bpf_xdp_link)->dev))
			put_dev(seq, READ(PART_OF(bpf_xdp_link), dev));
		break;
	case BPF_LINK_TYPE_PERF_EVENT:
		if (bpf_core_field_exists(PART_OF(bpf_perf_link)->perf_file))
			put_perf_event(seq, PART_OF(bpf_perf_link));
		break;
	case BPF_LINK_TYPE_KPROBE_MULTI:
		if (bpf_core_field_exists(PART_OF(bpf_kprobe_multi_link)->cnt))
			put_kprobe_multi(seq, link);
		break;
	case BPF_LINK_TYPE_STRUCT_OPS:
		if (bpf_core_field_exists(PART_OF(bpf_struct_ops_link)->map))
			put_struct_ops(seq, READ(PART_OF(bpf_struct_ops_link), map));
		break;
	case BPF_LINK_TYPE_NETFILTER:
		if (bpf_core_field_exists(PART_OF(bpf_nf_link)->dead))
			put_netfilter(seq, PART_OF(bpf_nf_link));
		break;
	case BPF_LINK_TYPE_TCX:
		if (bpf_core_field_exists(PART_OF(tcx_link)->dev))
			put_dev(seq, READ(PART_OF(tcx_link), dev));
		break;
	case BPF_LINK_TYPE_UPROBE_MULTI:
		if (bpf_core_field_exists(((struct bpf_uprobe_multi_link *)link)->cnt))
			put_uprobe_multi(seq, link);
		break;
	case BPF_LINK_TYPE_NETKIT:
		if (bpf_core_field_exists(PART_OF(netkit_link)->dev))
			put_dev(seq, READ(PART_OF(netkit_link), dev));
		break;
	case BPF_LINK_TYPE_SOCKMAP:
		if (bpf_core_field_exists(PART_OF(sockmap_link)->map))
			put_map(seq, READ(PART_OF(sockmap_link), map));
		break;
	case BPF_LINK_TYPE_TRACING_MULTI:
		if (bpf_core_field_exists(PART_OF(bpf_tracing_multi_link)->nodes_cnt))
			put_number(seq, text("count"),
				   READ(PART_OF(bpf_tracing_multi_link), nodes_cnt));
		break;
	}
	seq_puts(seq, "\n");
	return 0;
}
