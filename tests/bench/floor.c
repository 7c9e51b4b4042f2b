// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Peer (a): the raw floor. Replays the bpf() calls that trace.c recorded, with
 * nothing left to find out: every id, offset and relocated instruction is a
 * constant of floor_calls.h. Only descriptors that an earlier call returned
 * are filled in. What a driver needs beyond this is what its loading costs.
 * Of a command that loads an object and pins it, that directory is made before.
 */
#include <linux/bpf.h>
#include <stddef.h>

#include "wire.h"

#ifndef __x86_64__
#error "raw system calls are written for x86-64 only"
#endif

enum { SYS_READ = 0, SYS_WRITE = 1, SYS_EXIT = 60, SYS_MKDIR = 83, SYS_BPF = 321 };

/* One recorded call. */
struct call {
	long cmd;
	void *attr;
	unsigned long attr_len;
};

/* Before call `user`, store at `where` what call `maker` returned. */
struct fd_use {
	unsigned int user;
	unsigned int maker;
	void *where;
};

struct report {
	const char name[PRELOAD_NAME_LEN];
	const void *link_info;
};

#include "floor_calls.h"

static long sys3(long nr, long a, const void *b, long c)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return ret;
}

static _Noreturn void quit(long code)
{
	for (;;)
		sys3(SYS_EXIT, code, 0, 0);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#ifdef LOAD
static void begin(void)
{
	if (sys3(SYS_MKDIR, (long)pin_dir, (void *)0777, 0))
		quit(1);
}

static void end(void)
{
}
#else
static void expect_word(__u32 want)
{
	__u32 word = 0;

	if (sys3(SYS_READ, 0, &word, sizeof(word)) != sizeof(word) ||
	    word != want)
		quit(1);
}

static void begin(void)
{
	expect_word(PRELOAD_START);
}

static void end(void)
{
	for (unsigned int i = 0; i < COUNT(reports); i++) {
		/* As many bytes of it as the recorded driver asked for. */
		const char *info = reports[i].link_info;
		struct preload_record record;

		__builtin_memcpy(record.link_name, reports[i].name,
				 sizeof(record.link_name));
		__builtin_memcpy(&record.link_id,
				 info + offsetof(struct bpf_link_info, id),
				 sizeof(record.link_id));
		if (sys3(SYS_WRITE, 1, &record, sizeof(record)) !=
		    sizeof(record))
			quit(1);
	}
	expect_word(PRELOAD_END);
}
#endif

/* The kernel enters with an aligned stack, a C function expects a call's. */
__attribute__((force_align_arg_pointer)) _Noreturn void _start(void)
{
	int result[COUNT(calls)];
	unsigned int use = 0;

	begin();
	for (unsigned int i = 0; i < COUNT(calls); i++) {
		for (; use < COUNT(fd_uses) && fd_uses[use].user == i; use++)
			*(int *)fd_uses[use].where = result[fd_uses[use].maker];
		result[i] = sys3(SYS_BPF, calls[i].cmd, calls[i].attr,
				 calls[i].attr_len);
		if (result[i] < 0)
			quit(2);
	}
	end();
	quit(0);
}
