# SPDX-License-Identifier: MIT OR Apache-2.0
no_processes
mount_bpffs
test -e $bpffs/progs.debug
no_processes
ps -o comm >/tmp/ps
grep -x ps /tmp/ps
fails grep -e umd -e preload /tmp/ps
