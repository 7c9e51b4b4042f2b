# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs the cases under /files/cases in the guest, one after the other in this
# one boot, each from a clean state, and prints their results as KTAP lines.

. /files/ktap.sh
ko=/lib/modules/$(uname -r)/$module.ko
[ -e /files/builtin ] || cp "$ko" /tmp/real.ko

# Back to a guest without mounts of bpffs, or on sysfs, and without the module, if it can.
clean_up() {
	[ ! -e $second_cpu ] || echo 1 >$second_cpu
	[ -e /files/builtin ] || cp /tmp/real.ko "$ko"
	awk '$3 == "bpf" || $2 ~ "^/sys/" { print $2 }' /proc/mounts | sort -r | while read -r dir; do
		umount "$dir" || echo "cannot unmount $dir"
	done
	[ -e /files/builtin ] || [ ! -d /sys/module/$module ] || eventually 3 rmmod $module
	eventually 3 no_bpf_objects
	eventually 3 no_processes
}

number=$(cat /files/number) failed=0
for case in /files/cases/*.sh; do
	name=$(basename "$case" .sh)
	echo "<5>bpf_preload_vm: case $name" >/dev/kmsg
	status=0
	timeout $((120 * $(slowness_now))) sh -eu -c '. /files/ktap.sh; set -x; . "$0"' "$case" >/tmp/out 2>&1 || status=$?
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
	number=$((number + 1))
done

# A kernel that can tell is asked for memory that nothing refers to any more: by
# its second look it knows, the first was too early for what was lost just now.
# Its word in the log is what fails the run.
leaks=/sys/kernel/debug/kmemleak
if mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null && [ -e $leaks ]; then
	for look in 1 2; do
		sleep 6
		echo scan >$leaks
	done
	sed 's/^/# /' $leaks
	echo "<5>bpf_preload_vm: looked for leaks" >/dev/kmsg
fi
exit $failed
