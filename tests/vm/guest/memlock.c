// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * memlock BYTES COMMAND... - runs a command with so little RLIMIT_MEMLOCK, and without
 * CAP_SYS_RESOURCE, which would let it raise that.
 */
#include <linux/capability.h>
#include <err.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rlimit limit;

	if (argc < 3)
		errx(2, "usage: memlock BYTES COMMAND...");
	limit.rlim_cur = limit.rlim_max = strtoul(argv[1], NULL, 0);
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		err(1, "setrlimit");
	if (prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE))
		err(1, "PR_CAPBSET_DROP");
	execvp(argv[2], argv + 2);
	err(1, "%s", argv[2]);
}
