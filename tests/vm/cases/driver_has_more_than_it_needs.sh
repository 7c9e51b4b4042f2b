# SPDX-License-Identifier: MIT OR Apache-2.0
# As /proc shows it while it runs. CAP_PERFMON is bit 38, CAP_BPF bit 39.

use_driver <<-'EOF'
	cat /proc/$$/status >/tmp/status
	cat /proc/$$/limits >/tmp/limits
	cat /proc/$$/environ >/tmp/environ
	cat /proc/$$/oom_score_adj >/tmp/oom
	echo 999 >/proc/$$/oom_score_adj
	cat /proc/$$/oom_score_adj >>/tmp/oom
	ls -l /proc/$$/fd | cat >/tmp/fds
	exec /files/hostile
EOF
mount_bpffs
test -e $bpffs/progs.debug
for set in Prm Eff Bnd; do
	grep "^Cap$set:.000000c000000000" /tmp/status
done
for set in Inh Amb; do
	grep "^Cap$set:.0000000000000000" /tmp/status
done
grep '^NoNewPrivs:.1' /tmp/status
grep '^Max core file size  *1  *1 ' /tmp/limits
# The shell in the driver's place adds these itself.
tr '\0' '\n' </tmp/environ | fails grep -v -e ^PWD= -e ^SHLVL= -e ^PATH=/sbin:/usr/sbin:/bin:/usr/bin
test "$(grep -c ' [012] -> anon_inode:' /tmp/fds)" = 3
grep ' 3 -> /kernel/btf/vmlinux' /tmp/fds
# The first to go if memory runs out, and it cannot change that.
test "$(sort -u /tmp/oom)" = 1000
