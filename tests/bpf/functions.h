/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Programs made of functions with names, and what is attached to those. */
#ifndef TESTS_BPF_FUNCTIONS_H
#define TESTS_BPF_FUNCTIONS_H

#include <bpf/btf.h>

#include "row.h"

/* BTF with `int NAME(void)` for each name; the types are FUNC(0) and on. */
#define FUNC(i) (3 + (__u32)(i))

static int btf_of(const char *const names[], int count)
{
	struct btf *btf = btf__new_empty();
	const void *raw;
	__u32 size;
	int fd;

	btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	btf__add_func_proto(btf, 1);
	for (int i = 0; i < count; i++)
		if (btf__add_func(btf, names[i], BTF_FUNC_GLOBAL, 2) != (int)FUNC(i))
			error(1, errno, "BTF of %s", names[i]);
	raw = btf__raw_data(btf, &size);
	fd = bpf_btf_load(raw, size, NULL);
	btf__free(btf);
	return fd;
}

/* `return main()`, a function that main calls if there is a second one. */
struct functions {
	int btf_fd;
	__u32 main, sub;
};

static int load(__u32 type, const char *name, struct functions f, struct bpf_prog_load_opts *more)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_CALL, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_func_info funcs[] = { { 0, f.main }, { 2, f.sub } };
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	int fd, skip = f.sub ? 0 : 2;

	if (more)
		opts = *more;
	if (f.btf_fd) {
		opts.prog_btf_fd = f.btf_fd;
		opts.func_info = funcs;
		opts.func_info_cnt = f.sub ? 2 : 1;
		opts.func_info_rec_size = sizeof(funcs[0]);
	}
	fd = bpf_prog_load(type, name, "GPL", insns + skip, 4 - skip, &opts);
	if (fd < 0)
		error(1, errno, "load %s", name);
	return fd;
}

static int load_for(__u32 type, __u32 attach_type, struct functions f, int target_fd, __u32 target_func)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts);

	opts.expected_attach_type = attach_type;
	opts.attach_prog_fd = target_fd;
	opts.attach_btf_id = target_func;
	return load(type, "tracer", f, &opts);
}

/* To what it was loaded for, or, only freplace can, to another target. */
static int attach(int fd, int target_fd, __u32 target_func)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .target_btf_id = target_func);
	int link = target_fd ? bpf_link_create(fd, target_fd, 0, &opts) : bpf_raw_tracepoint_open(NULL, fd);

	if (link < 0)
		error(1, errno, "attach");
	return link;
}

struct target {
	const char *names[2];	/* of main and of its sub-program */
	struct functions f;
	int fd;
};

static struct target target(const char *main, const char *sub)
{
	struct target t = { .names = { main, sub } };

	t.f = (struct functions){ btf_of(t.names, 2), FUNC(0), FUNC(1) };
	if (t.f.btf_fd < 0)
		error(1, errno, "BTF of a target");
	t.fd = load(BPF_PROG_TYPE_SCHED_CLS, "target", t.f, NULL);
	close(t.f.btf_fd);
	return t;
}

/* Programs of all kinds, and what they are attached to. */
struct tracer {
	const char *what, *name;
	__u32 type, attach_type;
	int func;		/* of the target */
	int fd, link;
};

#endif
