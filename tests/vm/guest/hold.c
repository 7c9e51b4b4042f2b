// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * `hold DIR TOLD` keeps DIR locked until it is killed: it reads DIR into memory
 * that is a file of a 9P server, itself, which does not answer. As soon as that
 * is so there is a file TOLD.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 9P2000.L: requests, their answers are one more. */
enum { LERROR = 6, LOPEN = 12, GETATTR = 24, VERSION = 100, ATTACH = 104, WALK = 110, READ = 116, CLUNK = 120 };

struct message {
	uint32_t size;
	uint8_t type;
	uint16_t tag;
	unsigned char body[8192];
} __attribute__((packed));
#define HEAD offsetof(struct message, body)

/* All that there is: one file, also the root, whose qid is all zeroes. */
static size_t answer(struct message *m, const char *told)
{
	const uint32_t mode = S_IFREG | 0600;
	const uint64_t valid = 0x7ff, size = 1 << 20;
	size_t len = m->size - HEAD;

	switch (m->type) {
	case VERSION:
		return len;	/* as it was proposed */
	case READ:
		if (creat(told, 0600) < 0)
			error(1, errno, "hold: %s", told);
		pause();
	}
	memset(m->body, 0, sizeof(m->body));
	switch (m->type) {
	case ATTACH:
		return 13;
	case WALK:
		return 2;
	case LOPEN:
		return 13 + 4;
	case GETATTR:	/* valid, qid, mode, uid, gid, nlink, rdev, size, ... */
		memcpy(m->body, &valid, 8);
		memcpy(m->body + 21, &mode, 4);
		memcpy(m->body + 49, &size, 8);
		return 153;
	case CLUNK:
		return 0;
	}
	m->type = LERROR;
	memcpy(m->body, &(uint32_t){ EOPNOTSUPP }, 4);
	return 4;
}

static void serve(int fd, const char *told)
{
	static struct message m;

	while (recv(fd, &m, HEAD, MSG_WAITALL) == HEAD) {
		if (m.size < HEAD || m.size > sizeof(m) ||
		    recv(fd, m.body, m.size - HEAD, MSG_WAITALL) != (ssize_t)(m.size - HEAD))
			break;
		m.size = HEAD + answer(&m, told);
		m.type++;
		if (write(fd, &m, m.size) != m.size)
			error(1, errno, "hold: answer");
	}
	exit(1);
}

int main(int argc, char **argv)
{
	char options[80], file[] = "/tmp/holdXXXXXX";
	int fds[2], fd, dir;

	if (argc != 3)
		error(2, 0, "usage: hold DIR TOLD");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		error(1, errno, "hold: socketpair");
	switch (fork()) {
	case -1:
		error(1, errno, "hold: fork");
	case 0:
		break;
	default:
		close(fds[1]);
		serve(fds[0], argv[2]);
	}
	close(fds[0]);
	snprintf(options, sizeof(options), "trans=fd,rfdno=%d,wfdno=%d,version=9p2000.L", fds[1], fds[1]);
	if ((fd = mkstemp(file)) < 0)
		error(1, errno, "hold: %s", file);
	close(fd);
	if (mount("hold", file, "9p", 0, options))
		error(1, errno, "hold: mount");
	if ((fd = open(file, O_RDONLY)) < 0)
		error(1, errno, "hold: open");
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (memory == MAP_FAILED)
		error(1, errno, "hold: mmap");
	if (umount2(file, MNT_DETACH) || unlink(file))
		error(1, errno, "hold: umount");
	if ((dir = open(argv[1], O_RDONLY | O_DIRECTORY)) < 0)
		error(1, errno, "hold: %s", argv[1]);
	syscall(SYS_getdents64, dir, memory, 4096);
	return 0;
}
