# SPDX-License-Identifier: MIT OR Apache-2.0
# One line, of printable characters, of bounded length.

echo "exec /files/hostile log-flood" | use_driver
mount_bpffs
test -e $bpffs/progs.debug
test "$(log_lines | wc -l)" = 1
log_lines | grep 'bpf_preload: line 0$'
umount $bpffs
eventually 3 rmmod $module

hostile log-bytes "exit status 3: ?[31mred?<0>?0two?? lines"

echo "exec /files/hostile log-long" | use_driver
mount_bpffs
test "$(log_lines | tail -n 1 | wc -c)" -le 180
