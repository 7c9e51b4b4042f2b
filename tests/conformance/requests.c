// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * requests DIR IDS COMMAND... - what a loader asks of the kernel, without the verifier.
 *
 * Runs COMMAND and writes of each of its BPF_MAP_CREATE and BPF_PROG_LOAD what is in the
 * attr into DIR, a file for each map and program: with names in the place of fds, and of
 * types of the object's BTF what they are in the place of their ids. Below a map are its
 * BPF_MAP_UPDATE_ELEM and BPF_MAP_FREEZE. Programs are not
 * loaded: COMMAND gets another one instead, so that all of them come, also those that this
 * kernel would refuse. Probes, which have no names of an object, go to the kernel as they
 * are. Exit status: COMMAND's, or 3 if it could not be watched.
 *
 * The file IDS has an empty line, and lines "PROG INSN": the instructions whose immediate
 * is a type of the object's BTF.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#define NAME_LEN 512
/* Where COMMAND inherits the program that it gets: below are the fds that it counts on. */
#define INSTEAD 200

static pid_t child;
static int pidfd;
static const char *dir, *ids;
static FILE *out;

static void die(const char *what)
{
	fprintf(stderr, "requests: %s: %s\n", what, strerror(errno));
	exit(3);
}

/* Bytes of COMMAND's memory; the caller frees them. */
static void *fetch(__u64 from, size_t len)
{
	void *to = calloc(1, len + 1);
	struct iovec here = { to, len }, there = { (void *)from, len };

	if (!to || (len && process_vm_readv(child, &here, 1, &there, 1, 0) != (ssize_t)len))
		die("read memory");
	return to;
}

/* The map or BTF behind an fd of COMMAND. */
static bool info_of(int fd, void *info, __u32 len)
{
	int ours = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	bool known = ours >= 0 && !bpf_obj_get_info_by_fd(ours, info, &len);

	if (ours >= 0)
		close(ours);
	return known;
}

static const char *map_name(int fd)
{
	static struct bpf_map_info info;

	memset(&info, 0, sizeof(info));
	return info_of(fd, &info, sizeof(info)) ? info.name : "?";
}

/* Name of the kernel's BTF or that of a module behind an fd; 0 is the kernel's. */
static const char *btf_name(int fd)
{
	static char name[64];
	struct bpf_btf_info info = { .name = (__u64)name, .name_len = sizeof(name) };

	strcpy(name, "vmlinux");
	return !fd || info_of(fd, &info, sizeof(info)) ? name : "?";
}

/* BTF that COMMAND has loaded for its object; NULL: none. */
static struct btf *btf_of(int fd)
{
	static struct btf *last;
	static __u32 last_id;
	struct bpf_btf_info info = {};

	if (fd <= 0 || !info_of(fd, &info, sizeof(info)))
		return NULL;
	if (info.id != last_id) {
		btf__free(last);
		last = btf__load_from_kernel_by_id(info.id);
		last_id = info.id;
	}
	return last;
}

