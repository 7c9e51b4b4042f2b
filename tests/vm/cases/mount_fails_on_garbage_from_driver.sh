# SPDX-License-Identifier: MIT OR Apache-2.0
use_driver <<-'EOF'
	head -c 4 >/dev/null
	echo "this is no record" >&0
	exec sleep 1000
EOF
within $deadline_s mount_bpffs
test -z "$(ls -A $bpffs)"
test "$(log_lines | wc -l)" = 1
