/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef BPF_PRELOAD_UMD_H
#define BPF_PRELOAD_UMD_H

#include <linux/init.h>
#include <linux/types.h>

struct cred;
struct file;
struct subprocess_info;
struct task_struct;

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

/* Is @task a process to which that was done, or a descendant of one? */
bool umd_is_marked(struct task_struct *task);

/* Kernel BTF, freshly opened, or an ERR_PTR(). */
struct file *umd_open_btf(void);

#endif /* BPF_PRELOAD_UMD_H */
