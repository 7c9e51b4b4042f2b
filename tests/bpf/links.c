// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * links OBJECT - makes a link of each type that this kernel has, several of
 * some, and prints the row that links.debug is to have for each, with single
 * spaces. After "ready" it waits for a line on stdin; takes away what the links
 * can lose (devices, cgroups, targets, or detaches them), prints the rows anew,
 * and waits again. For a guest of its own: it mounts, and leaves that so.
 *
 * OBJECT has the programs that need BTF; all others do nothing. What Debian
 * 12's headers do not know is spelt out here, from the uapi's linux/bpf.h.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "objects.h"

enum {
	/* enum bpf_attach_type */
	KPROBE_MULTI = 42, NETFILTER = 45, TCX_INGRESS = 46, TCX_EGRESS = 47,
	UPROBE_MULTI = 48, NETKIT_PRIMARY = 54, /* and 55: NETKIT_PEER */ STRUCT_OPS = 44,
	/* enum bpf_prog_type */
	PROG_NETFILTER = 32,
	/* map_flags */
	F_LINK = 1 << 13,
};

/* The part of union bpf_attr that BPF_LINK_CREATE reads, up to 7.3. */
struct link_create {
	__u32 prog_fd, target_fd, attach_type, flags;
	union {
		__u32 btf_id;
		struct { __u64 info; __u32 info_len; } iter;
		struct { __u32 flags, cnt; __u64 syms, addrs, cookies; } kprobe_multi;
		struct { __u32 pf, hooknum; __s32 priority; __u32 flags; } netfilter;
		struct { __u64 path, offsets, ref_ctr_offsets, cookies; __u32 cnt, flags, pid; } uprobe_multi;
		__u64 bytes[8];
	};
};

#define MAX_LINKS 64
static struct made {
	int fd;
	__u32 id;
	char *type, *prog, *attached, *detached;
} links[MAX_LINKS];
static int count;

static struct btf *vmlinux;

static char *format(const char *fmt, ...)
{
	va_list args;
	char *text;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		error(1, errno, "vasprintf");
	va_end(args);
	return text;
}

/* What has been built into the kernel must work: then a failure is one. */
static int has_struct(const char *name)
{
	if (btf__find_by_name_kind(vmlinux, name, BTF_KIND_STRUCT) > 0)
		return 1;
	printf("lacks %s\n", name);
	return 0;
}

static char *prog_text(int fd, const char *name)
{
	return format("%u %s", prog_id(fd), name);
}

/* Remembers a link with what its row says; detached: NULL if it cannot lose anything. */
static int made(int fd, const char *type, char *prog, char *attached, const char *detached)
{
	struct made *link = &links[count++];

	if (fd < 0)
		error(1, errno, "link %s %s", type, attached);
	if (count == MAX_LINKS)
		error(1, 0, "more than %d links", MAX_LINKS);
	link->fd = fd;
	link->id = id_in_info(fd, offsetof(struct bpf_link_info, id));
	link->type = format("%s", type);
	link->prog = prog;
	link->attached = attached;
	link->detached = detached ? format("%s", detached) : NULL;
	return fd;
}

/* A program that returns 1, which is right for each type used here. */
static int prog(int type, const char *name, int attach_type, int btf_id)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_type,
		    .attach_btf_id = btf_id);
	int fd = bpf_prog_load(type, name, "GPL", insns, 2, &opts);

	if (fd < 0)
		error(1, errno, "program %s", name);
	return fd;
}

static int link_create(int prog_fd, int target, int attach_type, struct link_create *more)
{
	struct link_create attr = more ? *more : (struct link_create){};

	attr.prog_fd = prog_fd;
	attr.target_fd = target;
	attr.attach_type = attach_type;
	return syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		error(1, errno, "%s", path);
	return fd;
}

static unsigned long long number_in(const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned long long number;

	if (!file || fscanf(file, "%llu", &number) != 1)
		error(1, errno, "no number in %s", path);
	fclose(file);
	return number;
}

static int cgroup_make(const char *name)
{
	char *path = format("/tmp/cgroup/%s", name);

	if (mkdir(path, 0755) && errno != EEXIST)
		error(1, errno, "%s", path);
	return open_or_die(path, O_RDONLY | O_DIRECTORY);
}

static unsigned long long inode(int fd)
{
	struct stat stat;

	if (fstat(fd, &stat))
		error(1, errno, "fstat");
	return stat.st_ino;
}

