/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels from 5.10 to 7.3, and nothing else: the
 * only file that looks at LINUX_VERSION_CODE. The rest is written for the
 * newest kernel; this makes the older ones look like it.
 */
#ifndef BPF_PRELOAD_COMPAT_H
#define BPF_PRELOAD_COMPAT_H

#include <linux/bpf.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/path.h>
#include <linux/sched.h>
#include <linux/version.h>

#define KERNEL_SINCE(major, minor) \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(major, minor, 0))

#if !KERNEL_SINCE(5, 10) || KERNEL_SINCE(7, 4)
#error "bpf_preload is for kernels from 5.10 to 7.3"
#endif

/*
 * The core's side of the contract. In a kernel tree its header is next to us;
 * packaged headers lack it, so it is declared again here. The layout changed
 * with 5.18, which got rid of the driver process and of looking up link ids.
 * Kbuild says where we are: the kernel that an out-of-tree module is built for
 * may well have CONFIG_BPF_PRELOAD_UMD.
 */
#ifdef BPF_PRELOAD_IN_TREE
#include "bpf_preload.h"
#else

#define BPF_PRELOAD_LINKS 2

#if !KERNEL_SINCE(5, 18)
#include <linux/usermode_driver.h>

struct bpf_preload_info {
	char link_name[16];
	int link_id;
};

struct bpf_preload_ops {
	/* The core calls preload() only while info.tgid is NULL: ours stays so. */
	struct umd_info info;
	int (*preload)(struct bpf_preload_info *info);
	int (*finish)(void);
	struct module *owner;
};
#else
struct bpf_preload_info {
	char link_name[16];
	struct bpf_link *link;
};

struct bpf_preload_ops {
	int (*preload)(struct bpf_preload_info *info);
	struct module *owner;
};
#endif

extern struct bpf_preload_ops *bpf_preload_ops;
#endif /* in a kernel tree */

/*
 * A link_ref keeps a link alive. Before 5.18 nothing that counts links is
 * exported, but an open file of the link does the same.
 */
#if !KERNEL_SINCE(5, 18)
#define link_ref file

static inline struct bpf_link *link_ref_link(const struct link_ref *ref)
{
	return ref->private_data;
}

/*
 * The file operations of links are not exported. But all files of anonymous
 * inodes are made by kernel code, which also names them, and this name is
 * given to links only.
 */
static inline struct link_ref *link_ref_get_from_fd(unsigned int fd)
{
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (file_inode(file)->i_sb->s_magic == ANON_INODE_FS_MAGIC &&
	    !strcmp(file->f_path.dentry->d_name.name, "bpf_link"))
		return file;
	fput(file);
	return ERR_PTR(-EINVAL);
}

static inline void link_ref_put(struct link_ref *ref)
{
	fput(ref);
}

/* Would putting @ref free the link? */
static inline bool link_ref_is_last(const struct link_ref *ref)
{
	return file_count(ref) == 1 &&
	       atomic64_read(&link_ref_link(ref)->refcnt) == 1;
}

/* This core looks the link up by its id and takes a reference. */
static inline void bpf_preload_info_set_link(struct bpf_preload_info *info,
					     const struct link_ref *ref)
{
	info->link_id = link_ref_link(ref)->id;
}

static inline int bpf_preload_finish(void)
{
	return 0;
}

#define BPF_PRELOAD_OPS_COMPAT	.finish = bpf_preload_finish,
#else
#define link_ref bpf_link

static inline struct bpf_link *link_ref_link(struct link_ref *ref)
{
	return ref;
}

static inline struct link_ref *link_ref_get_from_fd(unsigned int fd)
{
	return bpf_link_get_from_fd(fd);
}

static inline void link_ref_put(struct link_ref *ref)
{
	bpf_link_put(ref);
}

static inline bool link_ref_is_last(const struct link_ref *ref)
{
	return atomic64_read(&ref->refcnt) == 1;
}

/* This core takes a reference after preload() has returned. */
static inline void bpf_preload_info_set_link(struct bpf_preload_info *info,
					     struct link_ref *ref)
{
	info->link = ref;
}

#define BPF_PRELOAD_OPS_COMPAT
#endif

/* A string since 6.13, a bare word before; the name space itself since 6.12. */
#if KERNEL_SINCE(6, 13)
#define BPF_PRELOAD_IMPORT_NS	MODULE_IMPORT_NS("BPF_INTERNAL")
#else
#define BPF_PRELOAD_IMPORT_NS	MODULE_IMPORT_NS(BPF_INTERNAL)
#endif

/* A path since 5.14 ("switch file_open_root() to struct path"). */
#if !KERNEL_SINCE(5, 14)
static inline struct file *bpf_preload_open_root(const struct path *root,
						 const char *name, int flags,
						 umode_t mode)
{
	return file_open_root(root->dentry, root->mnt, name, flags, mode);
}

#define file_open_root bpf_preload_open_root
#endif

/*
 * set_fs_pwd() is not exported. The lock and the seqcount of fs_struct are one
 * seqlock_t since 6.17 ("fold fs_struct->{lock,seq} into a seqlock").
 */
static inline void fs_set_pwd(struct fs_struct *fs, const struct path *path)
{
	struct path old;

	path_get(path);
#if !KERNEL_SINCE(6, 17)
	spin_lock(&fs->lock);
	write_seqcount_begin(&fs->seq);
	old = fs->pwd;
	fs->pwd = *path;
	write_seqcount_end(&fs->seq);
	spin_unlock(&fs->lock);
#else
	write_seqlock(&fs->seq);
	old = fs->pwd;
	fs->pwd = *path;
	write_sequnlock(&fs->seq);
#endif
	path_put(&old);
}

#endif /* BPF_PRELOAD_COMPAT_H */
