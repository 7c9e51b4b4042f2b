/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel as the iterators see it: only the fields that they read. Offsets
 * and sizes are those of the running kernel, by CO-RE; what is not in every
 * kernel from 5.10 on is guarded with bpf_core_field_exists().
 */
#ifndef BPF_PRELOAD_KERNEL_H
#define BPF_PRELOAD_KERNEL_H

typedef unsigned char __u8;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

enum bpf_map_type {
	BPF_MAP_TYPE_UNSPEC,
};

struct bpf_map {
	enum bpf_map_type map_type;
	__u32 key_size;
	__u32 value_size;
	__u32 max_entries;
	__u32 id;
	char name[16];
	__s64 *elem_count;	/* since 6.6; NULL where the type does not count */
};

struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
};

struct btf_type {
	__u32 name_off;
};

struct btf {
	const char *strings;
	struct btf_type **types;
};

struct bpf_func_info {
	__u32 type_id;
};

struct user_struct {
	struct {
		__u32 val;
	} uid;		/* kuid_t */
};

struct bpf_prog;

enum bpf_prog_type {
	BPF_PROG_TYPE_UNSPEC,
};

enum bpf_attach_type {
	BPF_CGROUP_INET_INGRESS,
};

struct bpf_prog_aux {
	__u32 id;
	__u32 func_info_cnt;
	enum bpf_prog_type saved_dst_prog_type;
	char name[16];
	const char *attach_func_name;
	struct bpf_prog *dst_prog;
	struct user_struct *user;
	__u64 load_time;
	struct bpf_func_info *func_info;
	struct btf *btf;
};

struct bpf_prog {
	enum bpf_prog_type type;
	__u32 len;
	enum bpf_attach_type expected_attach_type;
	struct bpf_prog_aux *aux;
};

struct bpf_iter__bpf_prog {
	struct bpf_iter_meta *meta;
	struct bpf_prog *prog;
};

#pragma clang attribute pop

#endif /* BPF_PRELOAD_KERNEL_H */
