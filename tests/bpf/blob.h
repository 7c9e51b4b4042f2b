/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The blob's links without the shim: it is run over two pipes, as
 * kmod-shim/wire.h has it, and its links are taken by the ids that it reports.
 */
#ifndef TESTS_BPF_BLOB_H
#define TESTS_BPF_BLOB_H

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "objects.h"
#include "wire.h"

/* Descriptors of the links, in the order of their records. */
static inline void blob_links(const char *path, int links[], int count)
{
	char *argv[] = { (char *)path, NULL }, *envp[] = { NULL };
	__u32 start = PRELOAD_START, end = PRELOAD_END;
	posix_spawn_file_actions_t actions;
	struct preload_record record;
	int to[2], from[2], status;
	union bpf_attr attr = {};
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		error(1, errno, "pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to[0], 0);
	posix_spawn_file_actions_adddup2(&actions, from[1], 1);
	errno = posix_spawn(&pid, path, &actions, NULL, argv, envp);
	if (errno)
		error(1, errno, "%s", path);
	posix_spawn_file_actions_destroy(&actions);
	close(to[0]);
	close(from[1]);
	if (write(to[1], &start, sizeof(start)) != sizeof(start))
		error(1, errno, "%s does not take its word", path);
	for (int i = 0; i < count; i++) {
		if (read(from[0], &record, sizeof(record)) != sizeof(record))
			error(1, 0, "%s sent no record %d", path, i);
		attr.link_id = record.link_id;
		links[i] = bpf_or_die("BPF_LINK_GET_FD_BY_ID", BPF_LINK_GET_FD_BY_ID, &attr);
	}
	if (write(to[1], &end, sizeof(end)) != sizeof(end) ||
	    waitpid(pid, &status, 0) != pid || status)
		error(1, 0, "%s did not end well", path);
	close(to[1]);
	close(from[0]);
}

#endif /* TESTS_BPF_BLOB_H */
