// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver's descriptors: what its reads give and its writes mean.
 *
 * All is done at once and in the context of the driver. Nothing here blocks on
 * anybody else, so nothing here can keep the driver from being killed.
 */
#include <linux/anon_inodes.h>
#include <linux/ctype.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "links.h"
#include "session.h"

/* Where the driver looks for kernel BTF: the next one after its log. */
static_assert(PRELOAD_BTF_FD == 3);
/* As since 5.10: a driver may be older than this file. */
static_assert(sizeof(struct preload_record) == 20);

/*
 * The descriptors may have been inherited or passed on, but it is the links of
 * the driver itself that are looked at.
 */
static bool is_open_to_current(const struct session *session)
{
	return !session->closed && task_tgid(current) == session->driver;
}

static ssize_t channel_read(struct file *file, char __user *buf, size_t len,
			    loff_t *pos)
{
	struct session *session = file->private_data;
	u32 word = 0;

	/* A word in parts is more state than any driver has asked for. */
	if (len < sizeof(word))
		return -EINVAL;
	mutex_lock(&session->lock);
	if (is_open_to_current(session)) {
		switch (session->words_read++) {
		case 0:
			word = BPF_PRELOAD_LINKS > 2 ? PRELOAD_START_ALL :
						       PRELOAD_START;
			break;
		case 1:
			/* Waiting here for the rest would only be a hang. */
			if (session->set->count == BPF_PRELOAD_LINKS)
				word = PRELOAD_END;
			else
				session_fault_locked(session, "too few links");
			break;
		}
	}
	mutex_unlock(&session->lock);

	if (!word)	/* end of file, as from a pipe whose writer is gone */
		return 0;
	return copy_to_user(buf, &word, sizeof(word)) ? -EFAULT : sizeof(word);
}

static ssize_t channel_write(struct file *file, const char __user *buf,
			     size_t len, loff_t *pos)
{
	struct session *session = file->private_data;
	struct preload_record record;	/* a copy: the driver can write meanwhile */
	const char *fault;
	ssize_t ret = -EPIPE;

	/* Before the lock: a fault on the driver's memory may take for ever. */
	if (len == sizeof(record) && copy_from_user(&record, buf, sizeof(record)))
		return -EFAULT;

	mutex_lock(&session->lock);
	if (is_open_to_current(session)) {
		if (len != sizeof(record))
			fault = "a record of the wrong size";
		else
			fault = link_set_add(session->set, &record);
		if (fault)
			session_fault_locked(session, fault);
		else
			ret = len;
	}
	mutex_unlock(&session->lock);
	return ret;
}

/* Bytes of a stranger, on their way to the kernel's log. */
static void sanitise(char *line, size_t len)
{
	size_t i;

	while (len && line[len - 1] == '\n')
		len--;
	for (i = 0; i < len; i++)
		if (!isascii(line[i]) || !isprint(line[i]))
			line[i] = '?';
	line[len] = '\0';
}

/*
 * The line is kept, to be logged with the outcome: so there is one line for a
 * run whatever the driver does, and the first complaint is the one that counts.
 */
static ssize_t log_write(struct file *file, const char __user *buf, size_t len,
			 loff_t *pos)
{
	struct session *session = file->private_data;
	char line[PRELOAD_LOG_MAX];
	size_t kept = min(len, sizeof(line) - 1);

	if (copy_from_user(line, buf, kept))
		return -EFAULT;
	sanitise(line, kept);

	mutex_lock(&session->lock);
	if (is_open_to_current(session) && !session->line[0])
		strscpy(session->line, line, sizeof(session->line));
	mutex_unlock(&session->lock);
	return len;
}

static int session_file_release(struct inode *inode, struct file *file)
{
	session_put(file->private_data);
	return 0;
}

static const struct file_operations channel_fops = {
	.owner = THIS_MODULE,
	.read = channel_read,
	.write = channel_write,
	.release = session_file_release,
};

static const struct file_operations log_fops = {
	.owner = THIS_MODULE,
	.write = log_write,
	.release = session_file_release,
};

static struct file *session_file(struct session *session, const char *name,
				 const struct file_operations *fops, int flags)
{
	struct file *file = anon_inode_getfile(name, fops, session, flags);

	/* From now on its release will put one, also when it is never used. */
	if (!IS_ERR(file))
		kref_get(&session->ref);
	return file;
}

int channel_open(struct session *session)
{
	session->channel = session_file(session, "[bpf_preload]", &channel_fops,
					O_RDWR);
	if (IS_ERR(session->channel))
		return PTR_ERR(session->channel);
	session->log = session_file(session, "[bpf_preload_log]", &log_fops,
				    O_WRONLY);
	if (IS_ERR(session->log)) {
		fput(session->channel);
		return PTR_ERR(session->log);
	}
	return 0;
}

void channel_close(struct session *session)
{
	fput(session->channel);
	fput(session->log);
}

/* Whoever looks through all descriptors, as lsof does, has one briefly. */
#define SHARED_ROUNDS		20
#define SHARED_ROUND_MS		10

bool channel_is_shared(const struct session *session)
{
	unsigned int round;

	for (round = 0; round < SHARED_ROUNDS; round++) {
		if (file_count(session->channel) == 1 &&
		    file_count(session->log) == 1)
			return false;
		msleep(SHARED_ROUND_MS);
	}
	return true;
}

int channel_install(struct session *session, struct file *btf)
{
	struct file *files[] = {
		session->channel, session->channel, session->log, btf,
	};
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(files) && !IS_ERR(files[i]); i++) {
		/* Without O_CLOEXEC: they are for what is executed next. */
		fd = get_unused_fd_flags(0);
		if (fd < 0)
			return fd;
		/* A usermode helper starts with an empty table of its own. */
		if (fd != i) {
			put_unused_fd(fd);
			return -EBADF;
		}
		get_file(files[i]);
		fd_install(fd, files[i]);
	}
	return 0;
}
