/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef BPF_PRELOAD_SESSION_H
#define BPF_PRELOAD_SESSION_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/workqueue.h>

#include "wire.h"

struct file;
struct link_set;
struct pid;

/*
 * One run of the driver. References are held by the mounter, by the work that
 * waits for the process, and by each of the two files: a driver that cannot be
 * killed keeps the last three for as long as it likes.
 */
struct session {
	struct kref ref;
	struct work_struct work;
	struct completion reaped;
	int status;			/* as of umd_exec(), once reaped */
	bool left_strays;		/* once reaped */
	bool left_files;		/* once reaped */

	/* The driver's fd 0 and 1, and 2. The last user of the two closes them. */
	atomic_t file_users;
	struct file *channel;
	struct file *log;

	struct mutex lock;		/* guards what follows */
	bool closed;			/* the driver gets and gives nothing more */
	struct pid *driver;		/* NULL until there is one */
	struct link_set *set;
	unsigned int words_read;
	const char *fault;		/* the first thing that the driver did wrong */
	char line[PRELOAD_LOG_MAX];	/* the first thing that it said */
};

/* A verdict, and what the driver said. */
#define SESSION_WHY_MAX	(96 + PRELOAD_LOG_MAX)

/*
 * Run the driver for at most @deadline_ms, plus one second that it may take to
 * die. Returns a whole set, or an ERR_PTR() and in @why what to log: of
 * SESSION_WHY_MAX bytes, without a newline. -EINTR if the mounter was killed.
 */
struct link_set *session_run(struct workqueue_struct *wq,
			     unsigned int deadline_ms, char *why);

void session_put(struct session *session);
/* The driver broke the protocol: there is nothing more to hope for. */
void session_fault_locked(struct session *session, const char *fault);

/* strays.c: kill what dead drivers have left behind. True if there was any. */
bool strays_kill(void);

/* channel.c: give @session its two files, or a negative errno and no file. */
int channel_open(struct session *session);
void channel_close(struct session *session);
/* Does anybody but @session keep one of them? Sleeps a while to be sure. */
bool channel_is_shared(const struct session *session);
/* In the new process: make the files its fd 0, 1 and 2, and @btf its fd 3. */
int channel_install(struct session *session, struct file *btf);

#endif /* BPF_PRELOAD_SESSION_H */
