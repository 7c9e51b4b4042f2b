/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Links to functions, events, iterators, and structs of functions. */
#include <elf.h>
#include <linux/perf_event.h>

#include "link.h"

static void kprobe_multi(void)
{
	const char *one[] = { "vfs_statx" };
	struct link_create more = { .kprobe_multi = { .cnt = 1, .syms = addr(one) } };
	int fd;

	if (!has_struct("bpf_kprobe_multi_link"))
		return;
	fd = prog(BPF_PROG_TYPE_KPROBE, "functions", KPROBE_MULTI, 0);
	made(link_create(fd, 0, KPROBE_MULTI, &more), "kprobe_multi", prog_text(fd, "functions"),
	     format("trace_kprobe_multi vfs_statx count 1"), NULL);
	more.kprobe_multi.flags = 1;
	made(link_create(fd, 0, KPROBE_MULTI, &more), "kprobe_multi", prog_text(fd, "functions"),
	     format("trace_kprobe_multi return vfs_statx count 1"), NULL);
}

/* Where in this file the first instruction is, and one after it. */
static void entry_offsets(unsigned long offsets[2])
{
	int fd = open_or_die("/proc/self/exe", O_RDONLY);
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
		error(1, errno, "/proc/self/exe");
	for (int i = 0; i < header.e_phnum; i++) {
		if (pread(fd, &segment, sizeof(segment), header.e_phoff + i * sizeof(segment)) !=
		    sizeof(segment))
			error(1, errno, "/proc/self/exe");
		if (segment.p_type == PT_LOAD && segment.p_flags & PF_X)
			offsets[0] = header.e_entry - segment.p_vaddr + segment.p_offset;
	}
	close(fd);
	/* _start begins with endbr64, of four bytes. */
	offsets[1] = offsets[0] + 4;
}

static char *self_path(void)
{
	static char path[256];

	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		error(1, errno, "/proc/self/exe");
	return path;
}

static void uprobe_multi(void)
{
	unsigned long offsets[2];
	struct link_create more = { .uprobe_multi = {
		.path = addr(self_path()), .offsets = addr(offsets), .cnt = 2, .flags = 1 } };
	int fd;

	if (!has_struct("bpf_uprobe_multi_link"))
		return;
	entry_offsets(offsets);
	fd = prog(BPF_PROG_TYPE_KPROBE, "user_functions", UPROBE_MULTI, 0);
	made(link_create(fd, 0, UPROBE_MULTI, &more), "uprobe_multi", prog_text(fd, "user_functions"),
	     format("trace_uprobe_multi return links count 2"), NULL);
}

static int perf_open(struct perf_event_attr *attr)
{
	int fd;

	attr->size = sizeof(*attr);
	fd = syscall(__NR_perf_event_open, attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		error(1, errno, "perf_event_open, type %u config %llu", attr->type, attr->config);
	return fd;
}

static void perf(int type, const char *name, struct perf_event_attr *attr, char *row)
{
	int fd = prog(type, name, 0, 0);

	made(link_create(fd, perf_open(attr), BPF_PERF_EVENT, NULL), "perf_event",
	     prog_text(fd, name), row, NULL);
}

static void perf_events(void)
{
	struct perf_event_attr switches = { .type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CONTEXT_SWITCHES,
					 .sample_period = 1000000 };
	struct perf_event_attr point = { .type = PERF_TYPE_TRACEPOINT, .sample_period = 1 };
	struct perf_event_attr probe = { .sample_period = 1 };
	unsigned long offsets[2];

	if (!has_struct("bpf_perf_link"))
		return;
	mkdir("/tmp/tracing", 0755);
	if (mount("none", "/tmp/tracing", "tracefs", 0, NULL))
		error(1, errno, "mount tracefs");
	perf(BPF_PROG_TYPE_PERF_EVENT, "switches", &switches, format("type 1 config 3"));
	point.config = number_in("/tmp/tracing/events/sched/sched_switch/id");
	perf(BPF_PROG_TYPE_TRACEPOINT, "point", &point, format("tracepoint sched_switch"));

	probe.type = number_in("/sys/bus/event_source/devices/kprobe/type");
	probe.kprobe_func = addr("vfs_statx");
	perf(BPF_PROG_TYPE_KPROBE, "probe", &probe, format("kprobe vfs_statx offset 0"));
	probe.config = 1;
	perf(BPF_PROG_TYPE_KPROBE, "return_probe", &probe, format("kprobe return vfs_statx offset 0"));

	entry_offsets(offsets);
	probe.type = number_in("/sys/bus/event_source/devices/uprobe/type");
	probe.config = 0;
	probe.uprobe_path = addr(self_path());
	probe.probe_offset = offsets[0];
	perf(BPF_PROG_TYPE_KPROBE, "user_probe", &probe,
	     format("uprobe %s offset %lu", self_path(), offsets[0]));
}

static void raw_tracepoint(void)
{
	int fd = prog(BPF_PROG_TYPE_RAW_TRACEPOINT, "raw", 0, 0);

	made(bpf_raw_tracepoint_open("sched_wakeup", fd), "raw_tracepoint", prog_text(fd, "raw"),
	     format("sched_wakeup"), NULL);
}

/* tcp_congestion_ops with the three functions that are a must. */
static int struct_ops_fd = -1;

static void struct_ops(int btf_fd)
{
	const char *const musts[] = { "ssthresh", "undo_cwnd", "cong_avoid" };
	int value_type, ops_type, map, fd;
	const struct btf_type *value, *ops;
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = F_LINK);
	unsigned char *bytes;
	__u32 offset = 0, key = 0;

	if (!has_struct("bpf_struct_ops_link"))
		return;
	value_type = btf__find_by_name_kind(vmlinux, "bpf_struct_ops_tcp_congestion_ops", BTF_KIND_STRUCT);
	ops_type = btf__find_by_name_kind(vmlinux, "tcp_congestion_ops", BTF_KIND_STRUCT);
	value = btf__type_by_id(vmlinux, value_type);
	ops = btf__type_by_id(vmlinux, ops_type);
	if (!value || !ops)
		error(1, 0, "no tcp_congestion_ops in this kernel");
	for (int i = 0; i < btf_vlen(value); i++)
		if (btf_members(value)[i].type == (__u32)ops_type)
			offset = btf_members(value)[i].offset / 8;
	/* A BTF must be there, whichever. */
	opts.btf_fd = btf_fd;
	opts.btf_vmlinux_value_type_id = value_type;
	map = bpf_map_create(BPF_MAP_TYPE_STRUCT_OPS, "congestion", 4, value->size, 1, &opts);
	if (map < 0)
		error(1, errno, "map of struct_ops");
	bytes = calloc(1, value->size);
	for (int i = 0; i < btf_vlen(ops); i++) {
		const struct btf_member *member = &btf_members(ops)[i];
		const char *name = btf__name_by_offset(vmlinux, member->name_off);
		unsigned char *place = bytes + offset + member->offset / 8;

		for (int j = 0; j < 3; j++) {
			if (strcmp(name, musts[j]))
				continue;
			fd = prog(BPF_PROG_TYPE_STRUCT_OPS, musts[j], i, ops_type);
			*(__u64 *)place = fd;
		}
		if (!strcmp(name, "name"))
			strcpy((char *)place, "test");
	}
	map_update(map, &key, bytes);
	struct_ops_fd = made(link_create(map, 0, STRUCT_OPS, NULL), "struct_ops", format("- -"),
			     format("tcp_congestion_ops congestion id %u", map_id(map)), NULL);
}

