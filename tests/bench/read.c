// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * read BLOB NAME=OBJECT... -- BPFTOOL...
 *
 * How long it takes to read all programs and all maps, with 100, 1,000 and
 * 10,000 of each: through the blob's iterators, through those of other objects
 * (libbpf loads them), and by running bpftool. Every round runs every reader
 * once. One line for each:
 *
 *   COUNT progs|maps NAME MEDIAN_US P90_US BYTES
 *
 * An iterator is read as cat(1) reads a pinned one: opened, read to its end by
 * 128 KiB, closed; bpftool is run from spawn to exit. Times are those of the
 * processor, so that whatever else the machine does counts less. Less work must
 * not pass for speed: in every round, each output must list each of our objects
 * once and nothing twice. The objects belong to processes that die with this
 * one, so nothing is left however it ends.
 */
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "blob.h"
#include "objects.h"
#include "measure.h"

enum { CHUNK = 128 << 10, OUTPUT_MAX = 64 << 20 };
enum { MAX_READERS = 16, MAX_ROUNDS = 1000 };
/* One process's descriptors stay below the usual limit of 1024. */
enum { CROWD_MAX = 10000, HELD_BY_ONE = 400 };
enum { GONE_DEADLINE_S = 60 };

static const struct { int objects, rounds; } sizes[] = {
	{ 100, 101 }, { 1000, 51 }, { CROWD_MAX, 21 },
};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

enum listing { PROGS, MAPS, LISTINGS };
static const char *const listing_names[LISTINGS] = { "progs", "maps" };

struct reader {
	const char *name;
	enum listing listing;
	int link_fd;	/* an iterator's, or -1 */
	char **argv;	/* or a program that prints the listing */
	bool json;
	double us[MAX_ROUNDS];
	size_t bytes;
};

static struct reader readers[MAX_READERS];
static int nr_readers;

/* What the crowd's processes made so far, in shared memory. */
static __u32 (*crowd_ids)[CROWD_MAX];
static pid_t crowd[CROWD_MAX];
static int crowd_size;

/*
 * The i-th program: half as modern loaders make them, with BTF, functions of
 * long names and eight programs to a BTF; half with a short name or none. One
 * in ten was loaded for a function of the kernel, so that "attached" says
 * something.
 */
static int crowd_prog(int i)
{
	static const __u32 types[] = {
		BPF_PROG_TYPE_CGROUP_SKB, BPF_PROG_TYPE_SCHED_CLS,
		BPF_PROG_TYPE_KPROBE,	  BPF_PROG_TYPE_TRACEPOINT,
		BPF_PROG_TYPE_XDP,	  BPF_PROG_TYPE_SOCKET_FILTER,
		BPF_PROG_TYPE_CGROUP_DEVICE,
	};
	static char names[8][64];
	static int btf_fd, iter_btf_id;
	struct prog p = { .type = types[i % 7], .name = "" };

	if (!iter_btf_id) {
		iter_btf_id = libbpf_find_vmlinux_btf_id("task", BPF_TRACE_ITER);
		if (iter_btf_id < 0)
			error(1, -iter_btf_id, "BTF id of bpf_iter_task");
	}
	if (i % 2) {
		if (!btf_fd || i % 16 == 1) {
			const char *functions[8];

			for (int n = 0; n < 8; n++) {
				snprintf(names[n], sizeof(names[n]), "handle_connect_of_tenant_%d", i + 2 * n);
				functions[n] = names[n];
			}
			if (btf_fd)
				close(btf_fd); /* its programs hold it */
			btf_fd = btf_of_functions(functions, 8);
		}
		p.name = "handle_connect_";
		p.btf_fd = btf_fd;
		p.func = BTF_FIRST_FUNC + i / 2 % 8;
	} else if (i % 8) {
		p.name = "sd_fw_egress";
	}
	if (i % 10 == 9) {
		p.type = BPF_PROG_TYPE_TRACING;
		p.attach_type = BPF_TRACE_ITER;
		p.attach_btf_id = iter_btf_id;
	} else if (p.type == BPF_PROG_TYPE_CGROUP_SKB) {
		p.attach_type = BPF_CGROUP_INET_EGRESS;
	}
	return prog_load(&p);
}

/* The i-th map: types that count their elements, and types that do not. */
static int crowd_map(int i)
{
	__u64 value = 0;
	int fd;

	switch (i % 5) {
	case 0:
		return map_create(BPF_MAP_TYPE_ARRAY, "app.rodata", 4, 64, 1);
	case 1:
		return map_create(BPF_MAP_TYPE_PERCPU_ARRAY, "counters", 4, 8, 4);
	case 2:
		fd = map_create(BPF_MAP_TYPE_LRU_HASH, "conntrack", 4, 8, 16);
		break;
	default:
		fd = map_create(BPF_MAP_TYPE_HASH, "endpoints", 4, 8, 16);
	}
	for (int key = 0; key < i % 4; key++)
		map_update(fd, &key, &value);
	return fd;
}

