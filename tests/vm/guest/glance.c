// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * glance PID - has a descriptor of that process, its fd 1, as one that looks
 * through all of them does, until a moment after its end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2)
		error(2, 0, "usage: glance PID");
	int pid = syscall(SYS_pidfd_open, atoi(argv[1]), 0);
	if (pid < 0)
		error(1, errno, "glance: process %s", argv[1]);
	if (syscall(SYS_pidfd_getfd, pid, 1, 0) < 0)
		error(1, errno, "glance: its fd 1");
	poll(&(struct pollfd){ .fd = pid, .events = POLLIN }, 1, -1);
	usleep(30000);
	return 0;
}