static int prog_of(struct bpf_object *object, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(object, name);

	return prog ? bpf_program__fd(prog) : -1;
}

static void iterators(struct bpf_object *object)
{
	int map = map_create(BPF_MAP_TYPE_HASH, "elements", 4, 4, 1);
	int elements = prog_of(object, "each_element"), tasks = prog_of(object, "each_task");
	int cgroups = prog_of(object, "each_cgroup"), cgroup;
	union bpf_iter_link_info info = { .map.map_fd = map };
	struct link_create more = { .iter = { addr(&info), sizeof(info) } };

	made(link_create(elements, 0, BPF_TRACE_ITER, &more), "iter", prog_text(elements, "each_element"),
	     format("bpf_map_elem elements id %u", map_id(map)), NULL);
	made(link_create(tasks, 0, BPF_TRACE_ITER, NULL), "iter", prog_text(tasks, "each_task"),
	     format("task"), NULL);
	if (cgroups < 0)
		return;
	memset(&info, 0, sizeof(info));
	info.task.pid = getpid();
	made(link_create(tasks, 0, BPF_TRACE_ITER, &more), "iter", prog_text(tasks, "each_task"),
	     format("task pid %d", getpid()), NULL);
	cgroup = cgroup_make("kept");
	memset(&info, 0, sizeof(info));
	info.cgroup.cgroup_fd = cgroup;
	info.cgroup.order = BPF_CGROUP_ITER_SELF_ONLY;
	made(link_create(cgroups, 0, BPF_TRACE_ITER, &more), "iter", prog_text(cgroups, "each_cgroup"),
	     format("cgroup kept id %llu", inode(cgroup)), NULL);
}

/* The replacement's first link is to go, and with it the first target. */
static int first_link_fd;

static void tracing(struct bpf_object *targets, struct bpf_object *object)
{
	int first = prog_of(targets, "first_target_with_a_long_name");
	int second = prog_of(targets, "second_target"), third = prog_of(targets, "third_target");
	int replacement = prog_of(object, "replacement"), exit = prog_of(object, "at_program_exit");
	int kernel = prog_of(object, "at_kernel_function"), at_switch = prog_of(object, "at_switch");
	struct link_create more = { .btf_id = btf__find_by_name_kind(bpf_object__btf(targets),
								      "replaced", BTF_KIND_FUNC) };

	made(link_create(exit, 0, BPF_TRACE_FEXIT, NULL), "tracing", prog_text(exit, "at_program_exit"),
	     format("trace_fexit replaced third_target id %u", prog_id(third)), NULL);
	first_link_fd = made(link_create(replacement, 0, 0, NULL), "tracing",
			     prog_text(replacement, "replacement"),
			     format("freplace replaced first_target_with_a_long_name id %u",
				    prog_id(first)), "");
	made(link_create(replacement, second, 0, &more), "tracing", prog_text(replacement, "replacement"),
	     format("freplace replaced second_target id %u", prog_id(second)), NULL);
	made(link_create(kernel, 0, BPF_TRACE_FENTRY, NULL), "tracing",
	     prog_text(kernel, "at_kernel_function"), format("trace_fentry bpf_fentry_test1"), NULL);
	made(bpf_raw_tracepoint_open(NULL, at_switch), "raw_tracepoint",
	     prog_text(at_switch, "at_switch"), format("sched_switch"), NULL);
}
