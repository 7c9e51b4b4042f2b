/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's links as links.debug sees them: see kernel.h. Their numbers
 * (enum bpf_link_type) are uapi. Which of the structs a kernel has is a matter
 * of its version and its configuration; all but the first are private to the
 * file that implements them, and every access to one is guarded.
 */
#ifndef BPF_PRELOAD_LINKS_H
#define BPF_PRELOAD_LINKS_H

#include "kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* CO-RE wants the enums by name. Values that are not spelt out cost no BTF. */
enum bpf_link_type {
	BPF_LINK_TYPE_UNSPEC,
};

#define BPF_LINK_TYPE_RAW_TRACEPOINT	1
#define BPF_LINK_TYPE_TRACING		2
#define BPF_LINK_TYPE_CGROUP		3
#define BPF_LINK_TYPE_ITER		4
#define BPF_LINK_TYPE_NETNS		5
#define BPF_LINK_TYPE_XDP		6
#define BPF_LINK_TYPE_PERF_EVENT	7
#define BPF_LINK_TYPE_KPROBE_MULTI	8
#define BPF_LINK_TYPE_STRUCT_OPS	9
#define BPF_LINK_TYPE_NETFILTER		10
#define BPF_LINK_TYPE_TCX		11
#define BPF_LINK_TYPE_UPROBE_MULTI	12
#define BPF_LINK_TYPE_NETKIT		13
#define BPF_LINK_TYPE_SOCKMAP		14
#define BPF_LINK_TYPE_TRACING_MULTI	15

#define BPF_PROG_TYPE_EXT		28

#define PERF_TYPE_TRACEPOINT		2

enum nf_inet_hooks {
	NF_INET_PRE_ROUTING,
};

struct bpf_link {
	__u32 id;
	enum bpf_link_type type;
	struct bpf_prog *prog;			/* NULL for struct_ops */
	enum bpf_attach_type attach_type;	/* since 6.17; before, in some of the links */
	__u32 flags;				/* since 6.17, likewise */
};

struct bpf_iter__bpf_link {
	struct bpf_iter_meta *meta;
	struct bpf_link *link;
};

struct bpf_trampoline {
	__u64 key;	/* of a program: its id in the upper half, the function's BTF id below */
};

struct bpf_tracing_link {
	struct bpf_trampoline *trampoline;
	struct bpf_prog *tgt_prog;	/* NULL for a function of the kernel */
};

struct bpf_tracing_multi_link {
	int nodes_cnt;
};

struct tracepoint {
	const char *name;
};

struct bpf_raw_event_map {
	struct tracepoint *tp;
};

struct bpf_raw_tp_link {
	struct bpf_raw_event_map *btp;
};

struct kernfs_node {
	const char *name;
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct bpf_cgroup_link {
	struct cgroup *cgroup;		/* NULL once it is removed */
	enum bpf_attach_type type;	/* before 6.17 */
};

struct bpf_iter_reg {
	const char *target;
};

struct bpf_iter_target_info {
	const struct bpf_iter_reg *reg_info;
};

/* What an iterator is restricted to: at most one of them is set. */
struct bpf_iter_aux_info {
	struct bpf_map *map;
	struct {
		struct cgroup *start;
	} cgroup;			/* since 6.1 */
	struct {
		__u32 pid;
	} task;				/* since 6.1 */
};

struct bpf_iter_link {
	struct bpf_iter_aux_info aux;
	struct bpf_iter_target_info *tinfo;
};

struct ns_common {
	__u32 inum;
};

struct net {
	struct ns_common ns;
};

struct bpf_netns_link {
	struct net *net;		/* NULL once it is gone */
	enum bpf_attach_type type;	/* before 6.17 */
};

struct net_device {
	char name[16];
	int ifindex;
};

/* The devices of links are NULL once they are removed, or the link detached. */
struct bpf_xdp_link {
	struct net_device *dev;
};

struct tcx_link {
	struct net_device *dev;
	__u32 location;		/* an attach type; before 6.17 */
};

struct netkit_link {
	struct net_device *dev;
	__u32 location;		/* an attach type; before 6.17 */
};

struct nf_hook_ops {
	__u8 pf;
	__u32 hooknum;
	int priority;
};

struct bpf_nf_link {
	struct nf_hook_ops hook_ops;
	__u32 dead;		/* detached */
};

struct bpf_kprobe_multi_link {
	__u64 *addrs;
	__u32 cnt;
	__u32 flags;		/* before 6.17 */
};

struct qstr {
	const char *name;
};

struct dentry {
	struct qstr d_name;
};

struct path {
	struct dentry *dentry;
};

struct bpf_uprobe_multi_link {
	struct path path;
	struct bpf_link link;	/* not the first member, as in all others */
	__u32 cnt;
	__u32 flags;		/* before 6.17 */
};

struct trace_event_call {
	union {
		const char *name;
		struct tracepoint *tp;
	};
	int flags;
	void *filter;		/* before 6.12 */
};

struct list_head {
	struct list_head *next;
};

struct trace_probe_event {
	struct trace_event_call call;
	struct list_head probes;	/* of the trace_probes' lists */
};

struct trace_probe {
	struct list_head list;
};

struct trace_uprobe {
	const char *filename;
	struct trace_probe tp;
};

struct pmu {
	const char *name;
};

struct perf_event_attr {
	__u32 type;
	__u64 config;
	__u64 kprobe_func;	/* or uprobe_path: user addresses */
	__u64 probe_offset;	/* or kprobe_addr */
};

struct perf_event {
	struct pmu *pmu;
	struct perf_event_attr attr;
	struct trace_event_call *tp_event;
};

struct file {
	void *private_data;
};

struct bpf_perf_link {
	struct file *perf_file;
};

struct bpf_struct_ops {
	const char *name;
};

struct bpf_struct_ops_desc {
	struct bpf_struct_ops *st_ops;
};

struct bpf_struct_ops_map {
	const struct bpf_struct_ops_desc *st_ops_desc;	/* since 6.9 */
};

struct bpf_struct_ops_link {
	struct bpf_map *map;		/* NULL once detached */
};

struct sockmap_link {
	struct bpf_map *map;		/* NULL once detached */
	enum bpf_attach_type attach_type;	/* before 6.17 */
};

#pragma clang attribute pop

#endif /* BPF_PRELOAD_LINKS_H */
