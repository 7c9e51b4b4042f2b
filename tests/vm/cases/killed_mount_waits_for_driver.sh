# SPDX-License-Identifier: MIT OR Apache-2.0
# Whoever mounts can be killed at once, and the driver goes with it.

use_driver <<-'EOD'
	exec sleep 1000
EOD
has_processes() { ! no_processes; }
gone() { [ ! -d /proc/$pid ]; }

# Time enough to see the driver on a slow machine before the deadline ends it.
modprobe $module deadline_ms=20000
mkdir -p $bpffs
mount -t bpf bpf $bpffs &
pid=$!
eventually 10 has_processes
kill -9 $pid
eventually 1 gone
eventually 1 no_processes
log_lines | grep 'driver failed: the mount was killed$'
test "$(log_lines | wc -l)" = 1
