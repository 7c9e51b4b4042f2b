// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * trace DRIVER [floor_calls.h]
 * trace --load floor_calls.h DIR COMMAND...
 *
 * Runs a driver once under ptrace(2), prints how many system calls it made and
 * how many of them were bpf(), and records the bpf() calls as the C tables that
 * floor.c replays: those that succeeded. Knows the bpf() commands that a driver of
 * iterators needs, or a command that loads an object and pins it in DIR, and refuses
 * to record any other. Of a load, what asks and makes nothing is left out.
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

enum { MAX_FD = 256, MAX_LINKS = 8, MAX_BYTES = 1 << 20, MAX_PATH = 4096, DEADLINE_S = 10 };
/* BPF_TOKEN_CREATE, since 6.9. */
enum { TOKEN_CREATE = 36 };
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
	__u32 map_type, key_size, value_size;
} maker[MAX_FD];

/* Which call asked for the id of which link. */
static struct {
	unsigned int call;
	__u32 id;
} links[MAX_LINKS];
static unsigned int link_count;

static int mem_fd; /* the driver's memory */

/* The data goes to the header; the tables that point into it follow at the end. */
enum { DATA, CALLS, USES, TEXTS };
static FILE *header;
static struct {
	char *text;
	size_t len;
} whole[TEXTS], one[TEXTS]; /* of all calls, of this one */
static FILE *whole_file[TEXTS], *one_file[TEXTS];

#define out one_file[DATA]
#define call_table one_file[CALLS]
#define use_table one_file[USES]

static const char *pin_dir; /* of a load */

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

static void begin_call(void)
{
	for (int i = 0; i < TEXTS; i++) {
		one_file[i] = open_memstream(&one[i].text, &one[i].len);
		if (!one_file[i])
			error(1, errno, "trace: open_memstream");
	}
}

static void end_call(bool keep)
{
	for (int i = 0; i < TEXTS; i++) {
		fclose(one_file[i]);
		if (keep)
			fputs(one[i].text, whole_file[i]);
		free(one[i].text);
	}
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

/* With its NUL. */
static size_t string_len(__u64 at)
{
	size_t len = 0;
	char byte;

	do {
		read_driver(&byte, at + len, 1);
	} while (byte && ++len < MAX_PATH);
	return len + 1;
}

static void emit_prog_load(struct call *c)
{
	const union bpf_attr *attr = &c->attr;
	size_t insn_len = sizeof(struct bpf_insn);
	struct bpf_insn *insns;

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

	POINTEE(c, license, "license", string_len(attr->license));
	POINTEE(c, func_info, "func_info",
		attr->func_info_cnt * attr->func_info_rec_size);
	POINTEE(c, line_info, "line_info",
		attr->line_info_cnt * attr->line_info_rec_size);
	if (attr->prog_btf_fd)
		USE_FD(c, prog_btf_fd);
	if (attr->fd_array || attr->log_buf)
		error(1, 0, "trace: PROG_LOAD with fd_array or log buffer");
}

/* What a map gets may be an fd itself. */
static bool holds_fds(__u32 map_type)
{
	return map_type == BPF_MAP_TYPE_PROG_ARRAY || map_type == BPF_MAP_TYPE_ARRAY_OF_MAPS ||
	       map_type == BPF_MAP_TYPE_HASH_OF_MAPS;
}

/* Asks and makes nothing: a load may go without. */
static bool asks(int cmd)
{
	return cmd == BPF_OBJ_GET_INFO_BY_FD || cmd == BPF_BTF_GET_NEXT_ID ||
	       cmd == BPF_BTF_GET_FD_BY_ID || cmd == TOKEN_CREATE;
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
		if (attr->inner_map_fd)
			USE_FD(c, inner_map_fd);
		break;
	case BPF_MAP_UPDATE_ELEM:
		USE_FD(c, map_fd); /* which also checks it as an index */
		POINTEE(c, key, "key", maker[attr->map_fd].key_size);
		POINTEE(c, value, "value", maker[attr->map_fd].value_size);
		if (holds_fds(maker[attr->map_fd].map_type)) {
			int fd;

			read_driver(&fd, attr->value, sizeof(fd));
			emit_fd_use(c, fd, "value", 0);
		}
		break;
	case BPF_MAP_FREEZE:
		USE_FD(c, map_fd);
		break;
	case BPF_PROG_LOAD:
		emit_prog_load(c);
		break;
	case BPF_PROG_BIND_MAP:
		USE_FD(c, prog_bind_map.prog_fd);
		USE_FD(c, prog_bind_map.map_fd);
		break;
	case BPF_OBJ_PIN:
		USE_FD(c, bpf_fd);
		POINTEE(c, pathname, "pathname", string_len(attr->pathname));
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
		maker[ret].map_type = c->attr.map_type;
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

	for (int i = 0; i < TEXTS; i++)
		fclose(whole_file[i]);
	fprintf(header, "%sstatic const struct call calls[] = {\n%s};\n", whole[DATA].text,
		whole[CALLS].text);
	fprintf(header, "static const struct fd_use fd_uses[] = {\n%s};\n", whole[USES].text);
	if (pin_dir) {
		fprintf(header, "static const char pin_dir[] = \"%s\";\n#define LOAD\n", pin_dir);
		return;
	}
	fputs("static const struct report reports[] = {\n", header);
	while (read(record_fd, &record, sizeof(record)) == sizeof(record)) {
		unsigned int i = 0;

		while (i < link_count && links[i].id != (__u32)record.link_id)
			i++;
		if (i == link_count)
			error(1, 0, "trace: nobody asked for link id %d",
			      record.link_id);
		fprintf(header, "\t{ \"%.*s\", c%u_info },\n", PRELOAD_NAME_LEN - 1,
			record.link_name, links[i].call);
		reports++;
	}
	if (!reports)
		error(1, 0, "trace: a driver without a link has no floor");
	fputs("};\n", header);
}

/* Both words lie ready in the pipe, so that the driver never waits for us. */
static pid_t spawn_traced(char **argv, int *record_fd)
{
	const __u32 words[] = { PRELOAD_START, PRELOAD_END };
	char *envp[] = { NULL };
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
			execve(argv[0], argv, envp);
		error(127, errno, "trace: %s", argv[0]);
	}
	close(from[1]);
	*record_fd = from[0];
	return pid;
}