static void cgroups(void)
{
	int root, gone, egress, device;

	mkdir("/tmp/cgroup", 0755);
	if (mount("none", "/tmp/cgroup", "cgroup2", 0, NULL))
		error(1, errno, "mount cgroup2");
	root = open_or_die("/tmp/cgroup", O_RDONLY | O_DIRECTORY);
	gone = cgroup_make("gone");
	egress = prog(BPF_PROG_TYPE_CGROUP_SKB, "egress", BPF_CGROUP_INET_EGRESS, 0);
	device = prog(BPF_PROG_TYPE_CGROUP_DEVICE, "device", BPF_CGROUP_DEVICE, 0);
	made(link_create(egress, gone, BPF_CGROUP_INET_EGRESS, NULL), "cgroup",
	     prog_text(egress, "egress"), format("cgroup_inet_egress gone id %llu", inode(gone)),
	     "cgroup_inet_egress detached");
	made(link_create(device, root, BPF_CGROUP_DEVICE, NULL), "cgroup",
	     prog_text(device, "device"), format("cgroup_device - id %llu", inode(root)), NULL);
	close(gone);
}

/* A network namespace of its own, which goes when leave_netns() is called. */
static int old_netns;

static void enter_netns(void)
{
	old_netns = open_or_die("/proc/self/ns/net", O_RDONLY);
	if (unshare(CLONE_NEWNET))
		error(1, errno, "unshare");
}

static void leave_netns(void)
{
	if (setns(old_netns, CLONE_NEWNET))
		error(1, errno, "setns");
}

/* On the loopback device of the namespace that we are in. */
static void devices(const char *detached)
{
	int xdp = prog(BPF_PROG_TYPE_XDP, "xdp_program", BPF_XDP, 0);
	int tc = prog(BPF_PROG_TYPE_SCHED_CLS, "classifier", 0, 0);

	made(link_create(xdp, 1, BPF_XDP, NULL), "xdp", prog_text(xdp, "xdp_program"),
	     format("lo ifindex 1"), detached);
	if (has_struct("tcx_link")) {
		made(link_create(tc, 1, TCX_INGRESS, NULL), "tcx", prog_text(tc, "classifier"),
		     format("tcx_ingress lo ifindex 1"),
		     detached ? format("tcx_ingress %s", detached) : NULL);
		made(link_create(tc, 1, TCX_EGRESS, NULL), "tcx", prog_text(tc, "classifier"),
		     format("tcx_egress lo ifindex 1"),
		     detached ? format("tcx_egress %s", detached) : NULL);
	}
}

static void netkit(const char *detached)
{
	const char *const names[] = { "primary", "kit0", "peer", "nk0" };
	int tc = prog(BPF_PROG_TYPE_SCHED_CLS, "netkit_program", 0, 0);

	if (!has_struct("netkit_link"))
		return;
	/* The kernel makes the peer, and calls it nk0. */
	if (system("ip link add kit0 type netkit"))
		error(1, 0, "cannot add a netkit device");
	for (int peer = 0; peer < 2; peer++) {
		const char *side = names[2 * peer], *name = names[2 * peer + 1];

		/* A link of either side is made by way of the primary device. */
		made(link_create(tc, if_nametoindex("kit0"), NETKIT_PRIMARY + peer, NULL), "netkit",
		     prog_text(tc, "netkit_program"),
		     format("netkit_%s %s ifindex %u", side, name, if_nametoindex(name)),
		     format("netkit_%s %s", side, detached));
	}
}

static void netns(const char *detached)
{
	int fd = open_or_die("/proc/self/ns/net", O_RDONLY);
	int dissector = prog(BPF_PROG_TYPE_FLOW_DISSECTOR, "dissector", BPF_FLOW_DISSECTOR, 0);
	int lookup = prog(BPF_PROG_TYPE_SK_LOOKUP, "lookup", BPF_SK_LOOKUP, 0);

	made(link_create(dissector, fd, BPF_FLOW_DISSECTOR, NULL), "netns",
	     prog_text(dissector, "dissector"), format("flow_dissector inode %llu", inode(fd)),
	     format("flow_dissector %s", detached));
	made(link_create(lookup, fd, BPF_SK_LOOKUP, NULL), "netns", prog_text(lookup, "lookup"),
	     format("sk_lookup inode %llu", inode(fd)), format("sk_lookup %s", detached));
	close(fd);
}

static int netfilter_fd = -1;

static void netfilter(void)
{
	struct link_create more = { .netfilter = { .pf = 2, .hooknum = 1, .priority = -128 } };
	int fd;

	if (!has_struct("bpf_nf_link"))
		return;
	fd = prog(PROG_NETFILTER, "filter", NETFILTER, 0);
	netfilter_fd = made(link_create(fd, 0, NETFILTER, &more), "netfilter", prog_text(fd, "filter"),
			    format("pf 2 local_in priority -128"), "detached");
	more.netfilter.pf = 10;
	more.netfilter.hooknum = 4;
	more.netfilter.priority = 7;
	made(link_create(fd, 0, NETFILTER, &more), "netfilter", prog_text(fd, "filter"),
	     format("pf 10 post_routing priority 7"), NULL);
}

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

