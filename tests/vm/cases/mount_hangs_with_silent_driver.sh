# SPDX-License-Identifier: MIT OR Apache-2.0
# Killed, reaped, said once; the mount comes back empty and in time.

use_driver <<-'EOF'
	exec sleep 1000
EOF
within $deadline_s mount_bpffs
test -z "$(ls -A $bpffs)"
eventually 2 no_processes
test "$(log_lines | wc -l)" = 1
