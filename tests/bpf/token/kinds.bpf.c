// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Objects of different kinds, one for each KIND, to be loaded with a BPF token: programs of
 * another type each, and maps of all types that a token may allow.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#ifndef BPF_F_TOKEN_FD
/* Headers older than tokens need not know it: since 6.2. */
#define BPF_MAP_TYPE_CGRP_STORAGE 32
#endif

#define MAP(map, map_type, key, value, flags) \
	struct { \
		__uint(type, BPF_MAP_TYPE_##map_type); \
		__uint(max_entries, 16); \
		__uint(key_size, key); \
		__uint(value_size, value); \
		__uint(map_flags, flags); \
	} map SEC(".maps")
#define PROG(section, verdict) \
	SEC(section) int prog(void *ctx) { return verdict; }
#define STORAGE(map, map_type) \
	struct { \
		__uint(type, BPF_MAP_TYPE_##map_type); \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__type(key, int); \
		__type(value, long); \
	} map SEC(".maps")

char _license[] SEC("license") = "GPL";

#if KIND == 1
/* What the attached ones count, for whoever reads it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, int);
	__type(value, long);
} seen_by_programs SEC(".maps");
const volatile int weight = 1;

static void see(int who)
{
	long *seen, zero = 0;

	bpf_map_update_elem(&seen_by_programs, &who, &zero, BPF_NOEXIST);
	seen = bpf_map_lookup_elem(&seen_by_programs, &who);
	if (seen)
		*seen += weight;
}
SEC("xdp") int see_at_xdp(void *ctx) { see(1); return XDP_PASS; }
SEC("tcx/ingress") int see_at_tcx(void *ctx) { see(2); return -1; }
SEC("cgroup_skb/egress") int see_at_cgroup(void *ctx) { see(3); return 1; }
#elif KIND == 2
MAP(flows, LRU_HASH, 4, 8, 0);
PROG("tc", 0)
#elif KIND == 3
MAP(drops, PERCPU_ARRAY, 4, 8, 0);
PROG("cgroup/sock_create", 1)
#elif KIND == 4
MAP(rules, LPM_TRIE, 8, 8, BPF_F_NO_PREALLOC);
PROG("cgroup/connect4", 1)
#elif KIND == 5
PROG("cgroup/sysctl", 1)
#elif KIND == 6
PROG("cgroup/dev", 1)
#elif KIND == 7
MAP(peers, SOCKHASH, 4, 8, 0);
PROG("sockops", 0)
#elif KIND == 8
MAP(peers, SOCKMAP, 4, 8, 0);
PROG("sk_msg", 1)
#elif KIND == 9
MAP(backlog, QUEUE, 0, 8, 0);
PROG("sk_skb/stream_verdict", 1)
#elif KIND == 10
MAP(listeners, REUSEPORT_SOCKARRAY, 4, 8, 0);
PROG("sk_lookup", 1)
#elif KIND == 11
PROG("sk_reuseport", 1)
#elif KIND == 12
MAP(programs, PROG_ARRAY, 4, 4, 0);
PROG("flow_dissector", 0)
#elif KIND == 13
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
PROG("socket", 0)
#elif KIND == 14
MAP(events, PERF_EVENT_ARRAY, 4, 4, 0);
PROG("kprobe/", 0)
#elif KIND == 15
MAP(stacks, STACK_TRACE, 4, 80, 0);
PROG("tracepoint/", 0)
#elif KIND == 16
MAP(calls, PERCPU_HASH, 4, 8, 0);
PROG("raw_tp/", 0)
#elif KIND == 17
MAP(stack, STACK, 0, 8, 0);
PROG("perf_event", 0)
#elif KIND == 18
MAP(redirects, DEVMAP, 4, 4, 0);
PROG("xdp/devmap", XDP_PASS)
#elif KIND == 19
MAP(processors, CPUMAP, 4, 4, 0);
PROG("xdp/cpumap", XDP_PASS)
#elif KIND == 20
MAP(sockets, XSKMAP, 4, 4, 0);
PROG("lwt_in", 0)
#elif KIND == 21
MAP(bloom, BLOOM_FILTER, 0, 8, 0);
PROG("cgroup/getsockopt", 1)
#elif KIND == 22
struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, int); __type(value, long); };
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, int);
	__array(values, struct inner);
} outer SEC(".maps");
PROG("action", 0)
#elif KIND == 23
STORAGE(storage, SK_STORAGE);
PROG("cgroup/post_bind4", 1)
#elif KIND == 24
STORAGE(storage, CGRP_STORAGE);
PROG("netfilter", 1)
#elif KIND == 25
PROG("syscall", 0)
#elif KIND == 26
long counts;
SEC("iter/bpf_map") int prog(void *ctx) { counts++; return 0; }
#else
#error "no object of this KIND"
#endif
