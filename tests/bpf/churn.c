// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * churn READINGS progs=FILE maps=FILE [links=FILE]
 *
 * Reads each file so many times while other processes load and unload what it
 * lists. An object of ours that is there during the whole reading must be in
 * it, and nothing twice. Two readers take turns, each with a buffer of its own
 * size: the kernel fills a reader's buffer row by row, and finds the row to go
 * on with by id, which may be gone by then.
 *
 * Ids only grow, so that ours would soon lie below all those that come and go:
 * before each reading the oldest of ours is replaced.
 */
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "objects.h"

enum listing { PROGS, MAPS, LINKS, LISTINGS };
static const char *const listing_names[LISTINGS] = { "progs", "maps", "links" };

/* Together more rows than the 32 KiB that the kernel gives at a time. */
enum { STEADY = 300, CHURNERS = 2, CHURNING = 100 };
enum { OUTPUT_MAX = 1 << 20, READERS = 2 };

static const size_t sizes[] = { 128 << 10, 4096, 100, 128 << 10, 7, 33, 1000, 128 << 10, 1, 64 };

struct object {
	int fd;
	__u32 id;
};

struct reader {
	int fd;
	size_t size;
	size_t used;
	bool at_end;
	char *out;
};

struct shared {
	unsigned long churned[CHURNERS][LISTINGS];
};

static const char *paths[LISTINGS];
static int iter_prog;

static struct object make(enum listing listing)
{
	static const struct prog plain = { .type = BPF_PROG_TYPE_SOCKET_FILTER, .name = "plain" };
	union bpf_attr attr = {};
	struct object o;

	switch (listing) {
	case PROGS:
		o.fd = prog_load(&plain);
		o.id = id_in_info(o.fd, offsetof(struct bpf_prog_info, id));
		break;
	case MAPS:
		o.fd = map_create(BPF_MAP_TYPE_ARRAY, "plain", 4, 8, 1);
		o.id = id_in_info(o.fd, offsetof(struct bpf_map_info, id));
		break;
	default:
		attr.link_create.prog_fd = iter_prog;
		attr.link_create.attach_type = BPF_TRACE_ITER;
		o.fd = bpf_or_die("BPF_LINK_CREATE", BPF_LINK_CREATE, &attr);
		o.id = id_in_info(o.fd, offsetof(struct bpf_link_info, id));
	}
	return o;
}

static _Noreturn void churn(unsigned long churned[LISTINGS])
{
	static struct object objects[LISTINGS][CHURNING];

	for (unsigned int i = 0;; i++)
		for (int listing = 0; listing < LISTINGS; listing++) {
			struct object *o = &objects[listing][rand() % CHURNING];

			if (!paths[listing])
				continue;
			if (o->fd)
				close(o->fd);
			*o = make(listing);
			churned[listing]++;
		}
}

/*
 * Reads up to the end, or up to the first row past @last: what has larger ids is
 * younger than the reading, and on a busy machine made as fast as it is read.
 */
static void step(struct reader *r, __u32 last)
{
	ssize_t got = read(r->fd, r->out + r->used, r->size);
	char *end, *row;

	if (got < 0)
		error(1, errno, "read by %zu bytes", r->size);
	end = memrchr(r->out + r->used, '\n', got);
	r->used += got;
	r->at_end = !got;
	row = end ? memrchr(r->out, '\n', end - r->out) : NULL;
	if (row && strtoul(row, NULL, 10) > last) {
		r->used = end + 1 - r->out;
		r->at_end = true;
	}
	if (r->used > OUTPUT_MAX - (128 << 10))
		error(1, 0, "more than %zu bytes", r->used);
}

/*
 * Below a heading, one line for each object, in the order of ids. Returns how
 * many of them lie among ours, and are not ours.
 */
