/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef BPF_PRELOAD_LINKS_H
#define BPF_PRELOAD_LINKS_H

#include "compat.h"
#include "wire.h"

struct workqueue_struct;

/* What one run of the driver gave: whole once count is BPF_PRELOAD_LINKS. */
struct link_set {
	unsigned int users;	/* the shared set, and each mount not yet over */
	unsigned int count;
	struct {
		char name[PRELOAD_NAME_LEN];
		struct link_ref *ref;	/* NULL once it was let go */
	} link[BPF_PRELOAD_LINKS];
};

/*
 * Add what @record tells, in the context of the driver, which holds the link
 * open. NULL, or what is wrong with the record.
 */
const char *link_set_add(struct link_set *set,
			 const struct preload_record *record);
void link_set_release(struct link_set *set);

/* The shared set, if it is whole. */
struct file *links_get_shared(void);
/* Make @set, which is whole, the shared one. Takes it over, even on failure. */
struct file *links_share(struct link_set *set);
/* Tell the core what the set behind @holder has. */
void links_fill(const struct file *holder, struct bpf_preload_info *info);

void links_init(struct workqueue_struct *wq);
void links_exit(void);

#endif /* BPF_PRELOAD_LINKS_H */
