# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What an operator sees: mounting a bpffs is all it takes. Runs in the guest.

step() { echo; echo "# $*"; "$@" || failed=1; }

failed=0
mkdir -p /sys/fs/bpf /tmp/bpf2
step uname -r
for dir in /sys/fs/bpf /tmp/bpf2; do
	step mount -t bpf bpf "$dir"
done
for dir in /sys/fs/bpf /tmp/bpf2; do
	step ls -la "$dir"
	step cat "$dir/maps.debug"
	step cat "$dir/progs.debug"
done
exit "$failed"
