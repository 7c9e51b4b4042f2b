// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver as a program: the file it is executed from, and what it may do.
 *
 * Knows nothing of links or of what the driver says. The usermode driver
 * framework of 5.9 would do the half of it, but is not built into the kernels
 * of distributions, and is gone from 7.3.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/oom.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/uidgid.h>
#include <linux/umh.h>
#include <linux/user_namespace.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "umd.h"
#include "wire.h"

#define UMD_NAME "bpf_preload_umd"

/* In no mount namespace: nobody else can reach the files by a path. */
static struct vfsmount *umd_mnt;
static struct vfsmount *sysfs_mnt;	/* or an ERR_PTR() */

static struct path mnt_root(struct vfsmount *mnt)
{
	return (struct path){ .mnt = mnt, .dentry = mnt->mnt_root };
}

static struct vfsmount *mount_private(const char *fs_name)
{
	struct file_system_type *type = get_fs_type(fs_name);
	struct vfsmount *mnt;

	if (!type)
		return ERR_PTR(-ENODEV);
	mnt = kern_mount(type);
	/* put_filesystem() is not exported; the mount has a reference of its own. */
	module_put(type->owner);
	return mnt;
}

static int __init write_blob(void)
{
	size_t len = bpf_preload_umd_end - bpf_preload_umd_start;
	struct path root = mnt_root(umd_mnt);
	struct file *file;
	loff_t pos = 0;
	ssize_t ret;

	file = file_open_root(&root, UMD_NAME, O_CREAT | O_EXCL | O_WRONLY, 0500);
	if (IS_ERR(file))
		return PTR_ERR(file);
	ret = kernel_write(file, bpf_preload_umd_start, len, &pos);
	/*
	 * A file open for writing cannot be executed, and fput() may close it
	 * only later. Before 6.6 __fput_sync() is for kernel threads only.
	 */
	__fput_sync(file);
	/*
	 * The driver is root, and this is its directory: a broken one must not
	 * change what the next mount runs. Nobody else knows the file system
	 * yet, so nothing is open for writing and no lock is wanted.
	 */
	umd_mnt->mnt_sb->s_flags |= SB_RDONLY;
	if (ret < 0)
		return ret;
	return ret == len ? 0 : -ENOSPC;
}

struct prepare_work {
	struct work_struct work;
	int err;
};

static void __init prepare(struct work_struct *work)
{
	struct prepare_work *p = container_of(work, struct prepare_work, work);

	umd_mnt = mount_private("tmpfs");
	if (IS_ERR(umd_mnt)) {
		p->err = PTR_ERR(umd_mnt);
		return;
	}
	p->err = write_blob();
	if (p->err) {
		kern_unmount(umd_mnt);
		return;
	}
	/*
	 * Whether /sys is mounted, and where, is up to the mounter's user space.
	 * Should this fail, a driver may still look there.
	 */
	sysfs_mnt = mount_private("sysfs");
}

/* On a kworker: modprobe is not the kernel thread that write_blob() wants. */
int __init umd_init(void)
{
	struct prepare_work p = {};

	INIT_WORK_ONSTACK(&p.work, prepare);
	schedule_work(&p.work);
	flush_work(&p.work);
	destroy_work_on_stack(&p.work);
	return p.err;
}

void umd_exit(void)
{
	if (!IS_ERR(sysfs_mnt))
		kern_unmount(sysfs_mnt);
	kern_unmount(umd_mnt);
}

struct file *umd_open_btf(void)
{
	struct path root;

	if (IS_ERR(sysfs_mnt))
		return ERR_CAST(sysfs_mnt);
	root = mnt_root(sysfs_mnt);
	return file_open_root(&root, "kernel/btf/vmlinux", O_RDONLY, 0);
}

int umd_exec(int (*init)(struct subprocess_info *info, struct cred *new),
	     void *data)
{
	char *argv[2] = { UMD_NAME };
	char *envp[1] = {};
	struct subprocess_info *info;

	/* A relative path: umd_confine() makes the private root its directory. */
	info = call_usermodehelper_setup(UMD_NAME, argv, envp, GFP_KERNEL,
					 init, NULL, data);
	if (!info)
		return -ENOMEM;
	return call_usermodehelper_exec(info, UMH_WAIT_PROC);
}

static void set_rlimit(unsigned int resource, unsigned long limit)
{
	struct rlimit *rlim = current->signal->rlim + resource;

	/* The lock that prlimit(2) takes; the process exists already. */
	task_lock(current->group_leader);
	rlim->rlim_cur = limit;
	rlim->rlim_max = limit;
	task_unlock(current->group_leader);
}

static kernel_cap_t umd_caps(void)
{
	kernel_cap_t caps = CAP_EMPTY_SET;

	/*
	 * To load; and to trace, that is to read kernel memory. The driver asks
	 * for nothing by id, which would cost CAP_SYS_ADMIN.
	 */
	cap_raise(caps, CAP_BPF);
	cap_raise(caps, CAP_PERFMON);
	return caps;
}

void umd_confine(struct cred *new)
{
	struct path root = mnt_root(umd_mnt);

	/*
	 * What exec() gives to root is what the first two allow. Root it stays:
	 * another user would be accounted wrongly (a splat in dec_rlimit_ucounts()
	 * since 5.14), and nothing that would do it right is exported.
	 */
	new->cap_bset = cap_intersect(new->cap_bset, umd_caps());
	cap_clear(new->cap_inheritable);
	new->cap_permitted = new->cap_bset;
	new->cap_effective = new->cap_bset;
	cap_clear(new->cap_ambient);
	/* The sets bound a later exec(); this keeps an LSM from widening it. */
	task_set_no_new_privs(current);

	/* 1 and not 0: the one value that a core_pattern with a pipe heeds. */
	set_rlimit(RLIMIT_CORE, 1);
	/* So that links.c can look at all that it holds open. */
	set_rlimit(RLIMIT_NOFILE, PRELOAD_FD_MAX);
	/* Before 5.11 maps and programs count against it: no CAP_SYS_RESOURCE. */
	set_rlimit(RLIMIT_MEMLOCK, RLIM_INFINITY);
	/* The mark: see umd_is_marked(). */
	set_rlimit(RLIMIT_LOCKS, 0);

	/* Should it eat up the memory, nobody else is to be killed for that. */
	current->signal->oom_score_adj = OOM_SCORE_ADJ_MAX;
	current->signal->oom_score_adj_min = OOM_SCORE_ADJ_MAX;

	fs_set_pwd(current->fs, &root);
}

/*
 * A limit that no kernel has looked at since 2.4. It outlives fork(), exec() and
 * a user namespace, and to raise it takes CAP_SYS_RESOURCE; as for no_new_privs,
 * nothing takes it off. Anybody may set both: but only root has root's uid, which
 * the driver cannot change, and hardly anybody its bounding set, which is whole
 * again only in a user namespace. Called under RCU.
 */
bool umd_is_marked(struct task_struct *task)
{
	const struct cred *cred = __task_cred(task);

	return !task_rlimit_max(task, RLIMIT_LOCKS) && task_no_new_privs(task) &&
	       uid_eq(cred->uid, GLOBAL_ROOT_UID) &&
	       (cred->user_ns != &init_user_ns ||
		cap_issubset(cred->cap_bset, umd_caps()));
}
