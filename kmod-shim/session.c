// SPDX-License-Identifier: GPL-2.0-only
/*
 * One run of the driver, from fork to verdict.
 *
 * The mounter holds locks that the driver may want (it can mount a bpffs, or
 * sync(2)), and then not even SIGKILL ends it. Hence nothing here waits for
 * the driver without a limit: past it the process is left to a work item, and
 * what it does from then on goes nowhere.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cred.h>
#include <linux/file.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/umh.h>

#include "links.h"
#include "session.h"
#include "umd.h"

/* What a killed process gets to die in. */
#define SESSION_KILL_MS 1000

static void session_free(struct kref *ref)
{
	struct session *session = container_of(ref, struct session, ref);

	if (session->set)
		link_set_release(session->set);
	put_pid(session->driver);
	kfree(session);
}

void session_put(struct session *session)
{
	kref_put(&session->ref, session_free);
}

static void session_close_locked(struct session *session)
{
	session->closed = true;
	/* Harmless once it is reaped: a struct pid is never used again. */
	if (session->driver)
		kill_pid(session->driver, SIGKILL, 1);
}

/* At once, so that the mounter need not sit out the deadline. */
void session_fault_locked(struct session *session, const char *fault)
{
	session->fault = fault;
	session_close_locked(session);
}

/* In the new process, before its exec, while it still has all capabilities. */
static int become_driver(struct subprocess_info *info, struct cred *new)
{
	struct session *session = info->data;
	struct file *btf = umd_open_btf();
	int err = -ECANCELED;

	mutex_lock(&session->lock);
	/* Forked too late: the mounter has given up, and nobody would kill us. */
	if (!session->closed) {
		session->driver = get_pid(task_tgid(current));
		err = channel_install(session, btf);
	}
	mutex_unlock(&session->lock);
	if (!IS_ERR(btf))
		fput(btf);
	umd_confine(new);
	return err;
}

/*
 * The mounter and the work each do this once, the mounter usually last: its
 * files are closed by the time that mount(2) returns, those of a kworker some
 * time later. While a process is waited for, its files keep the module.
 */
static void session_put_files(struct session *session)
{
	if (atomic_dec_and_test(&session->file_users))
		channel_close(session);
}

/*
 * A driver that is hard to kill may die while that of a later mount is at work,
 * which bears the same mark. So only the youngest session looks for strays; it
 * finds those of the older ones, too. The lock keeps one from becoming the
 * youngest while an older one looks.
 */
static DEFINE_MUTEX(strays_lock);
static const struct session *youngest;

static bool session_kill_strays(const struct session *session)
{
	bool found;

	mutex_lock(&strays_lock);
	found = session == youngest && strays_kill();
	mutex_unlock(&strays_lock);
	return found;
}

/*
 * Not in the mounter itself, although umd_exec() could wait killably there: a
 * wait that is broken off forgets the exit status, and has no deadline.
 */
static void session_work(struct work_struct *work)
{
	struct session *session = container_of(work, struct session, work);
	/* What the one before it has left behind is not this one's fault. */
	bool had_strays = session_kill_strays(session);

	session->status = umd_exec(become_driver, session);
	/* Here and not in the mounter, who may have given up long before. */
	session->left_strays = session_kill_strays(session) && !had_strays;
	/* Somebody else has it by a socket, and with it keeps the module. */
	session->left_files = channel_is_shared(session);
	session_put_files(session);
	complete(&session->reaped);
	session_put(session);
}

static struct session *session_start(struct workqueue_struct *wq)
{
	struct session *session = kzalloc(sizeof(*session), GFP_KERNEL);
	int err = -ENOMEM;

	if (!session)
		return ERR_PTR(err);
	kref_init(&session->ref);
	atomic_set(&session->file_users, 2);
	mutex_init(&session->lock);
	init_completion(&session->reaped);
	INIT_WORK(&session->work, session_work);
	session->set = kzalloc(sizeof(*session->set), GFP_KERNEL);
	if (session->set)
		err = channel_open(session);
	if (err) {
		session_put(session);
		return ERR_PTR(err);
	}
	mutex_lock(&strays_lock);
	youngest = session;
	mutex_unlock(&strays_lock);
	/* For the work, which may well outlast the mounter. */
	kref_get(&session->ref);
	queue_work(wq, &session->work);
	return session;
}

/* True if the driver has been reaped, in time or later. */
static bool session_wait(struct session *session, unsigned int deadline_ms)
{
	long left = wait_for_completion_killable_timeout(&session->reaped,
							 msecs_to_jiffies(deadline_ms));

	mutex_lock(&session->lock);
	if (left <= 0 && !session->fault)
		session->fault = left ? "the mount was killed" : "timed out";
	session_close_locked(session);
	mutex_unlock(&session->lock);

	/* Without killable: this second is short, and the verdict wants to know. */
	return left > 0 ||
	       wait_for_completion_timeout(&session->reaped,
					   msecs_to_jiffies(SESSION_KILL_MS));
}

/* What went wrong, or an empty string. */
static void session_verdict(const struct session *session, bool reaped,
			    char *verdict, size_t size)
{
	int status = reaped ? session->status : 0;

	if (session->fault)
		snprintf(verdict, size, "%s%s", session->fault,
			 reaped ? "" : ", and cannot be killed");
	else if (status < 0)
		snprintf(verdict, size, "cannot be run, error %d", status);
	else if (status & 0x7f)
		snprintf(verdict, size, "killed by signal %d", status & 0x7f);
	else if (status)
		snprintf(verdict, size, "exit status %d", status >> 8);
	else if (session->set->count != BPF_PRELOAD_LINKS)
		snprintf(verdict, size, "%u links instead of %u",
			 session->set->count, BPF_PRELOAD_LINKS);
	else
		verdict[0] = '\0';
}

/* The driver names itself, as it does when it is run by hand. */
static const char *without_prefix(const char *line)
{
	size_t len = strlen(KBUILD_MODNAME ": ");

	return strncmp(line, KBUILD_MODNAME ": ", len) ? line : line + len;
}

struct link_set *session_run(struct workqueue_struct *wq,
			     unsigned int deadline_ms, char *why)
{
	struct session *session = session_start(wq);
	struct link_set *set;
	char verdict[80];
	bool reaped;

	if (IS_ERR(session)) {
		snprintf(why, SESSION_WHY_MAX, "cannot start the driver, error %ld",
			 PTR_ERR(session));
		return ERR_CAST(session);
	}
	reaped = session_wait(session, deadline_ms);

	/* Closed, so that nobody else changes it any more. */
	if (reaped && !session->fault) {
		if (session->left_strays)
			session->fault = "left a process behind";
		else if (session->left_files)
			session->fault = "gave a descriptor away";
	}
	session_verdict(session, reaped, verdict, sizeof(verdict));
	if (verdict[0]) {
		snprintf(why, SESSION_WHY_MAX, "driver failed: %s%s%s", verdict,
			 session->line[0] ? ": " : "", without_prefix(session->line));
		/* Not the driver's fault if nobody waited for it. */
		set = ERR_PTR(fatal_signal_pending(current) ? -EINTR : -EIO);
	} else {
		if (session->line[0])
			pr_notice("%s\n", without_prefix(session->line));
		set = session->set;
		session->set = NULL;
	}
	session_put_files(session);
	session_put(session);
	return set;
}
