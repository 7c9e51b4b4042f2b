// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * with_token DIR UID COMMAND...
 *
 * Runs COMMAND as user UID with a BPF token of the bpffs on DIR as its fd 9, made before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BPF_TOKEN_CREATE = 36, FD = 9 };

int main(int argc, char **argv)
{
	struct { uint32_t flags, bpffs; } attr = { 0 };

	if (argc < 4)
		error(2, 0, "usage: with_token DIR UID COMMAND...");
	attr.bpffs = open(argv[1], O_RDONLY | O_DIRECTORY);
	int token = syscall(SYS_bpf, BPF_TOKEN_CREATE, &attr, sizeof(attr));
	if (token < 0 || dup2(token, FD) < 0)
		error(1, errno, "with_token: create token of %s", argv[1]);
	if (setresuid(atoi(argv[2]), atoi(argv[2]), atoi(argv[2])))
		error(1, errno, "with_token: become user %s", argv[2]);
	execvp(argv[3], argv + 3);
	error(1, errno, "with_token: %s", argv[3]);
}
