// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What libbpf makes of an object:
 *
 *	oracle load FILE.o		loads it; exit status 0 or 1
 *	oracle relo FILE.o BTF		prints the instructions of each program as
 *					libbpf relocates them for a kernel with that
 *					BTF; 1 if it refuses to
 *
 * Instructions come as "NAME INSNS" and one line of 16 hexadecimal digits for
 * each. Whether the running kernel then takes the program is not asked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/libbpf.h>

static int relocated;

static void print_insns(const struct bpf_program *prog)
{
	const struct bpf_insn *insns = bpf_program__insns(prog);
	size_t n = bpf_program__insn_cnt(prog);

	printf("%s %zu\n", bpf_program__name(prog), n);
	for (size_t i = 0; i < n; i++) {
		unsigned long long word;

		memcpy(&word, &insns[i], sizeof(word));
		/* Where the fd of a map stands: it differs from load to load. */
		if (insns[i].code == (BPF_LD | BPF_DW | BPF_IMM) &&
		    (insns[i].src_reg == BPF_PSEUDO_MAP_FD || insns[i].src_reg == BPF_PSEUDO_MAP_VALUE))
			word |= 0xffffffffull << 32;
		printf("%016llx\n", word);
	}
}

/* Called once all programs are relocated, before this one is loaded. */
static int before_load(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	(void)prog, (void)opts, (void)cookie;
	relocated = 1;
	return -ECANCELED;
}

static int relo(const char *path, const char *btf)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = btf);
	LIBBPF_OPTS(libbpf_prog_handler_opts, handler, .prog_prepare_load_fn = before_load);
	struct bpf_object *obj;
	struct bpf_program *prog;

	/* Handlers of our own go before libbpf's, but only for what is opened later. */
	obj = bpf_object__open_file(path, &opts);
	if (!obj)
		return 1;
	bpf_object__for_each_program(prog, obj)
		if (libbpf_register_prog_handler(bpf_program__section_name(prog),
						 BPF_PROG_TYPE_RAW_TRACEPOINT, 0, &handler) < 0)
			return 1;
	bpf_object__close(obj);
	obj = bpf_object__open_file(path, &opts);
	if (!obj)
		return 1;
	bpf_object__load(obj);
	if (relocated)
		bpf_object__for_each_program(prog, obj)
			if (bpf_program__autoload(prog))
				print_insns(prog);
	bpf_object__close(obj);
	return !relocated;
}

static int load(const char *path)
{
	struct bpf_object *obj = bpf_object__open_file(path, NULL);
	int err = obj ? bpf_object__load(obj) : -errno;

	bpf_object__close(obj);
	return !!err;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "load"))
		return load(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "relo"))
		return relo(argv[2], argv[3]);
	fprintf(stderr, "usage: oracle load FILE.o | relo FILE.o BTF\n");
	return 2;
}
