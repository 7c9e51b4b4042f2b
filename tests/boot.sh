#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# vm_hides_a_failure: what happens in a guest must come out of it: output and
# status, a splat, a panic, a hang. In KVER's kernel (default 6.1).

set -euo pipefail
cd "$(dirname "$0")"

kver=${KVER:-6.1}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
vm/module "$kver"

# boots NAME STATUS TEXT: the script on stdin ends a run with that status, and
# with that text in its output or message.
boots() {
	local status=0
	cat >"$tmp/script"
	vm/boot "$kver" "$tmp/script" >"$tmp/out" 2>&1 || status=$?
	[ "$status" = "$2" ] && grep -qx -e "$3" "$tmp/out" && return
	echo "boot.sh: $1: status $status instead of $2, or no line '$3' in:" >&2
	tail -n 5 "$tmp/out" >&2
	failed=1
}

boots status_or_output_lost 7 $'tab\there' <<<"printf 'tab\there\n'; exit 7"
boots splat_ignored_as_script_succeeds 125 'gate: splat in the .*BUG: provoked' \
	<<<"echo 'BUG: provoked' >/dev/kmsg; exit 0"
boots panic_taken_for_success 125 'gate: splat in the .*' <<<'echo c >/proc/sysrq-trigger'
boots power_off_taken_for_success 124 '.*the guest died before the script ended.*' <<<'poweroff -f'
VM_TIMEOUT=10 boots hang_waited_for 124 '.*did not end within 10 s.*' <<<'sleep 100'
exit "$failed"
