/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Links to cgroups, devices, network namespaces and maps of sockets. */
#include <net/if.h>
#include <sched.h>

#include "link.h"

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
