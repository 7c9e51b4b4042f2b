# SPDX-License-Identifier: MIT OR Apache-2.0
no_processes
mount_bpffs
test -e $bpffs/progs.debug
no_processes
ps >/tmp/ps
fails grep -i -e umd -e driver /tmp/ps
