# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs the cases under /files/cases in the guest, one after the other in this
# one boot, each from a clean state, and prints their results as KTAP lines.

. /files/ktap.sh
ko=/lib/modules/$(uname -r)/$module.ko
cp "$ko" /tmp/real.ko

# Back to a guest without mounts of bpffs and without the module, if it can.
clean_up() {
	cp /tmp/real.ko "$ko"
	awk '$3 == "bpf" { print $2 }' /proc/mounts | sort -r | while read -r dir; do
		umount "$dir" || echo "cannot unmount $dir"
	done
	[ ! -d /sys/module/$module ] || eventually 3 rmmod $module
	eventually 3 no_bpf_objects
	eventually 3 no_processes
}

number=0 failed=0
for case in /files/cases/*.sh; do
	name=$(basename "$case" .sh)
	number=$((number + 1))
	echo "<5>bpf_preload_vm: case $name" >/dev/kmsg
	status=0
	timeout 60 sh -eu -c '. /files/ktap.sh; set -x; . "$0"' "$case" >/tmp/out 2>&1 || status=$?
	reason=$(sed -n 's/^SKIP //p' /tmp/out)
	left=$( (clean_up) 2>&1 ) || { status=1; echo "left behind: $left" >>/tmp/out; }
	case $status in
	0) echo "ok $number $name" ;;
	4) echo "ok $number $name # SKIP $reason" ;;
	*)
		failed=1
		tail -n 25 /tmp/out | sed 's/^/# /'
		case_log | tail -n 10 | sed 's/^/# /'
		echo "not ok $number $name"
		;;
	esac
done
exit $failed
