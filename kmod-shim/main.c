// SPDX-License-Identifier: GPL-2.0-only
/*
 * bpf_preload: fills a bpffs, as it is mounted, with files that a user mode
 * driver has made. This file is what the core sees of it.
 *
 * The core calls preload() under a mutex of its own, so one at a time, and
 * holds a reference to this module until it has pinned the links. It ignores
 * errors: the mount succeeds, and is empty.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "compat.h"
#include "links.h"
#include "session.h"
#include "umd.h"

/*
 * After a first failure: too short for anybody to notice who repaired the cause
 * and mounts again, but not for the mounts that waited behind the one that
 * failed. Each of them would wait for a deadline of its own.
 */
#define BACKOFF_FIRST_MS 200U
/* Long enough that a broken driver is no load, short enough to be waited for. */
#define BACKOFF_MAX_S 64U

/*
 * The driver takes milliseconds; this is for a machine that is busy booting. All
 * mounts of a bpffs wait for each other here, so not longer than need be.
 */
static unsigned int deadline_ms = 2000;
module_param(deadline_ms, uint, 0644);
MODULE_PARM_DESC(deadline_ms, "milliseconds that the driver may take");

static struct workqueue_struct *preload_wq;

/* Both only change under the core's mutex. */
static unsigned int failures;
static u64 next_try;		/* a 32 bit jiffies would come round again */

/* Returns the pause that begins, in seconds: 0 if it is not worth a word. */
static unsigned int note_failure(void)
{
	unsigned int pause_s = 0;
	u64 pause = msecs_to_jiffies(BACKOFF_FIRST_MS);

	if (failures++) {
		pause_s = min(1U << min(failures - 2, 31U), BACKOFF_MAX_S);
		pause = pause_s * HZ;
	}
	next_try = get_jiffies_64() + pause;
	return pause_s;
}

static bool is_backing_off(void)
{
	return failures && time_before64(get_jiffies_64(), next_try);
}

static struct file *load_links(void)
{
	char why[SESSION_WHY_MAX];
	unsigned int pause_s = 0;
	struct link_set *set;

	/* Silent: the line about the last failure told of it. */
	if (is_backing_off())
		return ERR_PTR(-EAGAIN);
	set = session_run(preload_wq, READ_ONCE(deadline_ms), why);
	if (IS_ERR(set)) {
		/* Whoever kills mounts must not make others' mounts empty. */
		if (PTR_ERR(set) != -EINTR)
			pause_s = note_failure();
		/* One line for a failure: mount(2) itself tells of none. */
		if (pause_s)
			pr_warn("%s; not tried again for %u s\n", why, pause_s);
		else
			pr_warn("%s\n", why);
		return ERR_CAST(set);
	}
	failures = 0;
	return links_share(set);
}

static int preload(struct bpf_preload_info *info)
{
	struct file *holder;

	/* A kernel thread has no way back to user mode: see links.c. */
	if (current->flags & PF_KTHREAD) {
		pr_warn("no files: a kernel thread asks for them\n");
		return -EOPNOTSUPP;
	}
	/*
	 * The core gives the files to the fsuid and bars everybody else by their
	 * mode. They tell of the whole machine, so they are for root: not for
	 * the user that a container's root is, should whoever makes a bpffs for
	 * a container (since 6.9) act as that user.
	 */
	if (!uid_eq(current_fsuid(), GLOBAL_ROOT_UID)) {
		pr_warn("no files: they would belong to user %u\n",
			from_kuid(&init_user_ns, current_fsuid()));
		return -EPERM;
	}
	holder = links_get_shared();
	if (!holder)
		holder = load_links();
	if (IS_ERR(holder))
		return PTR_ERR(holder);
	links_fill(holder, info);
	fput(holder);
	return 0;
}

static struct bpf_preload_ops preload_ops = {
	.preload = preload,
	BPF_PRELOAD_OPS_COMPAT
	.owner = THIS_MODULE,
};

static int __init bpf_preload_init(void)
{
	int err;

	/* One that is built in: the core knows no way to share it. */
	if (bpf_preload_ops)
		return -EBUSY;
	/* Of our own, so that exit can wait for all of it. Work here sleeps long. */
	preload_wq = alloc_workqueue(KBUILD_MODNAME, WQ_UNBOUND, 0);
	if (!preload_wq)
		return -ENOMEM;
	err = umd_init();
	if (err) {
		pr_err("cannot keep the driver, error %d\n", err);
		destroy_workqueue(preload_wq);
		return err;
	}
	links_init(preload_wq);
	/* After all that preload() needs. */
	smp_store_release(&bpf_preload_ops, &preload_ops);
	return 0;
}

static void __exit bpf_preload_exit(void)
{
	WRITE_ONCE(bpf_preload_ops, NULL);
	/*
	 * The core tests the pointer before it takes a reference to the module.
	 * Wait for a mounter that was preempted in between: it does not sleep
	 * there, which is what this flavour of RCU counts on.
	 */
	synchronize_rcu_tasks();
	links_exit();
	/* A driver's work may still be at its last line, past all references. */
	destroy_workqueue(preload_wq);
	umd_exit();
}

module_init(bpf_preload_init);
module_exit(bpf_preload_exit);

BPF_PRELOAD_IMPORT_NS;
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The bpf-preload authors");
MODULE_DESCRIPTION("Fills bpffs with the iterators of a user mode driver");
