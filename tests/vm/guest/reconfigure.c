// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * reconfigure DIR [FLAG...] - a remount as libmount does it since 2.39: fspick,
 * a flag such as ro, and FSCONFIG_CMD_RECONFIGURE. busybox has mount(2) only.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc < 2)
		error(2, 0, "usage: reconfigure DIR [FLAG...]");
	int fs = syscall(SYS_fspick, AT_FDCWD, argv[1], FSPICK_CLOEXEC);
	if (fs < 0)
		error(1, errno, "reconfigure: fspick %s", argv[1]);
	for (int i = 2; i < argc; i++)
		if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, argv[i], NULL, 0))
			error(1, errno, "reconfigure: %s", argv[i]);
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0))
		error(1, errno, "reconfigure: %s", argv[1]);
	return 0;
}