int main(int argc, char **argv)
{
	unsigned int syscalls = 0, bpf_calls = 0, kept = 0;
	char *path = NULL, **command = argv + 1;
	struct __ptrace_syscall_info info;
	struct call c = {};
	bool in_bpf = false;
	int status, record_fd;
	char mem_path[32];
	pid_t pid;

	if (argc >= 5 && !strcmp(argv[1], "--load")) {
		path = argv[2];
		pin_dir = argv[3];
		command = argv + 4;
	} else if (argc == 2 || argc == 3) {
		path = argv[2];
		command[1] = NULL;
	} else {
		error(2, 0, "usage: trace DRIVER [floor_calls.h] | --load floor_calls.h DIR COMMAND...");
	}
	if (path) {
		header = fopen(path, "w");
		for (int i = 0; i < TEXTS; i++) {
			whole_file[i] = open_memstream(&whole[i].text, &whole[i].len);
			if (!header || !whole_file[i])
				error(1, errno, "trace: %s", path);
		}
	}
	for (int fd = 0; fd < MAX_FD; fd++)
		maker[fd].call = -1;

	/* A driver that hangs is killed with us: PTRACE_O_EXITKILL. */
	alarm(DEADLINE_S);
	pid = spawn_traced(command, &record_fd);
	/* The first stop is the SIGTRAP of its execve(). */
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status) ||
	    ptrace(PTRACE_SETOPTIONS, pid, 0,
		   PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL))
		error(1, errno, "trace: %s did not start", command[0]);
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
			error(1, 0, "trace: %s: exit %d", command[0],
			      WEXITSTATUS(status));
		if (!WIFSTOPPED(status) || WSTOPSIG(status) != (SIGTRAP | 0x80))
			error(1, 0, "trace: %s: signal %d", command[0],
			      WIFSTOPPED(status) ? WSTOPSIG(status) :
						   WTERMSIG(status));
		if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
			error(1, errno, "trace: PTRACE_GET_SYSCALL_INFO");

		if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
			syscalls++;
			in_bpf = info.entry.nr == __NR_bpf;
			if (!in_bpf)
				continue;
			bpf_calls++;
			c = (struct call){ .index = kept };
			c.cmd = info.entry.args[0];
			c.attr_len = info.entry.args[2];
			if (c.attr_len > sizeof(c.attr))
				error(1, 0, "trace: attr of %zu bytes",
				      c.attr_len);
			read_driver(c.word, info.entry.args[1], c.attr_len);
			in_bpf = header && !(pin_dir && asks(c.cmd));
			if (in_bpf) {
				begin_call();
				emit_call(&c);
			}
		} else if (in_bpf) {
			in_bpf = false;
			end_call(!info.exit.is_error);
			if (info.exit.is_error)
				continue;
			kept++;
			note_result(&c, info.exit.rval);
		}
	}
	if (header) {
		emit_tables(record_fd);
		if (fclose(header))
			error(1, errno, "trace: %s", path);
	}
	printf("%u %u\n", syscalls, bpf_calls);
	return 0;
}
