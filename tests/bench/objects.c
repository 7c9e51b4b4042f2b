// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * objects - runs commands in turn, whole processes, and says how long each took
 * and how much memory it had.
 *
 *	objects ROUNDS DIR COMMAND... -- COMMAND... -- ...
 *
 * Each round runs all of them, each time another one first. DIR, of a bpffs, where
 * one may pin, is removed before the next one starts, and not part of any time. Prints
 * for each "MEDIAN_US P90_US MAXRSS_KIB", of the memory the most.
 * It is small and static, so that what a child inherits of it until it is another
 * program does not count as that one's memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"

#define MOST 8

extern char **environ;

struct command {
	char **argv;
	double *us;
	long maxrss;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static double run(struct command *command, posix_spawn_file_actions_t *actions)
{
	double start = now_us(CLOCK_MONOTONIC), us;
	struct rusage usage;
	int status;
	pid_t pid;

	errno = posix_spawn(&pid, command->argv[0], actions, NULL, command->argv, environ);
	if (errno || wait4(pid, &status, 0, &usage) != pid)
		die(command->argv[0]);
	us = now_us(CLOCK_MONOTONIC) - start;
	if (status) {
		fprintf(stderr, "objects: %s", command->argv[0]);
		for (char **arg = command->argv + 1; *arg; arg++)
			fprintf(stderr, " %s", *arg);
		fprintf(stderr, ": status 0x%x\n", status);
		exit(1);
	}
	if (usage.ru_maxrss > command->maxrss)
		command->maxrss = usage.ru_maxrss;
	return us;
}

int main(int argc, char **argv)
{
	struct command commands[MOST] = { { 0 } };
	posix_spawn_file_actions_t actions;
	int count = 0, rounds;

	if (argc < 4 || (rounds = atoi(argv[1])) < 1) {
		fprintf(stderr, "usage: objects ROUNDS DIR COMMAND... [-- COMMAND...]...\n");
		return 2;
	}
	for (char **arg = argv + 3; *arg && count < MOST; count++) {
		commands[count].argv = arg;
		commands[count].us = calloc(rounds, sizeof(double));
		while (*arg && strcmp(*arg, "--"))
			arg++;
		if (*arg)
			*arg++ = NULL;
	}
	if (posix_spawn_file_actions_init(&actions) ||
	    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0))
		die("spawn");
	/* Once, that all files are in the page cache. */
	for (int round = -1; round < rounds; round++)
		for (int i = 0; i < count; i++) {
			struct command *command = &commands[(i + round + 1) % count];
			double us = run(command, &actions);

			if (round >= 0)
				command->us[round] = us;
			if (nftw(argv[2], remove_one, 8, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
				die(argv[2]);
		}
	for (int i = 0; i < count; i++) {
		qsort(commands[i].us, rounds, sizeof(double), by_value);
		printf("%.0f %.0f %ld\n", commands[i].us[rounds / 2],
		       commands[i].us[rounds * 9 / 10], commands[i].maxrss);
	}
	return 0;
}
