// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * delegate DIR [fsuid] COMMAND...
 *
 * What a container manager does to give a container a bpffs that its user
 * namespace owns (since 6.9): a process in new user and mount namespaces, root
 * there and user 1000 outside, opens the file system; we, who may, set what it
 * delegates and create it; the process mounts it on DIR and runs COMMAND. With
 * `fsuid` we create it as that user, with the capabilities of root. The status
 * is COMMAND's; 3 if the file system cannot be created, with why on stderr.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CONTAINER_UID = 1000 };

static void send_fd(int sock, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(sock, &msg, 0) != 1)
		error(1, errno, "delegate: send");
}

static int receive_fd(int sock)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	int fd;

	if (recvmsg(sock, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		error(1, 0, "delegate: the container has sent nothing");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static void await(int sock)
{
	char byte;

	if (read(sock, &byte, 1) != 1)
		exit(1);
}

static void tell(int sock)
{
	if (write(sock, "", 1) != 1)
		error(1, errno, "delegate: tell");
}

static void write_map(pid_t pid, const char *file)
{
	char path[64], line[32];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	int len = snprintf(line, sizeof(line), "0 %d 1", CONTAINER_UID);
	int fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, line, len) != len)
		error(1, errno, "delegate: %s", path);
	close(fd);
}

static void container(int sock, const char *dir, char **command)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		error(1, errno, "delegate: unshare");
	tell(sock);
	await(sock);
	if (setresgid(0, 0, 0) || setresuid(0, 0, 0))
		error(1, errno, "delegate: become the container's root");
	int fs = syscall(SYS_fsopen, "bpf", 0);
	if (fs < 0)
		error(1, errno, "delegate: fsopen");
	send_fd(sock, fs);
	await(sock);
	int mnt = syscall(SYS_fsmount, fs, 0, 0);
	if (mnt < 0 || syscall(SYS_move_mount, mnt, "", AT_FDCWD, dir, MOVE_MOUNT_F_EMPTY_PATH))
		error(1, errno, "delegate: mount on %s", dir);
	close(fs);
	close(mnt);
	close(sock);
	execvp(command[0], command);
	error(1, errno, "delegate: %s", command[0]);
}

/* Changing the fsuid away from 0 takes the capabilities of files, not the others. */
static void create(int fs, int as_container)
{
	static const char *const options[] = { "delegate_cmds", "delegate_maps", "delegate_progs", "delegate_attachs" };

	if (as_container) {
		setfsuid(CONTAINER_UID);
		if (setfsuid(-1) != CONTAINER_UID)
			error(1, 0, "delegate: setfsuid");
	}
	for (unsigned int i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, options[i], "any", 0))
			error(3, errno, "delegate: %s", options[i]);
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		error(3, errno, "delegate: create");
	setfsuid(0);
}

int main(int argc, char **argv)
{
	int as_container = argc > 2 && !strcmp(argv[2], "fsuid");
	int socks[2], status;

	if (argc < 3 + as_container)
		error(2, 0, "usage: delegate DIR [fsuid] COMMAND...");
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, socks))
		error(1, errno, "delegate: socketpair");
	pid_t pid = fork();
	if (!pid) {
		close(socks[0]);
		container(socks[1], argv[1], argv + 2 + as_container);
	}
	close(socks[1]);
	await(socks[0]);
	write_map(pid, "uid_map");
	write_map(pid, "gid_map");
	tell(socks[0]);
	int fs = receive_fd(socks[0]);
	create(fs, as_container);
	close(fs);
	tell(socks[0]);
	if (waitpid(pid, &status, 0) != pid)
		error(1, errno, "delegate: wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
