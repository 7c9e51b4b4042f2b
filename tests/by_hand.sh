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

# The host tool and, for its containers, what guests have under /files.
tool=$PWD/../../target/bpf-preload
[ -x "$tool" ] || { echo "by_hand.sh: no host tool: run make tool" >&2; exit 1; }
cp "$tool" "$TMPDIR"
container_sh=$PWD/container.sh tool=$TMPDIR/bpf-preload objects=$TMPDIR/objects
attach=$TMPDIR/attach with_token=$TMPDIR/with_token
export container_sh tool objects attach with_token
../bpf/variants ../bpf/token/kinds.bpf.c KIND "$objects"
for program in attach with_token; do
	gcc -O2 -Wall -Wextra -Werror -static -o "$TMPDIR/$program" "guest/$program.c"
done

status=0
for case in cases/*_by_hand*.sh; do
	unshare --mount busybox sh -eu -c '. ./ktap.sh; set -x; . "$0"' "./$case" >"$TMPDIR/out" 2>&1 || {
		tail -n 15 "$TMPDIR/out"
		echo "by_hand.sh: $case failed on $(uname -r)"
		status=1
	}
done
exit "$status"
