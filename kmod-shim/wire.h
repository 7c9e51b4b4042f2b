/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the shim and the user mode driver say to each other.
 *
 * The driver's fd 0 and fd 1 are the channel, its fd 2 is the log (one line a
 * write(2), at most PRELOAD_LOG_MAX bytes). Numbers are in host byte order.
 * fd 3 is kernel BTF, open for reading, if the kernel has any: it needs neither
 * a mounted /sys nor CAP_SYS_ADMIN.
 *
 *   shim   -> driver   __u32 PRELOAD_START     load and attach, then report;
 *                      or    PRELOAD_START_ALL the same of all the driver has
 *   driver -> shim     struct preload_record   one write(2) for each link
 *   shim   -> driver   __u32 PRELOAD_END       the links are taken: exit(0)
 *
 * The driver holds the links open (any fd below PRELOAD_FD_MAX) until it has
 * read PRELOAD_END. PRELOAD_START asks for maps.debug and progs.debug, in this
 * order; PRELOAD_START_ALL for these and what follows them: links.debug, on
 * kernels that can list links (5.19 and later), else an error. It reports all
 * or none.
 *
 * With two pipes the same bytes serve by hand, and those of PRELOAD_START are
 * those of the driver of 5.10 ("bpf: Populate bpffs with map and prog
 * iterators"), so that either driver serves either side.
 */
#ifndef BPF_PRELOAD_WIRE_H
#define BPF_PRELOAD_WIRE_H

#define PRELOAD_START		0x5555u
#define PRELOAD_START_ALL	0x5556u
#define PRELOAD_END		0xAAAAu

#define PRELOAD_NAME_LEN	16	/* with its terminating NUL */
#define PRELOAD_LOG_MAX		128	/* with its newline */
#define PRELOAD_FD_MAX		64
#define PRELOAD_BTF_FD		3

struct preload_record {
	char link_name[PRELOAD_NAME_LEN];	/* a file name, NUL terminated */
	int link_id;				/* as in struct bpf_link_info */
};

#endif /* BPF_PRELOAD_WIRE_H */
