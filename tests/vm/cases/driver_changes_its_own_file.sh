# SPDX-License-Identifier: MIT OR Apache-2.0
# It starts in the directory of its own file. What it does there must not be
# what the next mount runs.

use_driver <<-'EOD'
	{
		chmod 0 bpf_preload_umd
		rm bpf_preload_umd
		ln -s /bin/false something_else
	} 2>/tmp/complaints
	exec /files/hostile
EOD
for round in 1 2; do
	mount_bpffs
	test -e $bpffs/progs.debug
	umount $bpffs
	eventually 3 no_bpf_objects
done
test "$(wc -l </tmp/complaints)" = 3
fails grep -v 'Read-only file system' /tmp/complaints
