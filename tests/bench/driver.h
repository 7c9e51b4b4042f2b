/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The driver's side of kmod-shim/wire.h, for the peers that are written
 * against a library. Knows nothing of how the links come to be.
 */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include <linux/bpf.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wire.h"

/* Exit codes double as the place of failure: the timer prints them. */
enum { DRIVER_OK, DRIVER_WIRE, DRIVER_LOAD, DRIVER_ATTACH, DRIVER_ID };

static inline int expect_word(__u32 want)
{
	__u32 word;

	return read(0, &word, sizeof(word)) == sizeof(word) && word == want;
}

/* Raw bpf(), so that no peer is charged for another's library here. */
static inline int report_link(const char *name, int link_fd)
{
	struct preload_record record = {};
	struct bpf_link_info info = {};
	union bpf_attr attr = {};

	attr.info.bpf_fd = link_fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (__u64)(unsigned long)&info;
	if (syscall(__NR_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr.info)))
		return DRIVER_ID;
	memcpy(record.link_name, name, strlen(name));
	record.link_id = info.id;
	if (write(1, &record, sizeof(record)) != sizeof(record))
		return DRIVER_WIRE;
	return DRIVER_OK;
}

#endif /* BENCH_DRIVER_H */
