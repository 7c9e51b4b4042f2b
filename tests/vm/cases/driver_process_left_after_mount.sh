# SPDX-License-Identifier: MIT OR Apache-2.0
no_processes
mount_bpffs
test -e $bpffs/progs.debug
no_processes
ps | { ! grep -i -e bpf_preload_umd -e umd.blob; }
