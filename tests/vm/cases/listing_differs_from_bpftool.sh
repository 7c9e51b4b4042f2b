# SPDX-License-Identifier: MIT OR Apache-2.0
# No more, no fewer, none twice: bpftool asks the kernel by another way.

same_ids() {
	[ "$(listed_ids $bpffs/progs.debug)" = "$(prog_ids)" ] &&
		[ "$(listed_ids $bpffs/maps.debug)" = "$(map_ids)" ]
}

mount_bpffs
test -n "$(prog_ids)"
test -n "$(map_ids)"
# bpftool loads a program of its own, which the kernel may free a bit later.
eventually 3 same_ids
