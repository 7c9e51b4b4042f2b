#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# driver_works_in_vms_only: the cases that need no shim, on this machine's own
# kernel and with the blob of `make blob`.

set -euo pipefail
cd "$(dirname "$0")/vm"

driver=$PWD/../../target/bpf_preload_umd
export driver
[ -x "$driver" ] || { echo "by_hand.sh: no blob: run make blob" >&2; exit 1; }

# The mounts vanish with their namespace, the rest with this.
TMPDIR=$(mktemp -d)
chmod 755 "$TMPDIR"
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
churn=$TMPDIR/churn readings=1000
export churn readings
../bpf/compile churn "$churn"

status=0
for case in cases/*_by_hand*.sh; do
	unshare --mount busybox sh -eu -c '. ./ktap.sh; set -x; . "$0"' "./$case" >"$TMPDIR/out" 2>&1 || {
		tail -n 15 "$TMPDIR/out"
		echo "by_hand.sh: $case failed on $(uname -r)"
		status=1
	}
done
exit "$status"
