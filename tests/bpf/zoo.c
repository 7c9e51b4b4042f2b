// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * zoo - makes a map and a program of every type that the running kernel knows
 * and lets us have, and odd ones beside, and holds them until stdin ends. One
 * word on stdout, "ready", when all are there; what was refused is on stderr.
 */
#include <bpf/libbpf.h>
#include <sys/resource.h>

#include "objects.h"

enum { MAP_TYPES = 40, PROG_TYPES = 40, AT_LEAST = 40 };

/* Of the uapi after 6.1, which is Debian 12's. */
enum { MAP_TYPE_CGRP_STORAGE = 32, MAP_TYPE_ARENA = 33 };
enum { PROG_TYPE_NETFILTER = 32, ATTACH_NETFILTER = 45 };

static int made, refused;

static int note(const char *what, __u32 type, int fd)
{
	if (fd >= 0) {
		made++;
	} else {
		refused++;
		fprintf(stderr, "%s of type %u: %s\n", what, type, strerror(errno));
	}
	return fd;
}

static int map(__u32 type, const char *name, union bpf_attr attr)
{
	attr.map_type = type;
	memcpy(attr.map_name, name, strnlen(name, sizeof(attr.map_name) - 1));
	return bpf(BPF_MAP_CREATE, &attr);
}

/* What a map of this type must look like to be taken. */
static union bpf_attr map_attr(__u32 type, int inner, int btf)
{
	union bpf_attr a = { .key_size = 4, .value_size = 4, .max_entries = 3 };

	switch (type) {
	case BPF_MAP_TYPE_STACK_TRACE:
		a.value_size = 8 * 127;
		break;
	case BPF_MAP_TYPE_LPM_TRIE:
		a.key_size = 8;
		a.map_flags = BPF_F_NO_PREALLOC;
		a.max_entries = ~0U;
		break;
	case BPF_MAP_TYPE_ARRAY_OF_MAPS:
	case BPF_MAP_TYPE_HASH_OF_MAPS:
		a.inner_map_fd = inner;
		break;
	case BPF_MAP_TYPE_CGROUP_STORAGE:
	case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
		a.key_size = sizeof(struct bpf_cgroup_storage_key);
		a.max_entries = 0;
		break;
	case BPF_MAP_TYPE_QUEUE:
	case BPF_MAP_TYPE_STACK:
	case BPF_MAP_TYPE_BLOOM_FILTER:
		a.key_size = 0;
		break;
	case BPF_MAP_TYPE_SK_STORAGE:
	case BPF_MAP_TYPE_INODE_STORAGE:
	case BPF_MAP_TYPE_TASK_STORAGE:
	case MAP_TYPE_CGRP_STORAGE:
		a.max_entries = 0;
		a.map_flags = BPF_F_NO_PREALLOC;
		a.btf_fd = btf;
		a.btf_key_type_id = 1;
		a.btf_value_type_id = 1;
		break;
	case BPF_MAP_TYPE_RINGBUF:
	case BPF_MAP_TYPE_USER_RINGBUF:
		a.key_size = a.value_size = 0;
		a.max_entries = 4096;
		break;
	case MAP_TYPE_ARENA:
		a.key_size = a.value_size = 0;
		a.map_flags = BPF_F_MMAPABLE;
		break;
	}
	return a;
}

static void odd_maps(void)
{
	union bpf_attr attr = { .key_size = 4, .value_size = 4, .max_entries = 1 };
	int fd;

	note("map without a name", 2, map(BPF_MAP_TYPE_ARRAY, "", attr));
	note("map of dots", 2, map(BPF_MAP_TYPE_ARRAY, "...............", attr));
	attr.map_flags = BPF_F_RDONLY_PROG;
	fd = note("frozen map", 2, map(BPF_MAP_TYPE_ARRAY, "zoo.frozen", attr));
	attr = (union bpf_attr){ .map_fd = fd };
	note("freeze", 2, bpf(BPF_MAP_FREEZE, &attr));
	attr = (union bpf_attr){ .key_size = 4, .value_size = 4, .max_entries = 1 };
	attr.map_flags = BPF_F_RDONLY | BPF_F_WRONLY_PROG;
	note("map to be written by programs", 2, map(BPF_MAP_TYPE_ARRAY, "zoo.wronly", attr));
	attr.map_flags = BPF_F_MMAPABLE;
	attr.value_size = 1 << 20;
	note("map with large values", 2, map(BPF_MAP_TYPE_ARRAY, "zoo.large", attr));
	attr = (union bpf_attr){ .key_size = 400, .value_size = 40000, .max_entries = 1000, .map_flags = BPF_F_NO_PREALLOC };
	note("large keys", 1, map(BPF_MAP_TYPE_HASH, "zoo.keys", attr));
	attr.max_entries = 70000;
	attr.key_size = attr.value_size = 4;
	fd = note("map with many elements", 1, map(BPF_MAP_TYPE_HASH, "zoo.full", attr));
	for (int i = 0; i < 70000; i++)
		map_update(fd, &i, &i);
	attr.map_flags = BPF_F_NO_COMMON_LRU;
	attr.max_entries = 1000;
	fd = note("lru of cpus", 9, map(BPF_MAP_TYPE_LRU_HASH, "zoo.lru", attr));
	for (int i = 0; i < 10; i++)
		map_update(fd, &i, &i);
}

