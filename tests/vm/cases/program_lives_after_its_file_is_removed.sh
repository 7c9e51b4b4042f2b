# SPDX-License-Identifier: MIT OR Apache-2.0
# The programs are known by what their links iterate over.

prog_over() { bpftool link show | sed -n "s/.* iter  *prog \([0-9]*\)  *target_name $1 .*/\1/p"; }
gone() { ! bpftool prog show id "$1"; }

mount_bpffs
progs=$(prog_over bpf_prog)
maps=$(prog_over bpf_map)
bpftool prog show id "$progs"
rm $bpffs/progs.debug
eventually 3 gone "$progs"
bpftool prog show id "$maps"
cat $bpffs/maps.debug
rm $bpffs/maps.debug
eventually 3 gone "$maps"
