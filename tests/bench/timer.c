// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * timer ROUNDS DRIVER...
 *
 * Runs every driver once a round, as the shim would, and prints one line for
 * each driver, in the order given:
 *
 *   MEDIAN_US P90_US VMHWM_KIB PROGRAMS
 *
 * Time is from just before the spawn to the second record. VMHWM is the
 * highest of all rounds, read while the driver waits for its last word.
 * PROGRAMS is how the kernel sees what was loaded: tag, translated bytes,
 * functions and lines of each, so that equal work can be told from less work.
 *
 * Any driver that strays from the protocol ends the run with one line.
 */
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire.h"
#include "measure.h"

enum { MAX_DRIVERS = 8, LINKS = 2 };
enum { SETTLE_MS = 3, DEADLINE_MS = 5000 };

static const char *const link_names[LINKS] = { "maps.debug", "progs.debug" };

struct driver {
	char *path;
	double *us; /* one a round */
	long vmhwm_kib;
	char programs[LINKS * 64];
};

static int bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

/* A descriptor of what has this id, or -1 with errno ENOENT. */
static int fd_by_id(int cmd, __u32 id)
{
	union bpf_attr attr = { .link_id = id };

	return bpf(cmd, &attr);
}

static int info_by_id(int cmd, __u32 id, void *info, __u32 len)
{
	int fd = fd_by_id(cmd, id);
	union bpf_attr attr = {
		.info = { fd, len, (__u64)(unsigned long)info },
	};
	int err = fd < 0 ? fd : bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);

	if (fd >= 0)
		close(fd);
	return err;
}

/* Appends the program behind a link to the driver's description. */
static int describe_program(struct driver *d, __u32 link_id)
{
	size_t used = strlen(d->programs);
	struct bpf_link_info link = {};
	struct bpf_prog_info prog = {};
	__u64 tag;

	if (info_by_id(BPF_LINK_GET_FD_BY_ID, link_id, &link, sizeof(link)) ||
	    link.type != BPF_LINK_TYPE_ITER ||
	    info_by_id(BPF_PROG_GET_FD_BY_ID, link.prog_id, &prog, sizeof(prog)))
		return -1;
	memcpy(&tag, prog.tag, sizeof(tag));
	snprintf(d->programs + used, sizeof(d->programs) - used,
		 "%s:%016llx:%u:%u:%u ", prog.name,
		 (__u64)__builtin_bswap64(tag), prog.xlated_prog_len,
		 prog.nr_func_info, prog.nr_line_info);
	return 0;
}

static long vmhwm_kib(pid_t pid)
{
	char path[32], line[128];
	long kib = -1;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "r");
	if (!status)
		error(1, errno, "timer: %s", path);
	while (fgets(line, sizeof(line), status))
		if (sscanf(line, "VmHWM: %ld kB", &kib) == 1)
			break;
	fclose(status);
	if (kib < 0)
		error(1, 0, "timer: no VmHWM in %s", path);
	return kib;
}

/* Whatever went wrong with a driver: say it, and leave no process behind. */
static _Noreturn void stray(const struct driver *d, pid_t pid, const char *what)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		error(1, 0, "timer: %s: %s (exit %d)", d->path, what,
		      WEXITSTATUS(status));
	error(1, 0, "timer: %s: %s (killed)", d->path, what);
	abort();
}

/* Leaves the far ends of both pipes with the driver alone. */
static pid_t spawn(const struct driver *d, int to[2], int from[2])
{
	char *argv[] = { d->path, NULL }, *envp[] = { NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int err;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to[0], 0);
	posix_spawn_file_actions_adddup2(&actions, from[1], 1);
	err = posix_spawn(&pid, d->path, &actions, NULL, argv, envp);
	if (err)
		error(1, err, "timer: spawn %s", d->path);
	posix_spawn_file_actions_destroy(&actions);
	close(to[0]);
	close(from[1]);
	return pid;
}

static void send_word(const struct driver *d, pid_t pid, int fd, __u32 word)
{
	if (write(fd, &word, sizeof(word)) != sizeof(word))
		stray(d, pid, "does not take its word");
}