static int check(const struct reader *r, enum listing listing, const struct object *ours, const char *when)
{
	const char *line = r->out, *name = listing_names[listing];
	int next = 0, strangers = 0;
	__u32 id, last = 0;
	char *end;

	r->out[r->used] = 0;
	if (strncmp(line + strspn(line, " "), "id", 2))
		error(1, 0, "%s, %s: begins with '%.20s'", name, when, line);
	while ((line = strchr(line, '\n')) && *++line) {
		id = strtoul(line, &end, 10);
		if (end == line || *line == '\n' || !strchr(" \n", *end) || !strchr(end, '\n'))
			error(1, 0, "%s, %s: a row '%.40s'", name, when, line);
		if (id <= last)
			error(1, 0, "%s, %s: id %u follows %u", name, when, id, last);
		last = id;
		if (next < STEADY && id > ours[next].id)
			error(1, 0, "%s, %s: id %u is missing before %u", name, when, ours[next].id, id);
		if (next < STEADY && id == ours[next].id)
			next++;
		else if (next && next < STEADY)
			strangers++;
	}
	if (next != STEADY)
		error(1, 0, "%s, %s: the last %d are missing", name, when, STEADY - next);
	return strangers;
}

static void test(enum listing listing, int readings, struct shared *shared)
{
	static struct object ours[STEADY];
	static struct reader readers[READERS];
	unsigned long strangers = 0;
	char when[64];

	for (int i = 0; i < STEADY; i++)
		ours[i] = make(listing);
	for (int i = 0; i < READERS; i++)
		if (!readers[i].out && !(readers[i].out = malloc(OUTPUT_MAX)))
			error(1, errno, "malloc");

	for (int reading = 0; reading < readings; reading += READERS) {
		close(ours[0].fd);
		memmove(ours, ours + 1, (STEADY - 1) * sizeof(*ours));
		ours[STEADY - 1] = make(listing);

		for (int i = 0; i < READERS; i++) {
			struct reader *r = &readers[i];

			r->size = sizes[(reading / READERS * (i + 1) + i) % (sizeof(sizes) / sizeof(*sizes))];
			r->used = 0;
			r->at_end = false;
			r->fd = open(paths[listing], O_RDONLY);
			if (r->fd < 0)
				error(1, errno, "%s", paths[listing]);
		}
		while (!readers[0].at_end || !readers[1].at_end)
			for (int i = 0; i < READERS; i++)
				if (!readers[i].at_end)
					step(&readers[i], ours[STEADY - 1].id);
		for (int i = 0; i < READERS; i++) {
			close(readers[i].fd);
			snprintf(when, sizeof(when), "reading %d by %zu bytes", reading + i, readers[i].size);
			strangers += check(&readers[i], listing, ours, when);
		}
	}
	printf("%s: %d readings, %lu rows of others among ours", listing_names[listing], readings, strangers);
	for (int i = 0; i < CHURNERS; i++)
		printf(", %lu", shared->churned[i][listing]);
	printf(" made meanwhile\n");
	if (!strangers)
		error(1, 0, "%s: nothing came and went", listing_names[listing]);
	for (int i = 0; i < STEADY; i++)
		close(ours[i].fd);
}

int main(int argc, char **argv)
{
	int readings = argc > 2 ? atoi(argv[1]) : 0;
	pid_t churners[CHURNERS];
	struct shared *shared;

	for (int arg = 2; arg < argc; arg++)
		for (int listing = 0; listing < LISTINGS; listing++) {
			size_t len = strlen(listing_names[listing]);

			if (!strncmp(argv[arg], listing_names[listing], len) && argv[arg][len] == '=')
				paths[listing] = argv[arg] + len + 1;
		}
	if (readings < READERS || !paths[PROGS] || !paths[MAPS])
		error(2, 0, "usage: churn READINGS progs=FILE maps=FILE [links=FILE]");

	/* Before 5.11 maps and programs count as locked memory. Elsewhere it
	 * does not matter, and may be refused.
	 */
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		error(1, errno, "memory");
	if (paths[LINKS]) {
		struct prog p = { .type = BPF_PROG_TYPE_TRACING, .attach_type = BPF_TRACE_ITER, .name = "task" };
		int btf_id = libbpf_find_vmlinux_btf_id("task", BPF_TRACE_ITER);

		if (btf_id < 0)
			error(1, -btf_id, "BTF id of bpf_iter_task");
		p.attach_btf_id = btf_id;
		iter_prog = prog_load(&p);
	}
	for (int i = 0; i < CHURNERS; i++) {
		churners[i] = fork();
		if (churners[i] < 0)
			error(1, errno, "fork");
		if (!churners[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			srand(i);
			churn(shared->churned[i]);
		}
	}
	for (enum listing listing = 0; listing < LISTINGS; listing++)
		if (paths[listing])
			test(listing, readings, shared);
	for (int i = 0; i < CHURNERS; i++)
		kill(churners[i], SIGKILL);
	return 0;
}
