# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What the rows say of programs whose targets come and go, of names, types and
# elements is so, or not said; tests/bpf/rows.c has the particulars.

mount_bpffs
/files/rows $bpffs/progs.debug $bpffs/maps.debug
