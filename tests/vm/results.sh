# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Results as KTAP, on the host. To be sourced by bash after lib.sh. $tmp is a
# directory that is gone at the end.

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# results FUNCTION...: each a test, named after the failure that it prevents.
# What it leaves in $tmp/out is shown if it fails.
results() {
	local test number=0 status=0
	echo "KTAP version 1"
	echo "1..$#"
	for test; do
		number=$((number + 1))
		: >"$tmp/out"
		if "$test"; then
			echo "ok $number $test"
		else
			sed 's/^/# /' "$tmp/out"
			echo "not ok $number $test"
			status=1
		fi
	done
	return $status
}

passed=0 failed=0 ran=0
# suite NAME COMMAND...: runs it, shows its KTAP indented, counts its results.
# One that ends before its plan is fulfilled, or has none, has failed.
suite() {
	local name=$1 plan ok not_ok bad=
	shift
	ran=$((ran + 1))
	"$@" | tee "$tmp/suite" | sed 's/^/    /' || bad=1
	plan=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$tmp/suite")
	ok=$(grep -c '^ok ' "$tmp/suite") || :
	not_ok=$(grep -c '^not ok ' "$tmp/suite") || :
	if [ "$((ok + not_ok))" != "${plan:-none}" ]; then
		echo "    # $((ok + not_ok)) results of ${plan:-an unknown number}"
		not_ok=$((not_ok + 1))
	elif [ -n "$bad" ] && [ "$not_ok" = 0 ]; then
		echo "    # ended with a failure that none of its results shows"
		not_ok=1
	fi
	passed=$((passed + ok)) failed=$((failed + not_ok))
	if [ "$not_ok" = 0 ]; then
		echo "ok $ran $name"
	else
		echo "not ok $ran $name"
	fi
}

# The last line, and the status.
summary() {
	echo "$passed passed, $failed failed"
	[ "$failed" = 0 ]
}
