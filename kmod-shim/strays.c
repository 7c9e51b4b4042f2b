// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that the driver has left behind: they would keep its descriptors,
 * and with them the module, or its capabilities, for as long as they like.
 *
 * Forking cannot be forbidden: RLIMIT_NPROC does not hold for who is accounted
 * to root's user, and nothing that would change this is exported. So each
 * process of the driver's bears a mark that it cannot take off (see umd.c), and
 * whoever has it when the driver is gone is one too many.
 */
#include <linux/delay.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "session.h"
#include "umd.h"

/* Mostly one is enough. The mounter waits meanwhile, within its deadline. */
#define STRAY_KILL_ROUNDS	10
#define STRAY_KILL_ROUND_MS	10

static bool kill_marked(void)
{
	struct task_struct *process, *task;
	bool found = false;

	rcu_read_lock();
	/* The first thread of a process may have exited: look at all of them. */
	for_each_process_thread(process, task) {
		/* Dead ones are somebody else's to reap. */
		if (READ_ONCE(task->exit_state) || !umd_is_marked(task))
			continue;
		send_sig(SIGKILL, task, 1);
		found = true;
	}
	rcu_read_unlock();
	return found;
}

bool strays_kill(void)
{
	unsigned int round;

	/* Some rounds, since a fork may overtake us, but not for ever. */
	for (round = 0; round < STRAY_KILL_ROUNDS && kill_marked(); round++)
		msleep(STRAY_KILL_ROUND_MS);
	return round;
}
