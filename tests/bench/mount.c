// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * mount ROUNDS MODULE.ko
 *
 * How long mount(2) of a bpffs takes, in a guest: each round has all four
 * situations, in this order, and each line is one of them, in microseconds:
 * median, 99th percentile, and what it is.
 *
 * A mount that ought to be populated and is not, or the other way round, ends
 * the run with one line.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "measure.h"

enum { NO_SHIM, FIRST, FRESH, REUSED, SITUATIONS };

static const char *const names[] = {
	"no shim, modprobe finds nothing",
	"first mount, modprobe loads the module",
	"module there, set of links loaded",
	"set of links reused",
};

static const char *module;

static double timed_mount(const char *dir, int populated)
{
	char path[64];
	double start = now_us(CLOCK_MONOTONIC);

	if (mount("bpf", dir, "bpf", 0, NULL))
		error(1, errno, "mount %s", dir);
	double us = now_us(CLOCK_MONOTONIC) - start;
	snprintf(path, sizeof(path), "%s/progs.debug", dir);
	if ((access(path, F_OK) == 0) != populated)
		error(1, 0, "a mount is %spopulated", populated ? "not " : "");
	return us;
}

static void unmount(const char *dir)
{
	if (umount2(dir, 0))
		error(1, errno, "umount %s", dir);
}

/* A set that lives goes with it, at once. */
static void unload(void)
{
	for (unsigned int ms = 0; syscall(SYS_delete_module, "bpf_preload", O_NONBLOCK); ms++) {
		if ((errno != EAGAIN && errno != EBUSY) || ms == 5000)
			error(1, errno, "unload the module");
		usleep(1000);
	}
}

static void load(void)
{
	int fd = open(module, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		error(1, errno, "load %s", module);
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc == 3 ? atoi(argv[1]) : 0;
	double *us[SITUATIONS];
	char away[256];

	if (rounds < 10)
		error(2, 0, "usage: mount ROUNDS MODULE.ko (10 rounds at least)");
	module = argv[2];
	snprintf(away, sizeof(away), "%s.away", module);
	for (unsigned int i = 0; i < SITUATIONS; i++)
		if (!(us[i] = calloc(rounds, sizeof(double))))
			error(1, errno, "calloc");
	mkdir("/tmp/a", 0755);
	mkdir("/tmp/b", 0755);

	for (unsigned int round = 0; round < rounds; round++) {
		if (rename(module, away))
			error(1, errno, "rename %s", module);
		us[NO_SHIM][round] = timed_mount("/tmp/a", 0);
		unmount("/tmp/a");

		if (rename(away, module))
			error(1, errno, "rename %s", away);
		us[FIRST][round] = timed_mount("/tmp/a", 1);
		unmount("/tmp/a");

		unload();
		load();
		us[FRESH][round] = timed_mount("/tmp/a", 1);
		us[REUSED][round] = timed_mount("/tmp/b", 1);
		unmount("/tmp/b");
		unmount("/tmp/a");
		unload();
	}
	for (unsigned int i = 0; i < SITUATIONS; i++) {
		qsort(us[i], rounds, sizeof(double), by_value);
		printf("%.0f %.0f %s\n", us[i][rounds / 2], us[i][rounds - 1 - rounds / 100], names[i]);
	}
	return 0;
}
