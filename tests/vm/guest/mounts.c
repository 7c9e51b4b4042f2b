// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Mounts of bpffs in numbers that a shell would take too long for:
 *
 *   mounts cycle N DIR [unload]               mount and unmount, N times
 *   mounts parallel WIDTH ROUNDS DIR [unload] the same, in WIDTH processes at once
 *   mounts counts                             what the kernel has of everything
 *
 * Each mount must have both files, and each must have a heading. With `unload`
 * the set is gone from the kernel before the next mount or round. One line says
 * how many sets were loaded; the first failure ends it all, in one line.
 */
#include <dirent.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { UNLOAD_S = 10 };

static __u32 next_id(enum bpf_cmd cmd, __u32 after)
{
	union bpf_attr attr = { .start_id = after };

	if (!syscall(SYS_bpf, cmd, &attr, sizeof(attr)))
		return attr.next_id;
	if (errno != ENOENT)
		error(1, errno, "mounts: bpf command %d", cmd);
	return 0;
}

static unsigned int count(enum bpf_cmd cmd)
{
	unsigned int n = 0;

	for (__u32 id = 0; (id = next_id(cmd, id));)
		n++;
	return n;
}

static void await_unload(void)
{
	const struct timespec pause = { .tv_nsec = 20000000 };

	for (unsigned int n = 0; next_id(BPF_PROG_GET_NEXT_ID, 0); n++) {
		if (n > UNLOAD_S * 50)
			error(1, 0, "mounts: programs are still there after %d s", UNLOAD_S);
		nanosleep(&pause, NULL);
	}
}

static void check_file(const char *dir, const char *name)
{
	char path[256], text[64] = "";

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_RDONLY);
	if (fd < 0)	/* EPERM if there is none: names with a dot are not looked up */
		error(1, errno, "mounts: %s", path);
	if (read(fd, text, sizeof(text) - 1) < 0)
		error(1, errno, "mounts: read %s", path);
	if (strncmp(text + strspn(text, " "), "id name", 7))
		error(1, 0, "mounts: %s has no heading but '%s'", path, text);
	close(fd);
}

static void mount_one(const char *dir)
{
	if (mount("bpf", dir, "bpf", 0, NULL))
		error(1, errno, "mounts: mount %s", dir);
}

static void umount_one(const char *dir)
{
	if (umount2(dir, 0))
		error(1, errno, "mounts: umount %s", dir);
}

static void check(const char *dir)
{
	check_file(dir, "maps.debug");
	check_file(dir, "progs.debug");
}

/* The highest program id of the set that @dir has. Ids of programs only grow. */
static __u32 last_prog_id(void)
{
	__u32 last = 0;

	for (__u32 id = 0; (id = next_id(BPF_PROG_GET_NEXT_ID, id));)
		last = id;
	return last;
}

static void cycle(unsigned int n, const char *dir, int unload)
{
	unsigned int loads = 0;
	__u32 seen = 0;

	mkdir(dir, 0755);
	for (unsigned int i = 0; i < n; i++) {
		mount_one(dir);
		check(dir);
		__u32 id = last_prog_id();
		loads += id > seen;
		seen = id > seen ? id : seen;
		umount_one(dir);
		if (unload)
			await_unload();
	}
	printf("%u cycles, %u sets loaded\n", n, loads);
}

static void parallel(unsigned int width, unsigned int rounds, const char *dir, int unload)
{
	pthread_barrier_t *barrier = mmap(NULL, sizeof(*barrier), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_barrierattr_t attr;
	int failed = 0, status;

	if (barrier == MAP_FAILED || pthread_barrierattr_init(&attr) ||
	    pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) ||
	    pthread_barrier_init(barrier, &attr, width))
		error(1, 0, "mounts: no barrier");
	mkdir(dir, 0755);
	for (unsigned int i = 0; i < width; i++) {
		if (fork())
			continue;
		char mine[256];

		/* Whoever fails leaves the others at the barrier: end them, too. */
		snprintf(mine, sizeof(mine), "%s/%u", dir, i);
		mkdir(mine, 0755);
		for (unsigned int round = 0; round < rounds; round++) {
			pthread_barrier_wait(barrier);
			mount_one(mine);
			check(mine);
			pthread_barrier_wait(barrier);
			umount_one(mine);
			pthread_barrier_wait(barrier);
			if (unload)
				await_unload();
		}
		_exit(0);
	}
	for (unsigned int i = 0; i < width; i++)
		if (wait(&status) < 0 || status) {
			failed = 1;
			signal(SIGTERM, SIG_IGN);
			kill(0, SIGTERM);
		}
	if (failed)
		exit(1);
	printf("%u x %u mounts\n", width, rounds);
}

static unsigned int processes(void)
{
	struct dirent *entry;
	unsigned int n = 0;
	char path[300], exe[8];
	DIR *proc = opendir("/proc");

	if (!proc)
		error(1, errno, "mounts: /proc");
	while ((entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/exe", entry->d_name);
		/* Kernel threads execute nothing, and come and go. */
		n += entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
			readlink(path, exe, sizeof(exe)) > 0;
	}
	closedir(proc);
	return n;
}

static void counts(void)
{
	printf("programs %u\n", count(BPF_PROG_GET_NEXT_ID));
	printf("maps %u\n", count(BPF_MAP_GET_NEXT_ID));
	printf("links %u\n", count(BPF_LINK_GET_NEXT_ID));
	printf("btfs %u\n", count(BPF_BTF_GET_NEXT_ID));
	printf("processes %u\n", processes());
}

int main(int argc, char **argv)
{
	int unload = argc > 1 && !strcmp(argv[argc - 1], "unload");

	argc -= unload;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && !strcmp(argv[1], "cycle")) {
		cycle(atoi(argv[2]), argv[3], unload);
	} else if (argc == 5 && !strcmp(argv[1], "parallel")) {
		setpgid(0, 0);
		parallel(atoi(argv[2]), atoi(argv[3]), argv[4], unload);
	} else if (argc == 2 && !strcmp(argv[1], "counts")) {
		counts();
	} else {
		error(2, 0, "usage: mounts cycle N DIR [unload] | parallel WIDTH ROUNDS DIR [unload] | counts");
	}
	return 0;
}
