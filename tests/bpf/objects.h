/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * BPF objects by the plain system call, for tests that need many, or odd ones.
 * Whatever fails ends the program with one line: a test that cannot make what
 * it wants to see listed has no result.
 */
#ifndef TESTS_BPF_OBJECTS_H
#define TESTS_BPF_OBJECTS_H

#include <errno.h>
#include <error.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

static inline __u64 addr(const void *p)
{
	return (unsigned long)p;
}

static inline int bpf_or_die(const char *what, int cmd, union bpf_attr *attr)
{
	int ret = bpf(cmd, attr);

	if (ret < 0)
		error(1, errno, "%s", what);
	return ret;
}

/* The id is the first or second word of an info, as the kind has it. */
static inline __u32 id_in_info(int fd, size_t offset)
{
	char info[512] = {};
	union bpf_attr attr = { .info = { fd, sizeof(info), addr(info) } };
	__u32 id;

	bpf_or_die("BPF_OBJ_GET_INFO_BY_FD", BPF_OBJ_GET_INFO_BY_FD, &attr);
	memcpy(&id, info + offset, sizeof(id));
	return id;
}

static inline __u32 prog_id(int fd)
{
	return id_in_info(fd, offsetof(struct bpf_prog_info, id));
}

static inline __u32 map_id(int fd)
{
	return id_in_info(fd, offsetof(struct bpf_map_info, id));
}

static inline int map_create(__u32 type, const char *name, __u32 key_size,
			     __u32 value_size, __u32 max_entries)
{
	union bpf_attr attr = {
		.map_type = type,
		.key_size = key_size,
		.value_size = value_size,
		.max_entries = max_entries,
	};

	memcpy(attr.map_name, name, strnlen(name, sizeof(attr.map_name) - 1));
	return bpf_or_die("BPF_MAP_CREATE", BPF_MAP_CREATE, &attr);
}

static inline void map_update(int fd, const void *key, const void *value)
{
	union bpf_attr attr = {
		.map_fd = fd,
		.key = addr(key),
		.value = addr(value),
	};

	bpf_or_die("BPF_MAP_UPDATE_ELEM", BPF_MAP_UPDATE_ELEM, &attr);
}

/* As many `int NAME(void)` as there are names, and the type id of the first. */
enum { BTF_FIRST_FUNC = 3 };

static inline int btf_of_functions(const char *const names[], int count)
{
	size_t room = 256 + count * (sizeof(struct btf_type) + 128);
	char *raw = calloc(1, room), *strings = calloc(1, room);
	struct btf_header *hdr = (void *)raw;
	struct btf_type *t = (void *)(hdr + 1);
	__u32 str_len = 1, *int_data;
	union bpf_attr attr = {};
	int fd;

	if (!raw || !strings)
		error(1, errno, "BTF");
	/* [1] int, [2] int (void), [3] and on: the functions. */
	*t = (struct btf_type){ .name_off = str_len, .info = BTF_KIND_INT << 24, .size = 4 };
	str_len += sprintf(strings + str_len, "int") + 1;
	int_data = (void *)(t + 1);
	*int_data = BTF_INT_SIGNED << 24 | 32;
	t = (void *)(int_data + 1);
	*t++ = (struct btf_type){ .info = BTF_KIND_FUNC_PROTO << 24, .type = 1 };
	for (int i = 0; i < count; i++) {
		*t++ = (struct btf_type){
			.name_off = str_len,
			.info = BTF_KIND_FUNC << 24 | BTF_FUNC_GLOBAL,
			.type = 2,
		};
		str_len += snprintf(strings + str_len, 128, "%s", names[i]) + 1;
	}

	*hdr = (struct btf_header){
		.magic = BTF_MAGIC,
		.version = BTF_VERSION,
		.hdr_len = sizeof(*hdr),
		.type_len = (char *)t - (char *)(hdr + 1),
		.str_len = str_len,
	};
	hdr->str_off = hdr->type_len;
	memcpy(t, strings, str_len);
	attr.btf = addr(raw);
	attr.btf_size = (char *)t + str_len - raw;
	fd = bpf_or_die("BPF_BTF_LOAD", BPF_BTF_LOAD, &attr);
	free(raw);
	free(strings);
	return fd;
}

/* `return 0`; with func_info if there is a BTF, whose function is `func`. */
struct prog {
	__u32 type;
	__u32 attach_type;
	__u32 attach_btf_id;
	const char *name;
	int btf_fd; /* 0: none */
	__u32 func;
};

static inline int prog_load(const struct prog *p)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_func_info func = { 0, p->func };
	union bpf_attr attr = {
		.prog_type = p->type,
		.expected_attach_type = p->attach_type,
		.attach_btf_id = p->attach_btf_id,
		.insns = addr(insns),
		.insn_cnt = sizeof(insns) / sizeof(insns[0]),
		.license = addr("GPL"),
	};

	memcpy(attr.prog_name, p->name, strnlen(p->name, sizeof(attr.prog_name) - 1));
	if (p->btf_fd) {
		attr.prog_btf_fd = p->btf_fd;
		attr.func_info = addr(&func);
		attr.func_info_cnt = 1;
		attr.func_info_rec_size = sizeof(func);
	}
	return bpf_or_die("BPF_PROG_LOAD", BPF_PROG_LOAD, &attr);
}

static inline int iter_create(int link_fd)
{
	union bpf_attr attr = { .iter_create.link_fd = link_fd };

	return bpf_or_die("BPF_ITER_CREATE", BPF_ITER_CREATE, &attr);
}

#endif /* TESTS_BPF_OBJECTS_H */
