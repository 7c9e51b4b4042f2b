// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * rows PROGS.DEBUG MAPS.DEBUG
 *
 * Makes programs and maps that are hard to list and checks what the files say
 * of them against the kernel's info on each object, against libbpf's names of
 * types, and against what was made: targets that are attached to, replaced,
 * unloaded and followed by others in the same memory; names as long as the
 * kernel takes them, and none; ids of six digits; elements that some map types
 * count and some do not. One line for each thing that is wrong; the status is
 * 1 if there is any.
 */
#include <fcntl.h>
#include <sys/resource.h>

#include "functions.h"

static void targets_come_and_go(void)
{
	static struct tracer tracers[] = {
		{ "freplace", "new_get_skb_len", BPF_PROG_TYPE_EXT, 0, 1, -1, -1 },
		{ "fentry of a sub-program", "enters_sub", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, 1, -1, -1 },
		{ "fexit", "leaves_main", BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT, 0, -1, -1 },
		{ "fentry, not attached", "waits", BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, 0, -1, -1 },
	};
	enum { N = sizeof(tracers) / sizeof(tracers[0]), ATTACHED = N - 1 };
	struct target first = target("test_pkt_access", "get_skb_len"), second, again[OTHERS];
	char names[OTHERS][2][32];
	int others[OTHERS], second_link;

	for (int i = 0; i < N; i++) {
		struct tracer *t = &tracers[i];
		struct functions f = { btf_of(&t->name, 1), FUNC(0), 0 };

		t->fd = load_for(t->type, t->attach_type, f, first.fd, FUNC(t->func));
		close(f.btf_fd);
		says(t->what, t->fd, t->name, first.names[t->func], first.names[0]);
	}
	/* Last what replaces a function: the kernel lets nobody trace it then. */
	for (int i = ATTACHED - 1; i >= 0; i--) {
		struct tracer *t = &tracers[i];

		t->link = attach(t->fd, 0, 0);
		says_or_not("attached", t->fd, t->name, first.names[t->func], first.names[0]);
		if (i > 0) {
			close(t->link);
			says_or_not("detached", t->fd, t->name, first.names[t->func], first.names[0]);
		}
	}

	/* A second target, whose names must not be taken for those of the first. */
	second = target("test_second", "get_other_len");
	second_link = attach(tracers[0].fd, second.fd, FUNC(1));
	says_or_not("attached twice", tracers[0].fd, "new_get_skb_len", "get_skb_len", "test_pkt_access");
	close(tracers[0].link);
	says_or_not("attached to the second", tracers[0].fd, "new_get_skb_len", "get_skb_len", "test_pkt_access");

	/* The first target lives as long as the one that was never attached. */
	close(first.fd);
	says(tracers[N - 1].what, tracers[N - 1].fd, "waits", "test_pkt_access", "test_pkt_access");
	close(tracers[N - 1].fd);
	/* The memory of its BTF, after a grace period, goes to others of its size. */
	usleep(200000);
	for (int i = 0; i < OTHERS; i++) {
		const char *pair[] = { names[i][0], names[i][1] };

		snprintf(names[i][0], sizeof(names[i][0]), "stale_main_%04d", i);
		snprintf(names[i][1], sizeof(names[i][1]), "stale_sub%02d", i);
		others[i] = btf_of(pair, 2);
		/* Identical ones, too: a program that was not there is not the target. */
		again[i] = target("test_pkt_access", "get_skb_len");
	}
	for (int i = 0; i < ATTACHED; i++)
		says("target gone", tracers[i].fd, tracers[i].name, "-", "-");
	says("never attached", second.fd, "test_second", "-", "-");
	close(second_link);
	close(second.fd);
	for (int i = 0; i < ATTACHED; i++) {
		says("all targets gone", tracers[i].fd, tracers[i].name, "-", "-");
		close(tracers[i].fd);
	}
	for (int i = 0; i < OTHERS; i++) {
		close(others[i]);
		close(again[i].fd);
	}
}

