// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Peer (b): the light skeleton that bpftool generates from the same object.
 * A loader program does the work inside the kernel; this only starts it.
 */
#include <errno.h>

#include "driver.h"
#include "iterators.lskel.h"

int main(void)
{
	struct iterators *skel;
	int err;

	if (!expect_word(PRELOAD_START))
		return DRIVER_WIRE;
	skel = iterators__open_and_load();
	if (!skel)
		return DRIVER_LOAD;
	if (iterators__attach(skel))
		return DRIVER_ATTACH;
	err = report_link("maps.debug", skel->links.dump_bpf_map_fd);
	if (!err)
		err = report_link("progs.debug", skel->links.dump_bpf_prog_fd);
	if (!err && !expect_word(PRELOAD_END))
		err = DRIVER_WIRE;
	/* exit() closes what is open, as it does for the blob. */
	return err;
}
