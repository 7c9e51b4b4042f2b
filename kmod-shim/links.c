// SPDX-License-Identifier: GPL-2.0-only
/*
 * Links: checking what the driver reports, and how long they are kept.
 *
 * One set is shared by all mounts. We keep a reference to each of its links,
 * so a later mount can have the same; but nobody tells us when the last pin of
 * a link goes away. So we look once a second whether a reference is the last
 * one, and drop it then: the program is unloaded as if we had not been there.
 *
 * The core takes its own reference only after preload() has returned (since
 * 5.18) or looks the link up by its id then (before). Until it has done so the
 * set must not be let go. This is what holders are for: a file which is in no
 * descriptor table, and whose last reference preload() drops. A user task runs
 * its release on the way back to user mode, that is after the pins were made,
 * and it is the core that puts our module afterwards.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/ctype.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "links.h"

/* Guards the shared set and the users of all sets. */
static DEFINE_MUTEX(links_lock);
static struct link_set *shared;

/* No name is cut on its way to the core. */
static_assert(sizeof_field(struct bpf_preload_info, link_name) ==
	      PRELOAD_NAME_LEN);

static struct workqueue_struct *sweep_wq;
static void sweep(struct work_struct *work);
static DECLARE_DELAYED_WORK(sweep_work, sweep);

/*
 * A dot there must be: other names are users' to create, and the core may not
 * find them free. But not dots alone, nor what would not print as one word.
 */
static bool name_is_valid(const char *name)
{
	size_t i, len = strnlen(name, PRELOAD_NAME_LEN);

	if (!len || len == PRELOAD_NAME_LEN)
		return false;
	for (i = 0; i < len; i++)
		if (name[i] == '/' || !isascii(name[i]) || !isgraph(name[i]))
			return false;
	return strchr(name, '.') && strcmp(name, ".") && strcmp(name, "..");
}

/* The core would hit a BUG() on the second file of a name (5.10 to 6.12). */
static bool name_is_taken(const struct link_set *set, const char *name)
{
	unsigned int i;

	for (i = 0; i < set->count; i++)
		if (!strcmp(set->link[i].name, name))
			return true;
	return false;
}

/*
 * The link among the open files of current, or NULL. Not by its id alone: ids
 * tell nothing of who may use a link, an open file does.
 */
static struct link_ref *find_link(int id)
{
	struct link_ref *ref;
	unsigned int fd;

	for (fd = 0; fd < PRELOAD_FD_MAX; fd++) {
		ref = link_ref_get_from_fd(fd);
		if (IS_ERR(ref))
			continue;
		if (link_ref_link(ref)->id == id)
			return ref;
		link_ref_put(ref);
	}
	return NULL;
}

const char *link_set_add(struct link_set *set,
			 const struct preload_record *record)
{
	struct link_ref *ref;

	if (set->count == BPF_PRELOAD_LINKS)
		return "too many links";
	if (!name_is_valid(record->link_name))
		return "a link's name is not a file name";
	if (name_is_taken(set, record->link_name))
		return "two links of one name";
	/* Holding it open proves the right to it; a reference keeps it the same. */
	ref = find_link(record->link_id);
	if (!ref)
		return "a link's id is not that of a link it holds open";
	/* The core would use the file operations of an iterator on it. */
	if (link_ref_link(ref)->type != BPF_LINK_TYPE_ITER) {
		link_ref_put(ref);
		return "a link is not that of an iterator";
	}
	strscpy(set->link[set->count].name, record->link_name, PRELOAD_NAME_LEN);
	set->link[set->count].ref = ref;
	set->count++;
	return NULL;
}

void link_set_release(struct link_set *set)
{
	unsigned int i;

	for (i = 0; i < set->count; i++)
		if (set->link[i].ref)
			link_ref_put(set->link[i].ref);
	kfree(set);
}

static void put_set_locked(struct link_set *set)
{
	if (!--set->users)
		link_set_release(set);
}

static void drop_shared_locked(void)
{
	if (shared)
		put_set_locked(shared);
	shared = NULL;
}

static void schedule_sweep(void)
{
	/*
	 * On a full second, when the processor may have to wake up anyway. Not
	 * deferrable: on an idle machine the programs would stay for minutes.
	 */
	queue_delayed_work(sweep_wq, &sweep_work, round_jiffies_relative(HZ));
}

/* True if none of the links is left. */
static bool drop_last_refs(struct link_set *set)
{
	bool none = true;
	unsigned int i;

	for (i = 0; i < set->count; i++) {
		if (!set->link[i].ref)
			continue;
		/*
		 * Somebody may yet take it by its id: then our putting it is not
		 * the end of it, and no harm either.
		 */
		if (link_ref_is_last(set->link[i].ref)) {
			link_ref_put(set->link[i].ref);
			set->link[i].ref = NULL;
		} else {
			none = false;
		}
	}
	return none;
}

static void sweep(struct work_struct *work)
{
	mutex_lock(&links_lock);
	/*
	 * With users == 1 there is no holder. Holders are put under the lock,
	 * so what the core did before that is seen by now.
	 */
	if (shared && shared->users == 1 && drop_last_refs(shared))
		drop_shared_locked();
	if (shared)
		schedule_sweep();
	mutex_unlock(&links_lock);
}

static bool is_whole(const struct link_set *set)
{
	unsigned int i;

	for (i = 0; i < BPF_PRELOAD_LINKS; i++)
		if (!set->link[i].ref)
			return false;
	return true;
}

static int holder_release(struct inode *inode, struct file *file)
{
	mutex_lock(&links_lock);
	put_set_locked(file->private_data);
	mutex_unlock(&links_lock);
	return 0;
}

static const struct file_operations holder_fops = {
	.owner = THIS_MODULE,
	.release = holder_release,
};

static struct file *get_shared_locked(void)
{
	struct file *holder;

	holder = anon_inode_getfile("[bpf_preload]", &holder_fops, shared,
				    O_RDONLY);
	if (IS_ERR(holder))
		pr_warn("cannot hold the links, error %ld\n", PTR_ERR(holder));
	else
		shared->users++;
	return holder;
}

struct file *links_get_shared(void)
{
	struct file *holder = NULL;

	mutex_lock(&links_lock);
	if (shared && is_whole(shared))
		holder = get_shared_locked();
	mutex_unlock(&links_lock);
	return holder;
}

struct file *links_share(struct link_set *set)
{
	struct file *holder;

	mutex_lock(&links_lock);
	/* There is an old one if some of its links were removed, but not all. */
	drop_shared_locked();
	shared = set;
	shared->users = 1;
	holder = get_shared_locked();
	schedule_sweep();
	mutex_unlock(&links_lock);
	return holder;
}

void links_fill(const struct file *holder, struct bpf_preload_info *info)
{
	const struct link_set *set = holder->private_data;
	unsigned int i;

	/* No lock: while there is a holder, nothing of the set changes. */
	for (i = 0; i < BPF_PRELOAD_LINKS; i++) {
		strscpy(info[i].link_name, set->link[i].name, PRELOAD_NAME_LEN);
		bpf_preload_info_set_link(&info[i], set->link[i].ref);
	}
}

void links_init(struct workqueue_struct *wq)
{
	sweep_wq = wq;
}

void links_exit(void)
{
	/* There is no holder: each would keep the module. Pins stay as they are. */
	cancel_delayed_work_sync(&sweep_work);
	mutex_lock(&links_lock);
	drop_shared_locked();
	mutex_unlock(&links_lock);
}
