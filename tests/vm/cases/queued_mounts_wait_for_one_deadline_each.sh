# SPDX-License-Identifier: MIT OR Apache-2.0
# The core lets one mount at a time ask the shim. Those that wait behind a
# driver that hangs, and takes the second that it has to die, end with the first.

echo "exec /files/hostile uncatchable" | use_driver
pids=
for n in 1 2 3; do
	within $deadline_s mount_bpffs /tmp/bpf$n &
	pids="$pids $!"
done
for pid in $pids; do
	wait "$pid"
done
for n in 1 2 3; do
	test -z "$(ls -A /tmp/bpf$n)"
done
test "$(log_lines | wc -l)" = 1
