# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Whatever is wrong, the driver exits with a failure and says what in one line
# of at most 120 characters, and reports no link. Also run by tests/by_hand.sh.

dir=$(mktemp -d)
chmod 755 "$dir"

# refuses WORD COMMAND...: stdin is what the shim would say.
refuses() {
	local word=$1 status=0
	shift
	"$@" >"$dir/out" 2>"$dir/err" || status=$?
	test $status != 0
	cat "$dir/err"
	test "$(wc -l <"$dir/err")" = 1
	test "$(wc -c <"$dir/err")" -le 121
	grep "^bpf_preload: .*$word" "$dir/err"
	test ! -s "$dir/out"
}

printf '\1\2\3\4' | refuses . "$driver"
printf '\125\125' | refuses . "$driver"
: | refuses . "$driver"
# All programs, on a kernel that has not all of the iterators.
has_link_iter || printf '\126\125\0\0' |
	refuses 'load prog dump_bpf_link: bpf_iter_bpf_link is not in kernel BTF$' "$driver"
cp "$driver" "$dir/driver"
chmod 755 "$dir/driver"
printf '\125\125\0\0' | refuses EPERM su -s /bin/sh nobody -c "$dir/driver"
# The reader is gone before the first record.
printf '\125\125\0\0' | { "$driver" 2>"$dir/err" && echo 0 >"$dir/status" || echo $? >"$dir/status"; } | :
test "$(cat "$dir/status")" != 0
rm -r "$dir"