/* What a type is: names and sizes, of what is in it to a depth. */
static void denote(const struct btf *btf, __u32 id, int depth)
{
	static const char *const kinds[BTF_KIND_MAX + 1] = { "void", "int", "*", "array", "struct", "union",
		"enum", "fwd", "typedef", "volatile", "const", "restrict", "func", "proto", "var", "datasec",
		"float", "decl_tag", "type_tag", "enum64" };
	const struct btf_type *t = btf ? btf__type_by_id(btf, id) : NULL;
	int i, vlen = t ? btf_vlen(t) : 0;
	const char *name = t ? btf__name_by_offset(btf, t->name_off) : "";

	if (!id || !t) {
		fputs(id ? "?" : "void", out);
		return;
	}
	fprintf(out, "%s %s%s", kinds[btf_kind(t)], name, *name ? " " : "");
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		fprintf(out, "%x/%u", *(__u32 *)(t + 1), t->size);
		break;
	case BTF_KIND_FLOAT:
		fprintf(out, "%u", t->size);
		break;
	case BTF_KIND_PTR:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
	case BTF_KIND_FUNC:
	case BTF_KIND_VAR:
		denote(btf, t->type, depth);
		break;
	case BTF_KIND_ARRAY:
		fprintf(out, "%u of ", btf_array(t)->nelems);
		denote(btf, btf_array(t)->type, depth);
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		fprintf(out, "%u", t->size);
		for (i = 0; depth && i < vlen; i++) {
			fprintf(out, "%s%s@%u/%u: ", i ? ", " : " {", btf__name_by_offset(btf, btf_members(t)[i].name_off),
				btf_member_bit_offset(t, i), btf_member_bitfield_size(t, i));
			denote(btf, btf_members(t)[i].type, depth - 1);
		}
		fputs(depth ? "}" : "", out);
		break;
	case BTF_KIND_DATASEC:
		fprintf(out, "%u", t->size);
		for (i = 0; i < vlen; i++) {
			fprintf(out, ", @%u/%u ", btf_var_secinfos(t)[i].offset, btf_var_secinfos(t)[i].size);
			denote(btf, btf_var_secinfos(t)[i].type, depth);
		}
		break;
	case BTF_KIND_ENUM:
		fprintf(out, "%u", t->size);
		for (i = 0; depth && i < vlen; i++)
			fprintf(out, " %s=%d", btf__name_by_offset(btf, btf_enum(t)[i].name_off), btf_enum(t)[i].val);
		break;
	case BTF_KIND_ENUM64:
		fprintf(out, "%u", t->size);
		for (i = 0; depth && i < vlen; i++)
			fprintf(out, " %s=%lld", btf__name_by_offset(btf, btf_enum64(t)[i].name_off),
				(long long)btf_enum64_value(&btf_enum64(t)[i]));
		break;
	case BTF_KIND_FUNC_PROTO:
		denote(btf, t->type, 0);
		for (i = 0; i < vlen; i++) {
			fprintf(out, ", %s ", btf__name_by_offset(btf, btf_params(t)[i].name_off));
			denote(btf, btf_params(t)[i].type, 0);
		}
		break;
	}
}

/* The file of a map or program; of several of a name each is written behind the last. */
static void begin(const char *what, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.%s", dir, what, name);
	out = fopen(path, "a");
	if (!out)
		die(path);
}

static void map_create(const union bpf_attr *attr)
{
	struct btf *btf = btf_of(attr->btf_fd);

	begin("map", attr->map_name);
	fprintf(out, "type %u key %u value %u max_entries %u flags %#x extra %#llx node %u ops %u", attr->map_type,
		attr->key_size, attr->value_size, attr->max_entries, attr->map_flags, attr->map_extra, attr->numa_node,
		attr->btf_vmlinux_value_type_id);
	fprintf(out, " inner %s\nkey ", attr->inner_map_fd ? map_name(attr->inner_map_fd) : "-");
	denote(btf, attr->btf_key_type_id, 3);
	fputs("\nvalue ", out);
	denote(btf, attr->btf_value_type_id, 3);
	fputs("\n", out);
	fclose(out);
}

/* Is the immediate of an instruction of a program a type of the object's? */
static bool is_type(const char *prog, __u32 insn)
{
	char line[NAME_LEN + 16];

	snprintf(line, sizeof(line), "\n%s %u\n", prog, insn);
	return strstr(ids, line);
}

/* The lines of a file, each between two line ends. */
static const char *lines_of(const char *path)
{
	FILE *in = fopen(path, "r");
	char *text = NULL;
	size_t len = 0;

	if (!in)
		die(path);
	if (getdelim(&text, &len, 0, in) < 0)
		text = strdup("");
	fclose(in);
	return text;
}