static int sockmap_fd = -1;

static void sockmap(void)
{
	int fd, map;

	if (!has_struct("sockmap_link"))
		return;
	map = map_create(BPF_MAP_TYPE_SOCKMAP, "sockets", 4, 4, 1);
	fd = prog(BPF_PROG_TYPE_SK_MSG, "verdict", BPF_SK_MSG_VERDICT, 0);
	sockmap_fd = made(link_create(fd, map, BPF_SK_MSG_VERDICT, NULL), "sockmap",
			  prog_text(fd, "verdict"),
			  format("sk_msg_verdict sockets id %u", map_id(map)), NULL);
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

static struct bpf_object *open_object(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *prog;

	if (!object)
		error(1, errno, "%s", path);
	bpf_object__for_each_program(prog, object)
		bpf_program__set_autoload(prog, false);
	return object;
}

static struct bpf_program *wanted(struct bpf_object *object, const char *name)
{
	struct bpf_program *prog = bpf_object__find_program_by_name(object, name);

	if (!prog)
		error(1, 0, "no program %s in the object", name);
	bpf_program__set_autoload(prog, true);
	return prog;
}

static struct bpf_object *load_targets(const char *path)
{
	struct bpf_object *object = open_object(path);

	wanted(object, "first_target_with_a_long_name");
	wanted(object, "second_target");
	wanted(object, "third_target");
	if (bpf_object__load(object))
		error(1, errno, "load the targets");
	return object;
}

static struct bpf_object *load_others(const char *path, struct bpf_object *targets)
{
	struct bpf_object *object = open_object(path);
	const char *const names[] = { "at_kernel_function", "each_element", "each_task", "at_switch" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		wanted(object, names[i]);
	if (has_struct("bpf_iter__cgroup"))
		wanted(object, "each_cgroup");
	if (bpf_program__set_attach_target(wanted(object, "replacement"),
			prog_of(targets, "first_target_with_a_long_name"), "replaced") ||
	    bpf_program__set_attach_target(wanted(object, "at_program_exit"),
			prog_of(targets, "third_target"), "replaced"))
		error(1, errno, "attach targets");
	if (bpf_object__load(object))
		error(1, errno, "load the programs");
	return object;
}

static void detach(int fd, const char *detached)
{
	struct link_create attr = { .prog_fd = fd };

	if (fd < 0)
		return;
	if (syscall(__NR_bpf, 34 /* BPF_LINK_DETACH */, &attr, sizeof(attr)))
		error(1, errno, "BPF_LINK_DETACH");
	for (int i = 0; i < count; i++)
		if (links[i].fd == fd)
			links[i].detached = format("%s", detached);
}

static void wait_for_reader(void)
{
	char line[16];

	puts("ready");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(0);
}

int main(int argc, char **argv)
{
	struct bpf_object *targets, *others;
	struct bpf_program *first;
	int ns;

	if (argc != 2)
		error(1, 0, "usage: links OBJECT");
	vmlinux = btf__load_vmlinux_btf();
	if (!vmlinux)
		error(1, errno, "no BTF of the kernel");
	targets = load_targets(argv[1]);
	others = load_others(argv[1], targets);

	tracing(targets, others);
	cgroups();
	iterators(others);
	raw_tracepoint();
	perf_events();
	kprobe_multi();
	uprobe_multi();
	netfilter();
	sockmap();
	struct_ops(bpf_object__btf_fd(targets));
	devices(NULL);
	enter_netns();
	ns = open_or_die("/proc/self/ns/net", O_RDONLY);
	devices("detached");
	netkit("detached");
	netns("detached");
	leave_netns();

	for (int i = 0; i < count; i++)
		printf("%u %s %s %s\n", links[i].id, links[i].type, links[i].prog, links[i].attached);
	wait_for_reader();

	close(ns);
	if (rmdir("/tmp/cgroup/gone"))
		error(1, errno, "rmdir");
	detach(netfilter_fd, "detached");
	detach(sockmap_fd, "sk_msg_verdict detached");
	detach(struct_ops_fd, "detached");
	close(first_link_fd);
	first = bpf_object__find_program_by_name(targets, "first_target_with_a_long_name");
	bpf_program__unload(first);
	/* Others now lie where the first target's names were. */
	for (int i = 0; i < 64; i++)
		load_targets(argv[1]);

	for (int i = 0; i < count; i++) {
		char *text = links[i].detached ? links[i].detached : links[i].attached;

		if (*text)
			printf("%u %s %s %s\n", links[i].id, links[i].type, links[i].prog, text);
	}
	wait_for_reader();
	return 0;
}
