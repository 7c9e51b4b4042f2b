// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Peer (c): the distribution's libbpf loads the same object, which travels in
 * the binary's read-only data as it does in a skeleton.
 */
#include <bpf/libbpf.h>

#include "driver.h"

__asm__(".section .rodata\n"
	".balign 8\n"
	"object: .incbin \"" OBJECT "\"\n"
	"object_end:\n"
	".previous");
extern const char object[], object_end[];

static int attach(struct bpf_object *obj, const char *prog_name,
		  const char *link_name)
{
	struct bpf_program *prog;
	struct bpf_link *link;

	prog = bpf_object__find_program_by_name(obj, prog_name);
	if (!prog)
		return DRIVER_LOAD;
	link = bpf_program__attach(prog);
	if (!link)
		return DRIVER_ATTACH;
	return report_link(link_name, bpf_link__fd(link));
}

int main(void)
{
	struct bpf_object *obj;
	int err;

	if (!expect_word(PRELOAD_START))
		return DRIVER_WIRE;
	obj = bpf_object__open_mem(object, object_end - object, NULL);
	if (!obj || bpf_object__load(obj))
		return DRIVER_LOAD;
	err = attach(obj, "dump_bpf_map", "maps.debug");
	if (!err)
		err = attach(obj, "dump_bpf_prog", "progs.debug");
	if (!err && !expect_word(PRELOAD_END))
		err = DRIVER_WIRE;
	/* exit() closes what is open, as it does for the blob. */
	return err;
}
