# SPDX-License-Identifier: MIT OR Apache-2.0
# Root may look through all descriptors, as lsof does. If that is while a driver
# ends, nothing was given away.

use_driver <<-'EOD'
	echo $$ >/tmp/running
	while [ ! -e /tmp/finish ]; do usleep 50000; done
	exec /files/hostile
EOD
rm -f /tmp/running /tmp/finish
patient
mount_bpffs &
mount=$!
trap 'touch /tmp/finish' EXIT
eventually 5 test -s /tmp/running
/files/glance "$(cat /tmp/running)" &
glance=$!
# The system call in which it waits for the driver's end: poll.
waits() { grep -q '^7 ' /proc/$glance/syscall; }
eventually 5 waits
touch /tmp/finish
wait $mount
wait $glance
test -e $bpffs/progs.debug
test -z "$(log_lines)"
