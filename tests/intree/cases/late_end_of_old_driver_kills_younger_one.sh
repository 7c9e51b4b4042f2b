# SPDX-License-Identifier: MIT OR Apache-2.0
# A driver that not even SIGKILL ends, since it waits for a directory's lock, ends
# while that of a later mount is at work: what is then killed of the old one's
# must not be the young one, which bears the same mark.

mkdir /tmp/locked
rm -f /tmp/held /tmp/running /tmp/finish
/files/hold /tmp/locked /tmp/held &
holder=$!
trap 'kill $holder 2>/dev/null' EXIT
eventually 5 test -e /tmp/held

echo "exec mkdir /tmp/locked/dir" | use_driver
mount_bpffs /tmp/old
log_lines | grep 'driver failed: timed out, and cannot be killed$'
old_is_there() { processes | grep -q '(mkdir)'; }
old_is_gone() { ! old_is_there; }
old_is_there

use_driver <<-'EOD'
	touch /tmp/running
	while [ ! -e /tmp/finish ]; do usleep 50000; done
	exec /files/hostile
EOD
patient
# Past the pause that follows a failure.
sleep 1
mount_bpffs /tmp/young &
mount=$!
eventually 5 test -e /tmp/running
kill $holder
wait $holder || :
trap - EXIT
eventually 5 old_is_gone
# Time enough to look for what it left behind.
sleep $slowness
touch /tmp/finish
wait $mount
test -e /tmp/young/progs.debug
test "$(log_lines | wc -l)" = 1
