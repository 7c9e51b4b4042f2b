// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * trace DRIVER [floor_calls.h]
 *
 * Runs a driver once under ptrace(2), prints how many system calls it made and
 * how many of them were bpf(), and records the bpf() calls as the C tables that
 * floor.c replays. Knows the bpf() commands that a driver of
 * iterators needs and refuses to record any other.
 *
 * Counted is every call from the first instruction of the driver to its exit,
 * the exit included; the execve(2) that starts it belongs to the spawner.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire.h"

enum { MAX_FD = 64, MAX_LINKS = 8, MAX_BYTES = 1 << 20, DEADLINE_S = 10 };
enum { INSN_LD_IMM64 = BPF_LD | BPF_IMM | BPF_DW };

/* A bpf() call as floor_calls.h will hold it: words, some of them pointers. */
struct call {
	unsigned int index;
	enum bpf_cmd cmd;
	size_t attr_len;
	union {
		union bpf_attr attr;
		__u64 word[sizeof(union bpf_attr) / 8 + 1];
	};
	const char *array[sizeof(union bpf_attr) / 8 + 1];
};

/* What a later call must know of the call that returned a descriptor. */
static struct {
	int call; /* -1: not from bpf() */
	__u32 key_size, value_size;
} maker[MAX_FD];

/* Which call asked for the id of which link. */
static struct {
	unsigned int call;
	__u32 id;
} links[MAX_LINKS];
static unsigned int link_count;

static int mem_fd; /* the driver's memory */

/* The data goes to `out`; the tables that point into it follow at the end. */
static FILE *out, *call_table, *use_table;
static char *call_rows, *use_rows;
static size_t rows_len; /* open_memstream() insists */

static void read_driver(void *to, __u64 from, size_t bytes)
{
	if (pread(mem_fd, to, bytes, from) != (ssize_t)bytes)
		error(1, errno, "trace: read %zu bytes of the driver", bytes);
}

static void emit_words(unsigned int index, const char *name, const __u64 *word,
		       size_t bytes, const char *const *pointee)
{
	fprintf(out, "static __u64 c%u_%s[] = {", index, name);
	for (size_t i = 0; i < (bytes + 7) / 8; i++) {
		fputs(i % 4 ? " " : "\n\t", out);
		if (pointee && pointee[i])
			fprintf(out, "(__u64)c%u_%s,", index, pointee[i]);
		else
			fprintf(out, "0x%llx,", word[i]);
	}
	fputs("\n};\n", out);
}

/* Emit what the attr word at `offset` points to; return a copy of it. */
static void *emit_pointee(struct call *c, size_t offset, const char *name,
			  size_t bytes)
{
	__u64 *data = calloc(bytes / 8 + 1, 8);

	if (!data || bytes > MAX_BYTES)
		error(1, 0, "trace: %s of %zu bytes", name, bytes);
	read_driver(data, c->word[offset / 8], bytes);
	emit_words(c->index, name, data, bytes, NULL);
	c->array[offset / 8] = name;
	return data;
}

static void emit_fd_use(struct call *c, int fd, const char *name, size_t offset)
{
	if (fd < 0 || fd >= MAX_FD || maker[fd].call < 0)
		error(1, 0, "trace: call %u uses foreign fd %d", c->index, fd);
	fprintf(use_table, "\t{ %u, %d, (char *)c%u_%s + %zu },\n", c->index,
		maker[fd].call, c->index, name, offset);
}

#define AT(field) offsetof(union bpf_attr, field)
#define POINTEE(c, field, name, bytes)                                     \
	do {                                                               \
		if ((c)->attr.field)                                       \
			free(emit_pointee(c, AT(field), name, bytes));     \
	} while (0)
#define USE_FD(c, field) emit_fd_use(c, (c)->attr.field, "attr", AT(field))

