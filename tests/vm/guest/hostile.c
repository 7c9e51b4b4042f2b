// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A driver that does one thing wrong: `driver MODE`, started in the place of
 * the real one by a case. Without a MODE it does everything right, so that a
 * mode that fails fails for its own reason. Needs no libbpf: the iterators are
 * two instructions long, and are attached by the ids that fd 3 tells. It reports
 * as many links as it is asked for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire.h"

static const char *mode = "";
static int slowness = 1;	/* how many times longer the deadline is than 2 s */

static int is(const char *name) { return !strcmp(mode, name); }

static void die(const char *what)
{
	dprintf(2, "hostile driver: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long bpf(int cmd, union bpf_attr *attr) { return syscall(SYS_bpf, cmd, attr, sizeof(*attr)); }

/* The size of what follows a type's three words, by its kind. */
static size_t tail(unsigned int kind, unsigned int vlen)
{
	switch (kind) {
	case BTF_KIND_INT: case BTF_KIND_VAR: case 17 /* decl tag */: return 4;
	case BTF_KIND_ARRAY: return 12;
	case BTF_KIND_ENUM: case BTF_KIND_FUNC_PROTO: return 8 * vlen;
	case BTF_KIND_STRUCT: case BTF_KIND_UNION: case BTF_KIND_DATASEC: case 19 /* enum64 */: return 12 * vlen;
	default: return 0;
	}
}

static unsigned int func_id(const char *name)
{
	static char *btf;
	static size_t len;
	ssize_t n;

	if (!btf && !(btf = malloc(64 << 20)))
		die("malloc");
	while (len < 64 << 20 && (n = read(PRELOAD_BTF_FD, btf + len, 1 << 16)) > 0)
		len += n;
	const struct btf_header *hdr = (void *)btf;
	const char *strings = btf + hdr->hdr_len + hdr->str_off;
	const char *type = btf + hdr->hdr_len + hdr->type_off, *end = type + hdr->type_len;
	for (unsigned int id = 1; len && type < end; id++) {
		const struct btf_type *t = (const void *)type;
		unsigned int kind = t->info >> 24 & 0x7f;

		if (kind == BTF_KIND_FUNC && !strcmp(strings + t->name_off, name))
			return id;
		type += sizeof(*t) + tail(kind, t->info & 0xffffff);
	}
	errno = ESRCH;
	die(name);
	return 0;
}

static int load(enum bpf_prog_type type, enum bpf_attach_type attach, unsigned int btf_id)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = type, .expected_attach_type = attach, .attach_btf_id = btf_id,
		.insns = (uintptr_t)insns, .insn_cnt = 2, .license = (uintptr_t)"GPL",
	};
	int fd = bpf(BPF_PROG_LOAD, &attr);

	if (fd < 0)
		die("load");
	return fd;
}

static int iterator(const char *name)
{
	union bpf_attr attr = { .link_create = { .attach_type = BPF_TRACE_ITER } };

	attr.link_create.prog_fd = load(BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, func_id(name));
	int fd = bpf(BPF_LINK_CREATE, &attr);
	if (fd < 0)
		die("attach");
	close(attr.link_create.prog_fd);
	return fd;
}

/* A link, but not an iterator's. */
static int tracepoint(void)
{
	union bpf_attr attr = { .raw_tracepoint = { .name = (uintptr_t)"sched_process_exit" } };

	attr.raw_tracepoint.prog_fd = load(BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0);
	int fd = bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
	if (fd < 0)
		die("raw tracepoint");
	return fd;
}

static unsigned int last_link;

/*
 * Descriptors that are no links, though one of them has a link's name. Returns
 * the id of one of them, a map, that no link has (ids of each kind only grow).
 */
static int hold_others(void)
{
	union bpf_attr attr = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };
	struct bpf_map_info info = {};
	int fds[2], map = -1;

	if (pipe(fds) || memfd_create("bpf_link", 0) < 0 || epoll_create1(0) < 0 || open("/", O_RDONLY) < 0)
		die("other fds");
	do {
		close(map);
		map = bpf(BPF_MAP_CREATE, &attr);
		union bpf_attr get = { .info = { .bpf_fd = map, .info_len = sizeof(info), .info = (uintptr_t)&info } };
		if (map < 0 || bpf(BPF_OBJ_GET_INFO_BY_FD, &get))
			die("map");
	} while (info.id <= last_link);
	return info.id;
}

static int id_of(int link)
{
	struct bpf_link_info info = {};
	union bpf_attr attr = { .info = { .bpf_fd = link, .info_len = sizeof(info), .info = (uintptr_t)&info } };

	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr))
		die("info");
	return info.id;
}

static void report(const char *name, int id)
{
	struct preload_record record = { .link_id = id };

	memcpy(record.link_name, name, strnlen(name, sizeof(record.link_name)));
	if (write(1, &record, sizeof(record)) != sizeof(record))
		die("report");
}

static unsigned int read_word(void)
{
	unsigned int word;

	if (read(0, &word, sizeof(word)) != sizeof(word))
		die("word");
	return word;
}

static void expect(unsigned int magic)
{
	if (read_word() != magic)
		die("magic");
}

