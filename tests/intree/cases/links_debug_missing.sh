# SPDX-License-Identifier: MIT OR Apache-2.0
# The core in this tree pins a third file.

patient
mount_bpffs
test "$(ls $bpffs | paste -sd' ' -)" = "links.debug maps.debug progs.debug"
test "$(stat -c '%a %u' $bpffs/links.debug)" = "400 0"
head -n 1 $bpffs/links.debug | grep '^ *id'
same_ids() { [ "$(listed_ids $bpffs/links.debug | sort -u)" = "$(bpftool link show | sed -n 's/^\([0-9]*\): .*/\1/p' | sort)" ]; }
# bpftool loads a program of its own, which the kernel may free a bit later.
eventually 3 same_ids
test "$(listed_ids $bpffs/links.debug | wc -l)" -ge 3
