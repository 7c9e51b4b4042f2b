# SPDX-License-Identifier: MIT OR Apache-2.0
# In a mount namespace of its own that has neither /proc nor /sys.

cat >/tmp/in_namespace <<'EOS'
set -e
umount /proc
umount /sys
test ! -e /proc/self
test ! -e /sys/kernel
mount -t bpf bpf /tmp/bpf
cat /tmp/bpf/maps.debug /tmp/bpf/progs.debug
EOS
mkdir -p /tmp/bpf
unshare -m sh /tmp/in_namespace >/tmp/listing
test "$(grep -c '^ *id name ' /tmp/listing)" = 2
# Nobody outside has seen this mount, and it went with its namespace.
test -z "$(ls -A /tmp/bpf)"