/* The kernel's own BTF stays, and so does what is attached to its functions. */
static void kernel_functions_stay(void)
{
	static const char *const name[] = { "traces_kernel" }, *const function = "bpf_fentry_test1";
	struct functions f = { btf_of(name, 1), FUNC(0), 0 };
	int id = libbpf_find_vmlinux_btf_id(function, BPF_TRACE_FENTRY);
	int fd, link;

	if (id <= 0)
		error(1, -id, "%s", function);
	fd = load_for(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, f, 0, id);
	says("kernel function", fd, name[0], function, "-");
	link = attach(fd, 0, 0);
	says("kernel function, attached", fd, name[0], function, "-");
	close(link);
	says("kernel function, detached", fd, name[0], function, "-");
	close(fd);
	close(f.btf_fd);
}

static void names_are_whole_and_never_blank(void)
{
	static const char *const line[] = { "with_line_info" };
	struct functions none = {}, f;
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	struct bpf_line_info info = { .line_off = 1, .file_name_off = 1 };
	char longest[NAME_MAX_LEN + 1] = {}, other[NAME_MAX_LEN + 1] = {};
	const char *pair[] = { longest, other };
	struct target t;
	struct row *row;
	int fd;

	fd = load(BPF_PROG_TYPE_SOCKET_FILTER, NULL, none, NULL);
	says("no name", fd, "-", "-", "-");
	close(fd);
	fd = load(BPF_PROG_TYPE_XDP, "fifteen_letters", none, NULL);
	says("name of 15 bytes", fd, "fifteen_letters", "-", "-");
	close(fd);

	/* There is BTF and line_info, but no func_info to read. */
	opts.prog_btf_fd = btf_of(line, 1);
	opts.line_info = &info;
	opts.line_info_cnt = 1;
	opts.line_info_rec_size = sizeof(info);
	fd = load(BPF_PROG_TYPE_KPROBE, "only_lines", none, &opts);
	says("line_info alone", fd, "only_lines", "-", "-");
	close(fd);
	close(opts.prog_btf_fd);

	/* 127 bytes, since 6.1 511. */
	memset(longest, 'n', NAME_MAX_LEN);
	memset(other, 'o', NAME_MAX_LEN);
	f = (struct functions){ btf_of(pair, 2), FUNC(0), 0 };
	if (f.btf_fd < 0) {
		longest[127] = other[127] = 0;
		f.btf_fd = btf_of(pair, 2);
	}
	if (f.btf_fd < 0)
		error(1, errno, "BTF with long names");
	fd = load(BPF_PROG_TYPE_CGROUP_SKB, "long", f, NULL);
	says("longest name", fd, longest, "-", "-");
	close(fd);

	/* All three names long, more than one call of bpf_seq_printf() takes. */
	t = target(longest, other);
	fd = load_for(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, f, t.fd, FUNC(1));
	says_or_not("three long names", fd, longest, other, longest);
	close(fd);
	longest[100] = other[100] = 0;
	close(t.fd);
	close(f.btf_fd);
	f.btf_fd = btf_of(pair, 2);
	t = target(longest, other);
	fd = load_for(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, f, t.fd, FUNC(1));
	row = prog_row("three names of 100 bytes", fd);
	same("three names of 100 bytes", "name", row->word[1], longest);
	same("three names of 100 bytes", "attached", row->word[2], other);
	same("three names of 100 bytes", "target", row->word[3], longest);
	close(fd);
	close(t.fd);
	close(f.btf_fd);
}

static bool counts(void)
{
	/* Hash types count since 6.6, with the kfunc that sums. */
	return libbpf_find_vmlinux_btf_id("bpf_map_sum_elem_count", BPF_TRACE_FENTRY) > 0;
}

static struct row *map_row(const char *what, int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	struct row *row;
	char text[32];

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		error(1, errno, "info of a map");
	row = find(maps_debug, info.id);
	same(what, "name", row->word[1], info.name[0] ? info.name : "-");
	snprintf(text, sizeof(text), "%u", info.max_entries);
	same(what, "max_entries", row->word[2], text);
	same(what, "type", row->word[4], libbpf_bpf_map_type_str(info.type));
	snprintf(text, sizeof(text), "%u", info.key_size);
	same(what, "key_size", row->word[5], text);
	snprintf(text, sizeof(text), "%u", info.value_size);
	same(what, "value_size", row->word[6], text);
	return row;
}

