// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * What a static program with libbpf needs to load an object file, and what of that
 * is the kernel's.
 *
 *	driver_object FILE.o DIR	loads it, pins its programs and maps in DIR
 *	driver_object FILE.o		prints how many us the kernel verified its
 *					programs, by its own clock, and how many it
 *					took to create the maps
 *
 * To be linked with --wrap=syscall.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "measure.h"

/* BPF_LOG_STATS of the kernel's bpf_verifier.h: "verification time 123 usec". */
#define LOG_STATS 4
#define MOST_PROGS 64

static double maps_us;

long __real_syscall(long nr, ...);

/* libbpf's way to the kernel, with up to four arguments. */
long __wrap_syscall(long nr, ...)
{
	long arg[4], ret;
	double start;
	va_list args;

	va_start(args, nr);
	for (int i = 0; i < 4; i++)
		arg[i] = va_arg(args, long);
	va_end(args);
	start = now_us(CLOCK_MONOTONIC);
	ret = __real_syscall(nr, arg[0], arg[1], arg[2], arg[3]);
	if (nr == __NR_bpf && arg[0] == BPF_MAP_CREATE)
		maps_us += now_us(CLOCK_MONOTONIC) - start;
	return ret;
}

static int kernels_part(struct bpf_object *obj)
{
	static char logs[MOST_PROGS][4096];
	unsigned long us, verified_us = 0;
	struct bpf_program *prog;
	int count = 0;

	bpf_object__for_each_program(prog, obj)
		if (count == MOST_PROGS || bpf_program__set_log_level(prog, LOG_STATS) ||
		    bpf_program__set_log_buf(prog, logs[count++], sizeof(logs[0])))
			return 1;
	if (bpf_object__load(obj))
		return 1;
	while (count--) {
		const char *said = strstr(logs[count], "verification time ");

		/* Those that are not loaded have none. */
		if (said && sscanf(said, "verification time %lu usec", &us) == 1)
			verified_us += us;
	}
	printf("%lu %.0f\n", verified_us, maps_us);
	return !verified_us;
}

int main(int argc, char **argv)
{
	struct bpf_object *obj = argc < 2 ? NULL : bpf_object__open_file(argv[1], NULL);

	if (!obj)
		return 1;
	if (argc == 2)
		return kernels_part(obj);
	/* exit() closes what is open, as it does for the others. */
	return bpf_object__load(obj) || bpf_object__pin(obj, argv[2]);
}
