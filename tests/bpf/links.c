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
#include <sys/mount.h>

#include "link_net.h"
#include "link_trace.h"

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