/* A program whose `insns` call themselves `subprogs` functions further down. */
static int prog(__u32 type, const char *name, __u32 attach_type, __u32 btf_id, int btf_fd, int subprogs, __u32 flags)
{
	struct bpf_insn insns[2 * 64 + 66] = {};
	struct bpf_func_info funcs[65] = {};
	union bpf_attr attr = {
		.prog_type = type,
		.expected_attach_type = attach_type,
		.attach_btf_id = btf_id,
		.insns = addr(insns),
		.license = addr("GPL"),
		.prog_flags = flags,
	};
	int n = 0;

	for (int i = 0; i < subprogs; i++)
		insns[n++] = (struct bpf_insn){ BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, subprogs + 1 + i };
	for (int i = 0; i <= subprogs; i++) {
		funcs[i] = (struct bpf_func_info){ i ? n : 0, BTF_FIRST_FUNC + i };
		insns[n++] = (struct bpf_insn){ BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0 };
		insns[n++] = (struct bpf_insn){ BPF_JMP | BPF_EXIT, 0, 0, 0, 0 };
	}
	attr.insn_cnt = n;
	memcpy(attr.prog_name, name, strnlen(name, sizeof(attr.prog_name) - 1));
	if (btf_fd > 0) {
		attr.prog_btf_fd = btf_fd;
		attr.func_info = addr(funcs);
		attr.func_info_cnt = subprogs + 1;
		attr.func_info_rec_size = sizeof(*funcs);
	} else {
		attr.prog_btf_fd = -btf_fd;
	}
	return bpf(BPF_PROG_LOAD, &attr);
}

static __u32 attach_type_of(__u32 type)
{
	switch (type) {
	case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
		return BPF_CGROUP_INET4_CONNECT;
	case BPF_PROG_TYPE_CGROUP_SOCKOPT:
		return BPF_CGROUP_GETSOCKOPT;
	case BPF_PROG_TYPE_SK_LOOKUP:
		return BPF_SK_LOOKUP;
	case PROG_TYPE_NETFILTER:
		return ATTACH_NETFILTER;
	case BPF_PROG_TYPE_TRACING:
		return BPF_TRACE_ITER;
	default:
		return 0;
	}
}

static void odd_progs(int btf)
{
	static char long_name[256] = "long_";
	const char *names[65] = { long_name };
	char name[64][32];
	int fd, run;

	memset(long_name + 5, 'x', 120);
	note("program without a name", 1, prog(BPF_PROG_TYPE_SOCKET_FILTER, "", 0, 0, 0, 0, 0));
	note("name of 15", 1, prog(BPF_PROG_TYPE_SOCKET_FILTER, "fifteen_letters", 0, 0, 0, 0, 0));
	note("BTF without func_info", 1, prog(BPF_PROG_TYPE_SOCKET_FILTER, "no_func_info", 0, 0, -btf, 0, 0));
	for (int i = 0; i < 64; i++) {
		snprintf(name[i], sizeof(name[i]), "subprog_of_a_long_name_%d", i);
		names[i + 1] = name[i];
	}
	fd = btf_of_functions(names, 65);
	note("program with 64 functions", 1, prog(BPF_PROG_TYPE_SOCKET_FILTER, long_name, 0, 0, fd, 64, 0));
	close(fd);

	/* One that has run, if that is counted. */
	run = note("program that runs", 1, prog(BPF_PROG_TYPE_SOCKET_FILTER, "has_run", 0, 0, 0, 0, 0));
	if (run >= 0) {
		char packet[64] = {};
		union bpf_attr attr = { .enable_stats.type = BPF_STATS_RUN_TIME };

		note("statistics", 0, bpf(BPF_ENABLE_STATS, &attr));
		attr = (union bpf_attr){
			.test = { .prog_fd = run, .data_in = addr(packet), .data_size_in = 64, .repeat = 1234567 },
		};
		note("run", 1, bpf(BPF_PROG_TEST_RUN, &attr));
	}
}

int main(void)
{
	const char *function = "name_longer_than_fifteen_letters";
	int inner, btf, iter_btf_id;
	char name[16];

	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	btf = btf_of_functions(&function, 1);
	inner = map_create(BPF_MAP_TYPE_ARRAY, "zoo.inner", 4, 4, 1);
	for (__u32 type = 1; type < MAP_TYPES; type++) {
		snprintf(name, sizeof(name), "zoo.m%u", type);
		note("map", type, map(type, name, map_attr(type, inner, btf)));
	}
	odd_maps();

	iter_btf_id = libbpf_find_vmlinux_btf_id("task", BPF_TRACE_ITER);
	for (__u32 type = 1; type < PROG_TYPES; type++) {
		snprintf(name, sizeof(name), "zoo_p%u", type);
		note("program", type,
		     prog(type, type % 2 ? function : name, attach_type_of(type), type == BPF_PROG_TYPE_TRACING ? iter_btf_id : 0,
			  type % 2 ? btf : 0, 0, type == BPF_PROG_TYPE_SYSCALL ? BPF_F_SLEEPABLE : 0));
	}
	odd_progs(btf);

	if (made < AT_LEAST)
		error(1, 0, "only %d made, %d refused", made, refused);
	fprintf(stderr, "%d made, %d refused\n", made, refused);
	puts("ready");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