/* The states of the protocol, in which it can be killed or go to sleep. */
static void state(const char *name)
{
	if (!strncmp(mode, "kill-", 5) && !strcmp(mode + 5, name))
		raise(SIGKILL);
	if (!strncmp(mode, "segv-", 5) && !strcmp(mode + 5, name))
		raise(SIGSEGV);
	if (!strncmp(mode, "stop-", 5) && !strcmp(mode + 5, name))
		raise(SIGSTOP);
	if (!strncmp(mode, "hang-", 5) && !strcmp(mode + 5, name))
		pause();
	if (!strncmp(mode, "exit-", 5) && !strcmp(mode + 5, name))
		exit(0);
	if (is("slow"))
		usleep(200000);
	if (is("too-slow"))
		usleep(900000 * slowness);
}

/* A descriptor waits in the socket of somebody who has no part in this. */
static const struct sockaddr_un keeper = { .sun_family = AF_UNIX, .sun_path = "\0keeper" };

static void keep(void)
{
	if (bind(socket(AF_UNIX, SOCK_DGRAM, 0), (const void *)&keeper, sizeof(keeper)))
		die("bind");
	pause();
}

static void give_away(int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_name = (void *)&keeper, .msg_namelen = sizeof(keeper), .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(socket(AF_UNIX, SOCK_DGRAM, 0), &msg, 0) != 1)
		die("give away");
}

static void *idle(void *arg)
{
	sleep(20);
	exit(0);
	return arg;
}

/* With a thread, the child is a zombie to whoever looks at its first one. */
static void leave_child(int with_thread)
{
	pthread_t thread;

	if (fork()) {
		usleep(with_thread ? 200000 : 0);	/* for its first one to be gone */
		return;
	}
	if (is("leaves-closed-child"))
		close_range(0, ~0U, 0);
	if (is("leaves-child-in-userns")) {
		if (unshare(CLONE_NEWUSER))
			exit(1);
		close_range(0, ~0U, 0);
	}
	if (with_thread) {
		if (pthread_create(&thread, NULL, idle, NULL))
			exit(1);
		pthread_exit(NULL);
	}
	idle(NULL);
}

int main(int argc, char **argv)
{
	char bytes[64] = "garbage garbage garbage garbage garbage";

	if (argc > 1)
		mode = argv[1];
	if (argc > 2)
		slowness = atoi(argv[2]);
	if (is("keeper"))
		keep();
	state("begin");
	unsigned int start = read_word();
	if (start != PRELOAD_START && start != PRELOAD_START_ALL)
		die("magic");
	if (is("wrong-magic") && write(1, &(unsigned int){ PRELOAD_END }, 4) < 0)
		pause();
	if (is("other-magic") && start != PRELOAD_END) {
		errno = EPROTO;
		die("magic");
	}
	state("started");
	if (is("read-twice"))
		expect(PRELOAD_END);
	if (is("log-flood"))
		for (int i = 0; i < 10000; i++)
			dprintf(2, "line %d\n", i);
	if (is("log-bytes")) {
		if (write(2, "\033[31mred\n<0>\x01" "0two\xff\x80 lines", 25) < 0)
			die("log");
		exit(3);
	}
	if (is("log-long"))
		dprintf(2, "%02000d\n", 0);
	if (is("uncatchable") || is("uncatchable-child")) {	/* waits for the mounter's locks */
		if (is("uncatchable-child"))
			leave_child(0);
		sync();
		pause();
	}

	int maps = iterator("bpf_iter_bpf_map"), progs = iterator("bpf_iter_bpf_prog");
	if (is("short-record") || is("long-record") || is("huge-record") || is("empty-record") || is("garbage")) {
		size_t len = is("short-record") ? 19 : is("long-record") ? 21 : is("huge-record") ? 1 << 30 :
			is("empty-record") ? 0 : 20;

		if (write(1, bytes, len) < 0)
			pause();
	}
	volatile uintptr_t bad = 8;
	if (is("bad-pointer") && write(1, (void *)bad, sizeof(struct preload_record)) < 0)
		die("report");
	if (is("no-nul"))
		report("maps.debug.maps.debug", id_of(maps));
	if (is("empty-name"))
		report("", id_of(maps));
	if (is("slash"))
		report("a/b", id_of(maps));
	if (is("no-dot"))
		report("debug", id_of(maps));
	if (is("dot-dot"))
		report("..", id_of(maps));
	if (is("newline"))
		report("a\nb", id_of(maps));
	if (is("other-fds")) {
		last_link = id_of(progs);
		report("maps.debug", hold_others());
	}
	if (is("among-others"))
		hold_others();
	if (is("no-such-id"))
		report("maps.debug", 0x7fffffff);
	if (is("negative-id"))
		report("maps.debug", -1);
	if (is("closed-link")) {
		int id = id_of(maps);

		close(maps);
		report("maps.debug", id);
	}
	if (is("not-iterator"))
		report("maps.debug", id_of(tracepoint()));
	if (is("from-child")) {
		if (!fork()) {
			report("maps.debug", id_of(maps));
			exit(0);
		}
		usleep(300000);
		exit(0);
	}

	report("maps.debug", id_of(maps));
	state("one-link");
	if (is("duplicate"))
		report("maps.debug", id_of(progs));
	report("progs.debug", id_of(progs));
	state("two-links");
	if (start == PRELOAD_START_ALL)
		report("links.debug", id_of(iterator("bpf_iter_bpf_link")));
	if (is("too-many"))
		report("more.debug", id_of(progs));
	if (is("gives-away"))
		give_away(1);
	if (!strncmp(mode, "leaves-", 7))
		leave_child(is("leaves-thread"));
	if (is("exit-code"))
		return 7;
	expect(PRELOAD_END);
	state("end");
	return 0;
}
