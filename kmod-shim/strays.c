// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that the driver has left behind: they would keep its descriptors,
 * and with them the module, for as long as they like.
 *
 * root is exempt from RLIMIT_NPROC, so forking cannot be forbidden. A stray is
 * known by an open file of the session. That alone is no proof: the driver may
 * have sent the file to somebody innocent. But a bounding set as small as the
 * driver's is inherited and never grows. A process that has closed the files
 * escapes, with two capabilities at most.
 *
 * Each thread is looked at: one may have a table of its own, and the first of a
 * process may have exited, which leaves it none.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "compat.h"
#include "session.h"
#include "umd.h"

/* Mostly one is enough. The mounter waits meanwhile, within its deadline. */
#define STRAY_KILL_ROUNDS	10
#define STRAY_KILL_ROUND_MS	10

static bool has_strays(const struct session *session)
{
	return file_count(session->channel) > 1 || file_count(session->log) > 1;
}

static int is_session_file(const void *data, struct file *file, unsigned int fd)
{
	const struct session *session = data;

	return file == session->channel || file == session->log;
}

static bool is_stray(struct task_struct *task, const struct session *session)
{
	const struct cred *cred = __task_cred(task);
	bool found;

	if (!cap_issubset(cred->cap_bset, umd_caps()))
		return false;
	task_lock(task);	/* keeps task->files */
	found = task->files &&
		iterate_fd(task->files, 0, is_session_file, session);
	task_unlock(task);
	return found;
}

bool strays_kill(const struct session *session)
{
	struct task_struct *process, *task;
	unsigned int round;

	/* Some rounds, since a fork may overtake us, but not for ever. */
	for (round = 0; round < STRAY_KILL_ROUNDS && has_strays(session); round++) {
		rcu_read_lock();
		for_each_process_thread(process, task)
			if (is_stray(task, session))
				send_sig(SIGKILL, task, 1);
		rcu_read_unlock();
		msleep(STRAY_KILL_ROUND_MS);
	}
	return round;
}