static void emit_prog_load(struct call *c)
{
	const union bpf_attr *attr = &c->attr;
	size_t insn_len = sizeof(struct bpf_insn);
	struct bpf_insn *insns;
	char license[128]; /* the kernel reads no more either */
	size_t len = 0;

	insns = emit_pointee(c, AT(insns), "insns", attr->insn_cnt * insn_len);
	for (__u32 i = 0; i < attr->insn_cnt; i++) {
		if (insns[i].code != INSN_LD_IMM64)
			continue;
		if (insns[i].src_reg == BPF_PSEUDO_MAP_FD ||
		    insns[i].src_reg == BPF_PSEUDO_MAP_VALUE)
			emit_fd_use(c, insns[i].imm, "insns",
				    i * insn_len +
					    offsetof(struct bpf_insn, imm));
		i++; /* the upper half has no opcode */
	}
	free(insns);

	do {
		read_driver(&license[len], attr->license + len, 1);
	} while (license[len++] && len < sizeof(license));
	POINTEE(c, license, "license", len);
	POINTEE(c, func_info, "func_info",
		attr->func_info_cnt * attr->func_info_rec_size);
	POINTEE(c, line_info, "line_info",
		attr->line_info_cnt * attr->line_info_rec_size);
	if (attr->prog_btf_fd)
		USE_FD(c, prog_btf_fd);
	if (attr->fd_array || attr->log_buf)
		error(1, 0, "trace: PROG_LOAD with fd_array or log buffer");
}

/* Write down a call as it enters the kernel, before that fills any buffer. */
static void emit_call(struct call *c)
{
	const union bpf_attr *attr = &c->attr;

	switch (c->cmd) {
	case BPF_BTF_LOAD:
		POINTEE(c, btf, "btf", attr->btf_size);
		break;
	case BPF_MAP_CREATE:
		if (attr->btf_fd)
			USE_FD(c, btf_fd);
		break;
	case BPF_MAP_UPDATE_ELEM:
		USE_FD(c, map_fd); /* which also checks it as an index */
		POINTEE(c, key, "key", maker[attr->map_fd].key_size);
		POINTEE(c, value, "value", maker[attr->map_fd].value_size);
		break;
	case BPF_MAP_FREEZE:
		USE_FD(c, map_fd);
		break;
	case BPF_PROG_LOAD:
		emit_prog_load(c);
		break;
	case BPF_LINK_CREATE:
		USE_FD(c, link_create.prog_fd);
		POINTEE(c, link_create.iter_info, "iter_info",
			attr->link_create.iter_info_len);
		break;
	case BPF_OBJ_GET_INFO_BY_FD:
		USE_FD(c, info.bpf_fd);
		POINTEE(c, info.info, "info", attr->info.info_len);
		break;
	default:
		error(1, 0, "trace: bpf command %d has no place in a floor",
		      c->cmd);
	}
	emit_words(c->index, "attr", c->word, c->attr_len, c->array);
	fprintf(call_table, "\t{ %d, c%u_attr, %zu },\n", c->cmd, c->index,
		c->attr_len);
}

/* What later calls and the records will refer to. */
static void note_result(const struct call *c, int ret)
{
	struct bpf_link_info info;

	switch (c->cmd) {
	case BPF_BTF_LOAD:
	case BPF_MAP_CREATE:
	case BPF_PROG_LOAD:
	case BPF_LINK_CREATE:
		if (ret >= MAX_FD)
			error(1, 0, "trace: fd %d is too high", ret);
		maker[ret].call = c->index;
		maker[ret].key_size = c->attr.key_size;
		maker[ret].value_size = c->attr.value_size;
		break;
	case BPF_OBJ_GET_INFO_BY_FD:
		if (link_count == MAX_LINKS)
			error(1, 0, "trace: more than %d links", MAX_LINKS);
		read_driver(&info, c->attr.info.info,
			    offsetof(struct bpf_link_info, prog_id));
		links[link_count].call = c->index;
		links[link_count++].id = info.id;
		break;
	default:
		break;
	}
}

/* The words that the driver sent, which name the links by their ids. */
static void emit_tables(int record_fd)
{
	struct preload_record record;
	unsigned int reports = 0;

	fclose(call_table);
	fclose(use_table);
	fprintf(out, "static const struct call calls[] = {\n%s};\n", call_rows);
	fprintf(out, "static const struct fd_use fd_uses[] = {\n%s};\n", use_rows);
	fputs("static const struct report reports[] = {\n", out);
	while (read(record_fd, &record, sizeof(record)) == sizeof(record)) {
		unsigned int i = 0;

		while (i < link_count && links[i].id != (__u32)record.link_id)
			i++;
		if (i == link_count)
			error(1, 0, "trace: nobody asked for link id %d",
			      record.link_id);
		fprintf(out, "\t{ \"%.*s\", c%u_info },\n", PRELOAD_NAME_LEN - 1,
			record.link_name, links[i].call);
		reports++;
	}
	if (!reports)
		error(1, 0, "trace: a driver without a link has no floor");
	fputs("};\n", out);
	if (fclose(out))
		error(1, errno, "trace: write the floor's header");
}