/* A process that makes and holds the objects from `from` up to `to`. */
static void crowd_spawn(int from, int to)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		error(1, errno, "pipe");
	pid = fork();
	if (pid < 0)
		error(1, errno, "fork");
	if (!pid) {
		close(ready[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = from; i < to; i++) {
			crowd_ids[PROGS][i] = prog_id(crowd_prog(i));
			crowd_ids[MAPS][i] = map_id(crowd_map(i));
		}
		if (write(ready[1], "", 1) != 1)
			error(1, errno, "pipe");
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		error(1, 0, "no more than %d objects of each kind", from);
	close(ready[0]);
	crowd[crowd_size++] = pid;
}

static void crowd_grow(int from, int to)
{
	for (int next; from < to; from = next) {
		next = to - from < HELD_BY_ONE ? to : from + HELD_BY_ONE;
		crowd_spawn(from, next);
	}
}

/* What the kernel defers must not be charged to whoever comes next. */
static void crowd_end(void)
{
	static const int by_id[LISTINGS] = { BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID };
	double deadline = now_us(CLOCK_MONOTONIC) + GONE_DEADLINE_S * 1e6;

	while (crowd_size) {
		kill(crowd[--crowd_size], SIGKILL);
		waitpid(crowd[crowd_size], NULL, 0);
	}
	for (int listing = 0; listing < LISTINGS; listing++)
		for (int i = 0; i < CROWD_MAX; i++) {
			union bpf_attr attr = { .prog_id = crowd_ids[listing][i] };
			int fd;

			while ((fd = bpf(by_id[listing], &attr)) >= 0) {
				close(fd);
				if (now_us(CLOCK_MONOTONIC) > deadline)
					error(1, 0, "%s %u stayed", listing_names[listing], attr.prog_id);
				usleep(1000);
			}
		}
}

static size_t read_to_end(int fd, char *out)
{
	size_t used = 0;
	ssize_t got;

	while ((got = read(fd, out + used, CHUNK)) > 0) {
		used += got;
		if (used > OUTPUT_MAX - CHUNK)
			error(1, 0, "more than %zu bytes", used);
	}
	if (got < 0)
		error(1, errno, "read");
	return used;
}

static double read_iterator(struct reader *r, char *out)
{
	double start = now_us(CLOCK_PROCESS_CPUTIME_ID);
	int fd = iter_create(r->link_fd);

	r->bytes = read_to_end(fd, out);
	close(fd);
	return now_us(CLOCK_PROCESS_CPUTIME_ID) - start;
}

static double read_command(struct reader *r, char *out)
{
	posix_spawn_file_actions_t actions;
	int from[2], status;
	struct rusage used;
	pid_t pid;

	if (pipe2(from, O_CLOEXEC) || fcntl(from[1], F_SETPIPE_SZ, 1 << 20) < 0)
		error(1, errno, "pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, from[1], 1);
	errno = posix_spawn(&pid, r->argv[0], &actions, NULL, r->argv, environ);
	if (errno)
		error(1, errno, "%s", r->argv[0]);
	close(from[1]);
	r->bytes = read_to_end(from[0], out);
	if (wait4(pid, &status, 0, &used) != pid || status)
		error(1, 0, "%s: wait status 0x%x", r->name, status);
	close(from[0]);
	posix_spawn_file_actions_destroy(&actions);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
	       used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

static int by_id(const void *a, const void *b)
{
	__u32 x = *(const __u32 *)a, y = *(const __u32 *)b;

	return (x > y) - (x < y);
}

/* The ids in a reader's output, in `ids`: each row begins with one. */
static size_t listed_ids(const struct reader *r, const char *out, __u32 *ids)
{
	const char *row_mark = r->json ? "{\"id\":" : "\n";
	size_t count = 0;
	char *end;

	/* bpftool's first row follows no newline, ours follows the heading. */
	if (r->argv && !r->json) {
		ids[count] = strtoul(out, &end, 10);
		count += end != out;
	}
	while ((out = strstr(out, row_mark))) {
		out += strlen(row_mark);
		/* Other lines of bpftool's begin with a tab. */
		if (*out == '\t')
			continue;
		ids[count] = strtoul(out, &end, 10);
		count += end != out;
	}
	return count;
}

static void check_output(const struct reader *r, const char *out, int objects)
{
	static __u32 listed[OUTPUT_MAX / 4];
	size_t count = listed_ids(r, out, listed);
	int found = 0;

	qsort(listed, count, sizeof(*listed), by_id);
	for (size_t i = 1; i < count; i++)
		if (listed[i] == listed[i - 1])
			error(1, 0, "%s %s: id %u twice", listing_names[r->listing], r->name, listed[i]);
	for (int i = 0; i < objects; i++)
		found += !!bsearch(&crowd_ids[r->listing][i], listed, count, sizeof(*listed), by_id);
	if (found != objects)
		error(1, 0, "%s %s: %d of %d objects in %zu rows", listing_names[r->listing], r->name, found, objects, count);
}

static void measure(int objects, int rounds, char *out)
{
	/* Round -1 warms caches and is not counted. */
	for (int round = -1; round < rounds; round++)
		for (int i = 0; i < nr_readers; i++) {
			/* Rotated, and every other round backwards. */
			int step = round % 2 ? nr_readers - 1 - i : i;
			struct reader *r = &readers[(round + 1 + step) % nr_readers];
			double us = r->argv ? read_command(r, out) : read_iterator(r, out);

			out[r->bytes] = 0;
			check_output(r, out, objects);
			if (round >= 0)
				r->us[round] = us;
		}

	for (int i = 0; i < nr_readers; i++) {
		struct reader *r = &readers[i];

		qsort(r->us, rounds, sizeof(double), by_value);
		printf("%d\t%s\t%s\t%.1f\t%.1f\t%zu\n", objects, listing_names[r->listing], r->name,
		       r->us[rounds / 2], r->us[rounds * 9 / 10], r->bytes);
	}
	fflush(stdout);
}

static struct reader *add_reader(const char *name, enum listing listing, int link_fd)
{
	struct reader *r = &readers[nr_readers++];

	if (nr_readers > MAX_READERS)
		error(1, 0, "more than %d readers", MAX_READERS);
	*r = (struct reader){ .name = name, .listing = listing, .link_fd = link_fd };
	return r;
}

static void add_blob(const char *path)
{
	int links[2];

	blob_links(path, links, 2);
	add_reader("blob", MAPS, links[0]);
	add_reader("blob", PROGS, links[1]);
}

/* An object with one iterator for each listing. */
static void add_object(char *name_and_path)
{
	char *path = strchr(name_and_path, '=');
	struct bpf_program *prog;
	struct bpf_object *obj;
	int found = 0;

	if (!path)
		error(2, 0, "'%s' is no NAME=OBJECT", name_and_path);
	*path++ = 0;
	obj = bpf_object__open_file(path, NULL);
	if (!obj || bpf_object__load(obj))
		error(1, errno, "load %s", path);
	bpf_object__for_each_program(prog, obj) {
		bool maps = !strcmp(bpf_program__section_name(prog), "iter/bpf_map");
		struct bpf_link *link = bpf_program__attach(prog);

		if (!link)
			error(1, errno, "attach %s of %s", bpf_program__name(prog), path);
		add_reader(name_and_path, maps ? MAPS : PROGS, bpf_link__fd(link));
		found |= 1 << maps;
	}
	if (found != 3)
		error(1, 0, "%s lacks an iterator", path);
}

static void add_bpftool(const char *name, enum listing listing, bool json, char **command, int words)
{
	struct reader *r = add_reader(name, listing, -1);

	r->json = json;
	r->argv = calloc(words + 4, sizeof(*r->argv));
	if (!r->argv)
		error(1, errno, "bpftool");
	memcpy(r->argv, command, words * sizeof(*command));
	if (json)
		r->argv[words++] = "-j";
	r->argv[words++] = listing == MAPS ? "map" : "prog";
	r->argv[words] = "show";
}

int main(int argc, char **argv)
{
	int made = 0, arg;
	char *out;

	if (argc < 2)
		error(2, 0, "usage: read BLOB NAME=OBJECT... -- BPFTOOL...");
	add_blob(argv[1]);
	for (arg = 2; arg < argc && strcmp(argv[arg], "--"); arg++)
		add_object(argv[arg]);
	for (enum listing listing = 0; listing < LISTINGS && arg + 1 < argc; listing++) {
		add_bpftool("bpftool", listing, false, argv + arg + 1, argc - arg - 1);
		add_bpftool("bpftool -j", listing, true, argv + arg + 1, argc - arg - 1);
	}

	crowd_ids = mmap(NULL, LISTINGS * sizeof(*crowd_ids), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* Faulted in beforehand. */
	out = mmap(NULL, OUTPUT_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (crowd_ids == MAP_FAILED || out == MAP_FAILED)
		error(1, errno, "memory");

	for (int i = 0; i < SIZES; i++) {
		crowd_grow(made, sizes[i].objects);
		made = sizes[i].objects;
		measure(made, sizes[i].rounds, out);
	}
	crowd_end();
	return 0;
}
