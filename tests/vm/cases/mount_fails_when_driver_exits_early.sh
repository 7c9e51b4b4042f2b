# SPDX-License-Identifier: MIT OR Apache-2.0
use_driver <<-'EOF'
	exit 3
EOF
within $deadline_s mount_bpffs
test -z "$(ls -A $bpffs)"
test "$(log_lines | wc -l)" = 1
