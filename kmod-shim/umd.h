/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef BPF_PRELOAD_UMD_H
#define BPF_PRELOAD_UMD_H

#include <linux/capability.h>
#include <linux/init.h>

struct cred;
struct subprocess_info;

/* blob.S; gone after init. */
extern const char bpf_preload_umd_start[], bpf_preload_umd_end[];

int __init umd_init(void);
void umd_exit(void);

/*
 * Run the driver and wait until it has been reaped: a status as wait(2) gives
 * it, or a negative errno if it never ran. @init is called in the new process
 * as of call_usermodehelper_setup(), and must call umd_confine().
 */
int umd_exec(int (*init)(struct subprocess_info *info, struct cred *new),
	     void *data);

/* Take from the calling process, about to become the driver, all it can lack. */
void umd_confine(struct cred *new);

/* What is left of its capabilities then, in every set. */
kernel_cap_t umd_caps(void);

/* Kernel BTF, freshly opened, or an ERR_PTR(). */
struct file *umd_open_btf(void);

#endif /* BPF_PRELOAD_UMD_H */