static void elements_are_counted_or_not_told(void)
{
	static const struct {
		__u32 type, flags;
		bool counts;
	} kinds[] = {
		{ BPF_MAP_TYPE_HASH, 0, true },
		{ BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, true },
		{ BPF_MAP_TYPE_PERCPU_HASH, 0, true },
		{ BPF_MAP_TYPE_LRU_HASH, 0, true },
		{ BPF_MAP_TYPE_LRU_PERCPU_HASH, 0, true },
		{ BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC, false },
		{ BPF_MAP_TYPE_ARRAY, 0, false },
		{ BPF_MAP_TYPE_PERCPU_ARRAY, 0, false },
	};
	bool kernel_counts = counts();

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = kinds[i].flags);
		bool lpm = kinds[i].type == BPF_MAP_TYPE_LPM_TRIE;
		const char *what = libbpf_bpf_map_type_str(kinds[i].type);
		__u64 key = 0, value[256] = {};
		int fd = bpf_map_create(kinds[i].type, i ? "kind" : NULL, lpm ? 8 : 4, 8, 8, &opts);

		if (fd < 0)
			error(1, errno, "%s map", what);
		for (int n = 0; n < 3; n++) {
			/* A prefix of an LPM trie's key is its first word. */
			key = lpm ? (__u64)n << 32 | 32 : (__u64)n;
			if (bpf_map_update_elem(fd, &key, value, 0))
				error(1, errno, "element of a %s map", what);
		}
		if (bpf_map_update_elem(fd, &key, value, 0))
			error(1, errno, "element of a %s map", what);
		same(what, "cur_entries", map_row(what, fd)->word[3],
		     kernel_counts && kinds[i].counts ? "3" : "-");
		if (kinds[i].counts) {
			bpf_map_delete_elem(fd, &key);
			same(what, "cur_entries", map_row(what, fd)->word[3], kernel_counts ? "2" : "-");
		}
		close(fd);
	}
}

/* Since 5.11: before, the memory of all elements is charged, and too much. */
static void entries_have_no_sign(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "most", 8, 4, -1, &opts);

	if (fd < 0 && errno == E2BIG)
		return;
	if (fd < 0)
		error(1, errno, "largest map");
	map_row("largest map", fd);
	close(fd);
}

/* Every word of a map's row where the heading has its own, to the left or right. */
static void columns_are_aligned(void)
{
	static const char heading[] = "    id name             max_entries  cur_entries type             key_size value_size\n";
	char line[LINE_LEN], name[] = "aligned_to_here";
	int small = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, name, 4, 8, 1, NULL), large = -1;
	struct row rows[2];
	FILE *f = fopen(maps_debug, "r");

	if (!f || !fgets(line, sizeof(line), f))
		error(1, errno, "%s", maps_debug);
	fclose(f);
	same("maps.debug", "heading", line, heading);
	for (__u32 id = 0; id < SIX_DIGITS; id = map_id(large)) {
		if (large >= 0)
			close(large);
		large = bpf_map_create(BPF_MAP_TYPE_PERCPU_ARRAY, name, 4, 8, 1, NULL);
		if (large < 0)
			error(1, errno, "map of many");
	}
	rows[0] = *map_row("small id", small);
	rows[1] = *map_row("id of six digits", large);
	for (int i = 1; i < rows[0].words; i++)
		if (rows[0].at[i] != rows[1].at[i])
			wrong("column %d begins at %d or %d", i, rows[0].at[i], rows[1].at[i]);
	if (rows[1].at[0] != 0)
		wrong("an id of six digits begins at %d", rows[1].at[0]);
	close(small);
	close(large);
}

int main(int argc, char **argv)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	if (argc != 3)
		error(1, 0, "usage: rows PROGS.DEBUG MAPS.DEBUG");
	progs_debug = argv[1];
	maps_debug = argv[2];
	setrlimit(RLIMIT_MEMLOCK, &limit);
	targets_come_and_go();
	kernel_functions_stay();
	names_are_whole_and_never_blank();
	elements_are_counted_or_not_told();
	entries_have_no_sign();
	columns_are_aligned();
	return failures > 0;
}
