# SPDX-License-Identifier: MIT OR Apache-2.0
# What is wrong with an object, and where in its source, is said whatever words this
# kernel's verifier has. Before 5.11 also that memory is, which is counted then.

sh /files/refused/check /files/refused/objects bpf-preload quick
if ! uname -r | awk -F. '{ exit !($1 > 5 || $1 == 5 && $2 >= 11) }'; then
	status=0
	/files/memlock 4096 bpf-preload load /files/refused/objects/null_unchecked.bpf.o 2>/tmp/err || status=$?
	cat /tmp/err
	test $status = 1
	grep 'EPERM (1): its memory counts (before 5.11), and RLIMIT_MEMLOCK is 4 KiB' /tmp/err
fi