static void print_insns(const union bpf_attr *attr, const struct btf *btf, const char *name)
{
	struct bpf_insn *insns = fetch(attr->insns, attr->insn_cnt * sizeof(*insns));

	for (__u32 i = 0; i < attr->insn_cnt; i++) {
		struct bpf_insn insn = insns[i];
		int next = i + 1 < attr->insn_cnt ? insns[i + 1].imm : 0;
		bool wide = insn.code == (BPF_LD | BPF_DW | BPF_IMM);

		fprintf(out, "%u: %02x %x %x ", i, insn.code, insn.dst_reg, insn.src_reg);
		if (wide && (insn.src_reg == BPF_PSEUDO_MAP_FD || insn.src_reg == BPF_PSEUDO_MAP_VALUE)) {
			fprintf(out, "map %s +%d\n", map_name(insn.imm), next);
			i++;
		} else if (wide && insn.src_reg == BPF_PSEUDO_BTF_ID) {
			fprintf(out, "ksym %d of %s\n", insn.imm, btf_name(next));
			i++;
		} else if (insn.code == (BPF_JMP | BPF_CALL) && insn.src_reg == BPF_PSEUDO_KFUNC_CALL && insn.off) {
			int *fd = fetch(attr->fd_array + insn.off * sizeof(*fd), sizeof(*fd));

			fprintf(out, "kfunc %d of %s\n", insn.imm, btf_name(*fd));
			free(fd);
		} else if (is_type(name, i)) {
			fputs("type ", out);
			denote(btf, insn.imm, 1);
			fputs("\n", out);
		} else {
			fprintf(out, "%d %d\n", insn.off, insn.imm);
		}
	}
	free(insns);
}

static void prog_load(const union bpf_attr *attr)
{
	struct btf *btf = btf_of(attr->prog_btf_fd);
	char *funcs = fetch(attr->func_info, attr->func_info_cnt * attr->func_info_rec_size);
	char *lines = fetch(attr->line_info, attr->line_info_cnt * attr->line_info_rec_size);
	char *license = fetch(attr->license, 16), name[NAME_LEN];
	const struct bpf_func_info *func = (void *)funcs;
	const struct btf_type *t = btf && attr->func_info_cnt ? btf__type_by_id(btf, func->type_id) : NULL;

	snprintf(name, sizeof(name), "%s", t ? btf__name_by_offset(btf, t->name_off) : attr->prog_name);
	begin("prog", name);
	fprintf(out, "%s type %u attach %u flags %#x license %s btf %d ifindex %u\n", attr->prog_name, attr->prog_type,
		attr->expected_attach_type, attr->prog_flags, license, !!btf, attr->prog_ifindex);
	/* A tracing program's target: in the kernel, in a module, or in a program, which nothing here has. */
	fprintf(out, "to %u of %s\n", attr->attach_btf_id, btf_name(attr->attach_btf_obj_fd));
	for (__u32 i = 0; i < attr->func_info_cnt; i++) {
		func = (void *)(funcs + i * attr->func_info_rec_size);
		fprintf(out, "func %u ", func->insn_off);
		denote(btf, func->type_id, 1);
		fputs("\n", out);
	}
	for (__u32 i = 0; i < attr->line_info_cnt; i++) {
		const struct bpf_line_info *line = (void *)(lines + i * attr->line_info_rec_size);

		fprintf(out, "line %u %s %x: %s\n", line->insn_off, btf__str_by_offset(btf, line->file_name_off),
			line->line_col, btf__str_by_offset(btf, line->line_off));
	}
	print_insns(attr, btf, name);
	fclose(out);
	free(funcs), free(lines), free(license);
}

/* Libraries ask with names of their own, or none, what this kernel can do. */
static bool is_probe(const char *name)
{
	static const char *const other[] = { "det_arg_ctx", "global_reloc" };

	for (size_t i = 0; i < sizeof(other) / sizeof(*other); i++)
		if (!strcmp(name, other[i]))
			return true;
	return !*name || !strncmp(name, "libbpf_", 7);
}

static void print_bytes(const char *what, const unsigned char *bytes, __u32 len)
{
	fprintf(out, " %s ", what);
	for (__u32 i = 0; i < len; i++)
		fprintf(out, "%02x", bytes[i]);
}

static bool is_zero(const unsigned char *bytes, __u32 len)
{
	return !len || (!bytes[0] && !memcmp(bytes, bytes + 1, len - 1));
}

/*
 * What is written into a map of the object's. Of an array is left out what is only zeros, as
 * it is from the start.
 */