/* Both words lie ready in the pipe, so that the driver never waits for us. */
static pid_t spawn_traced(char *driver, int *record_fd)
{
	const __u32 words[] = { PRELOAD_START, PRELOAD_END };
	char *argv[] = { driver, NULL }, *envp[] = { NULL };
	int to[2], from[2];
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC) ||
	    write(to[1], words, sizeof(words)) != sizeof(words))
		error(1, errno, "trace: pipe");
	pid = fork();
	if (pid < 0)
		error(1, errno, "trace: fork");
	if (!pid) {
		if (dup2(to[0], 0) == 0 && dup2(from[1], 1) == 1 &&
		    !ptrace(PTRACE_TRACEME, 0, 0, 0))
			execve(driver, argv, envp);
		error(127, errno, "trace: %s", driver);
	}
	close(from[1]);
	*record_fd = from[0];
	return pid;
}

int main(int argc, char **argv)
{
	unsigned int syscalls = 0, bpf_calls = 0;
	struct __ptrace_syscall_info info;
	struct call c = {};
	bool in_bpf = false;
	int status, record_fd;
	char mem_path[32];
	pid_t pid;

	if (argc != 2 && argc != 3)
		error(2, 0, "usage: trace DRIVER [floor_calls.h]");
	if (argc == 3) {
		out = fopen(argv[2], "w");
		call_table = open_memstream(&call_rows, &rows_len);
		use_table = open_memstream(&use_rows, &rows_len);
		if (!out || !call_table || !use_table)
			error(1, errno, "trace: %s", argv[2]);
	}
	for (int fd = 0; fd < MAX_FD; fd++)
		maker[fd].call = -1;

	/* A driver that hangs is killed with us: PTRACE_O_EXITKILL. */
	alarm(DEADLINE_S);
	pid = spawn_traced(argv[1], &record_fd);
	/* The first stop is the SIGTRAP of its execve(). */
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, 0,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		error(1, errno, "trace: %s did not start", argv[1]);
	snprintf(mem_path, sizeof(mem_path), "/proc/%d/mem", pid);
	mem_fd = open(mem_path, O_RDONLY);
	if (mem_fd < 0)
		error(1, errno, "trace: %s", mem_path);

	for (;;) {
		if (ptrace(PTRACE_SYSCALL, pid, 0, 0) ||
		    waitpid(pid, &status, 0) != pid)
			error(1, errno, "trace: ptrace");
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			break;
		if (WIFEXITED(status))
			error(1, 0, "trace: %s: exit %d", argv[1],
			      WEXITSTATUS(status));
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
			error(1, 0, "trace: %s: signal %d", argv[1],
			      WIFSTOPPED(status) ? WSTOPSIG(status) :
						   WTERMSIG(status));
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
			error(1, errno, "trace: PTRACE_GET_SYSCALL_INFO");

		if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
			syscalls++;
			in_bpf = info.entry.nr == __NR_bpf;
			if (!in_bpf)
				continue;
			c = (struct call){ .index = bpf_calls++ };
			c.cmd = info.entry.args[0];
			c.attr_len = info.entry.args[2];
			if (c.attr_len > sizeof(c.attr))
				error(1, 0, "trace: attr of %zu bytes",
				      c.attr_len);
			read_driver(c.word, info.entry.args[1], c.attr_len);
			if (out)
				emit_call(&c);
		} else if (out && in_bpf) {
			if (info.exit.is_error)
				error(1, -info.exit.rval,
				      "trace: bpf command %d of %s", c.cmd,
				      argv[1]);
			note_result(&c, info.exit.rval);
		}
	}
	if (out)
		emit_tables(record_fd);
	printf("%u %u\n", syscalls, bpf_calls);
	return 0;
}
