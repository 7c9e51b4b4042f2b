/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A link that is made, and the row that links.debug is to have for it. */
#ifndef TESTS_BPF_LINK_H
#define TESTS_BPF_LINK_H

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "objects.h"

enum {
	/* enum bpf_attach_type */
	KPROBE_MULTI = 42, NETFILTER = 45, TCX_INGRESS = 46, TCX_EGRESS = 47,
	UPROBE_MULTI = 48, NETKIT_PRIMARY = 54, /* and 55: NETKIT_PEER */ STRUCT_OPS = 44,
	/* enum bpf_prog_type */
	PROG_NETFILTER = 32,
	/* map_flags */
	F_LINK = 1 << 13,
};

/* The part of union bpf_attr that BPF_LINK_CREATE reads, up to 7.3. */
struct link_create {
	__u32 prog_fd, target_fd, attach_type, flags;
	union {
		__u32 btf_id;
		struct { __u64 info; __u32 info_len; } iter;
		struct { __u32 flags, cnt; __u64 syms, addrs, cookies; } kprobe_multi;
		struct { __u32 pf, hooknum; __s32 priority; __u32 flags; } netfilter;
		struct { __u64 path, offsets, ref_ctr_offsets, cookies; __u32 cnt, flags, pid; } uprobe_multi;
		__u64 bytes[8];
	};
};

#define MAX_LINKS 64
static struct made {
	int fd;
	__u32 id;
	char *type, *prog, *attached, *detached;
} links[MAX_LINKS];
static int count;

static struct btf *vmlinux;

static char *format(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		error(1, errno, "vasprintf");
	va_end(args);
	return text;
}

/* What has been built into the kernel must work: then a failure is one. */
static int has_struct(const char *name)
{
	if (btf__find_by_name_kind(vmlinux, name, BTF_KIND_STRUCT) > 0)
		return 1;
	printf("lacks %s\n", name);
	return 0;
}

static char *prog_text(int fd, const char *name)
{
	return format("%u %s", prog_id(fd), name);
}

/* Remembers a link with what its row says; detached: NULL if it cannot lose anything. */
static int made(int fd, const char *type, char *prog, char *attached, const char *detached)
{
	struct made *link = &links[count++];

	if (fd < 0)
		error(1, errno, "link %s %s", type, attached);
	if (count == MAX_LINKS)
		error(1, 0, "more than %d links", MAX_LINKS);
	link->fd = fd;
	link->id = id_in_info(fd, offsetof(struct bpf_link_info, id));
	link->type = format("%s", type);
	link->prog = prog;
	link->attached = attached;
	link->detached = detached ? format("%s", detached) : NULL;
	return fd;
}

/* A program that returns 1, which is right for each type used here. */
static int prog(int type, const char *name, int attach_type, int btf_id)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_type,
		    .attach_btf_id = btf_id);
	int fd = bpf_prog_load(type, name, "GPL", insns, 2, &opts);

	if (fd < 0)
		error(1, errno, "program %s", name);
	return fd;
}

static int link_create(int prog_fd, int target, int attach_type, struct link_create *more)
{
	struct link_create attr = more ? *more : (struct link_create){};

	attr.prog_fd = prog_fd;
	attr.target_fd = target;
	attr.attach_type = attach_type;
	return syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		error(1, errno, "%s", path);
	return fd;
}

static unsigned long long number_in(const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned long long number;

	if (!file || fscanf(file, "%llu", &number) != 1)
		error(1, errno, "no number in %s", path);
	fclose(file);
	return number;
}

static int cgroup_make(const char *name)
{
	char *path = format("/tmp/cgroup/%s", name);

	if (mkdir(path, 0755) && errno != EEXIST)
		error(1, errno, "%s", path);
	return open_or_die(path, O_RDONLY | O_DIRECTORY);
}

static unsigned long long inode(int fd)
{
	struct stat stat;

	if (fstat(fd, &stat))
		error(1, errno, "fstat");
	return stat.st_ino;
}

#endif
