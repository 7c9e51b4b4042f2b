// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * attach PROGRAM TYPE TARGET LINK
 *
 * Attaches the pinned PROGRAM by a link with attach type TYPE, a number, to TARGET, a network
 * device or the directory of a cgroup, and pins the link as LINK: with the bpf() calls that
 * take no token.
 *
 * attach MAP KEY
 *
 * Prints the value, of 8 bytes, of a KEY, a number of 4, in the pinned MAP: bpftool would want
 * BTF by its id, which is not for containers.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BPF_MAP_LOOKUP_ELEM = 1, BPF_OBJ_PIN = 6, BPF_OBJ_GET = 7, BPF_LINK_CREATE = 28 };

static int bpf(const char *step, int cmd, const void *attr, unsigned int size)
{
	int fd = syscall(SYS_bpf, cmd, attr, size);

	if (fd < 0)
		error(1, errno, "attach: %s", step);
	return fd;
}

static int lookup(const char *map, const char *number)
{
	struct { uint64_t path; uint32_t fd, flags; } pin = { .path = (uintptr_t)map };
	uint32_t key = atoi(number);
	uint64_t value = 0;
	struct { uint64_t map, key, value, flags; } elem = { 0, (uintptr_t)&key, (uintptr_t)&value, 0 };

	elem.map = bpf("open the map", BPF_OBJ_GET, &pin, sizeof(pin));
	bpf("look up", BPF_MAP_LOOKUP_ELEM, &elem, sizeof(elem));
	printf("%llu\n", (unsigned long long)value);
	return 0;
}

int main(int argc, char **argv)
{
	struct { uint64_t path; uint32_t fd, flags; } pin = { 0 };
	struct { uint32_t prog, target, type, flags; } link = { 0 };

	if (argc == 3)
		return lookup(argv[1], argv[2]);
	if (argc != 5)
		error(2, 0, "usage: attach PROGRAM TYPE TARGET LINK | attach MAP KEY");
	pin.path = (uintptr_t)argv[1];
	link.prog = bpf("open the program", BPF_OBJ_GET, &pin, sizeof(pin));
	link.type = atoi(argv[2]);
	link.target = *argv[3] == '/' ? (unsigned int)open(argv[3], O_RDONLY | O_DIRECTORY) : if_nametoindex(argv[3]);
	pin.fd = bpf("link", BPF_LINK_CREATE, &link, sizeof(link));
	pin.path = (uintptr_t)argv[4];
	bpf("pin the link", BPF_OBJ_PIN, &pin, sizeof(pin));
	return 0;
}