static void receive(const struct driver *d, pid_t pid, int fd,
		    struct preload_record *record)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	if (poll(&ready, 1, DEADLINE_MS) != 1)
		stray(d, pid, "is silent");
	if (read(fd, record, sizeof(*record)) != sizeof(*record))
		stray(d, pid, "sent no whole record");
}

/* The link ids of one run go to `ids`. */
static double run_once(struct driver *d, __u32 ids[LINKS])
{
	struct preload_record record[LINKS];
	int to[2], from[2], status;
	double start, us;
	long kib;
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		error(1, errno, "timer: pipe");

	start = now_us(CLOCK_MONOTONIC);
	pid = spawn(d, to, from);
	send_word(d, pid, to[1], PRELOAD_START);
	for (int i = 0; i < LINKS; i++)
		receive(d, pid, from[0], &record[i]);
	us = now_us(CLOCK_MONOTONIC) - start;

	kib = vmhwm_kib(pid);
	if (kib > d->vmhwm_kib)
		d->vmhwm_kib = kib;
	for (int i = 0; i < LINKS; i++) {
		if (strncmp(record[i].link_name, link_names[i], PRELOAD_NAME_LEN))
			stray(d, pid, "named its links otherwise");
		ids[i] = record[i].link_id;
	}
	if (!d->programs[0])
		for (int i = 0; i < LINKS; i++)
			if (describe_program(d, ids[i]))
				stray(d, pid, "reported what is no iterator link");

	send_word(d, pid, to[1], PRELOAD_END);
	if (waitpid(pid, &status, 0) != pid || status)
		error(1, 0, "timer: %s: wait status 0x%x at its end", d->path,
		      status);
	close(to[1]);
	close(from[0]);
	return us;
}

/* Links go away some time after the last descriptor: deferred work in 6.18. */
static void check_gone(const __u32 *ids, size_t count)
{
	double deadline = now_us(CLOCK_MONOTONIC) + DEADLINE_MS * 1e3;

	for (size_t i = 0; i < count; i++) {
		int fd;

		while ((fd = fd_by_id(BPF_LINK_GET_FD_BY_ID, ids[i])) >= 0) {
			close(fd);
			if (now_us(CLOCK_MONOTONIC) > deadline)
				error(1, 0, "timer: link %u stayed", ids[i]);
			poll(NULL, 0, SETTLE_MS);
		}
		if (errno != ENOENT)
			error(1, errno, "timer: BPF_LINK_GET_FD_BY_ID");
	}
}

int main(int argc, char **argv)
{
	struct driver drivers[MAX_DRIVERS] = {};
	int rounds = argc > 1 ? atoi(argv[1]) : 0;
	int count = argc - 2;
	__u32 *ids, *id;

	if (rounds < 1 || count < 1 || count > MAX_DRIVERS)
		error(2, 0, "usage: timer ROUNDS DRIVER...");
	ids = id = calloc((rounds + 1) * count * LINKS, sizeof(*ids));
	for (int i = 0; i < count; i++) {
		drivers[i].path = argv[2 + i];
		drivers[i].us = calloc(rounds, sizeof(double));
		if (!ids || !drivers[i].us)
			error(1, errno, "timer");
	}
	signal(SIGPIPE, SIG_IGN);

	/* Round -1 warms the page cache and is not counted. */
	for (int round = -1; round < rounds; round++) {
		for (int i = 0; i < count; i++) {
			/* Rotated, and every other round backwards: what a
			 * driver leaves to the kernel falls on each in turn. */
			int step = round % 2 ? count - 1 - i : i;
			struct driver *d =
				&drivers[(round + 1 + step) % count];
			double us = run_once(d, id);

			id += LINKS;
			if (round >= 0)
				d->us[round] = us;
			poll(NULL, 0, SETTLE_MS);
		}
	}
	check_gone(ids, id - ids);

	for (int i = 0; i < count; i++) {
		struct driver *d = &drivers[i];

		qsort(d->us, rounds, sizeof(double), by_value);
		printf("%.1f %.1f %ld %s\n", d->us[rounds / 2],
		       d->us[rounds * 9 / 10], d->vmhwm_kib, d->programs);
	}
	return 0;
}