static void map_update(const union bpf_attr *attr)
{
	struct bpf_map_info info = {};
	unsigned char *key, *value;

	if (!info_of(attr->map_fd, &info, sizeof(info)) || is_probe(info.name))
		return;
	key = fetch(attr->key, info.key_size);
	value = fetch(attr->value, info.value_size);
	if (info.type != BPF_MAP_TYPE_ARRAY || !is_zero(value, info.value_size)) {
		begin("map", info.name);
		fprintf(out, "update flags %#llx", attr->flags);
		print_bytes("key", key, info.key_size);
		if (info.type == BPF_MAP_TYPE_PROG_ARRAY)
			/* All programs are the same one here. */
			fputs(" program", out);
		else if (info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS || info.type == BPF_MAP_TYPE_HASH_OF_MAPS)
			fprintf(out, " map %s", map_name(*(int *)value));
		else
			print_bytes("value", value, info.value_size);
		fputs("\n", out);
		fclose(out);
	}
	free(key), free(value);
}

static void map_freeze(const union bpf_attr *attr)
{
	struct bpf_map_info info = {};

	if (!info_of(attr->map_fd, &info, sizeof(info)) || is_probe(info.name))
		return;
	begin("map", info.name);
	fputs("freeze\n", out);
	fclose(out);
}

/* A system call begins; is it to be another one? */
static bool entered(const struct __ptrace_syscall_info *call)
{
	union bpf_attr attr = {};
	size_t len = call->entry.args[2];
	void *bytes;
	bool is = false;

	if (call->entry.nr != SYS_bpf)
		return false;
	len = len < sizeof(attr) ? len : sizeof(attr);
	bytes = fetch(call->entry.args[1], len);
	memcpy(&attr, bytes, len);
	free(bytes);
	/* The map of probe global_reloc. */
	is = !strcmp(attr.map_name, "arr") && !attr.btf_fd && attr.map_type == BPF_MAP_TYPE_ARRAY && attr.key_size == 4 &&
	     attr.value_size == 1 && attr.max_entries == 1;
	if (call->entry.args[0] == BPF_MAP_CREATE && !is && !is_probe(attr.map_name))
		map_create(&attr);
	if (call->entry.args[0] == BPF_MAP_UPDATE_ELEM)
		map_update(&attr);
	if (call->entry.args[0] == BPF_MAP_FREEZE)
		map_freeze(&attr);
	is = call->entry.args[0] == BPF_PROG_LOAD && !is_probe(attr.prog_name);
	if (is)
		prog_load(&attr);
	return is;
}

/* The program that stands for all. */
static void load_instead(void)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SOCKET_FILTER, NULL, "GPL", nothing, 2, NULL);

	if (fd < 0 || dup2(fd, INSTEAD) < 0)
		die("load a program");
	close(fd);
}

int main(int argc, char **argv)
{
	struct user_regs_struct regs;
	unsigned long long rdi = 0;
	bool replaced = false;
	int status;

	if (argc < 4) {
		fprintf(stderr, "usage: requests DIR IDS COMMAND...\n");
		return 2;
	}
	dir = argv[1], ids = lines_of(argv[2]);
	load_instead();
	child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execvp(argv[3], argv + 3);
		die(argv[3]);
	}
	pidfd = syscall(SYS_pidfd_open, child, 0);
	if (waitpid(child, &status, 0) < 0 || !WIFSTOPPED(status) || pidfd < 0 ||
	    ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		die("watch");
	while (!ptrace(PTRACE_SYSCALL, child, 0, 0) && waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
		struct __ptrace_syscall_info call;

		if (WSTOPSIG(status) != (SIGTRAP | 0x80))
			continue;
		if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(call), &call) < 0)
			die("watch");
		if (replaced || (call.op == PTRACE_SYSCALL_INFO_ENTRY && entered(&call))) {
			if (ptrace(PTRACE_GETREGS, child, 0, &regs))
				die("watch");
			if (!replaced) {
				rdi = regs.rdi;
				regs.orig_rax = SYS_dup;
				regs.rdi = INSTEAD;
			} else {
				regs.rdi = rdi;
			}
			replaced = !replaced;
			if (ptrace(PTRACE_SETREGS, child, 0, &regs))
				die("watch");
		}
	}
	if (!WIFEXITED(status)) {
		fprintf(stderr, "requests: %s died\n", argv[3]);
		return 3;
	}
	return WEXITSTATUS(status);
}
