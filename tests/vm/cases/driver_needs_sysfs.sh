# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The kernel's BTF has an id since 5.11, so that no sysfs is needed. Before, its
# absence is said in one line.

cat >/tmp/without_sysfs <<'EOF'
umount /sys
exec "$@"
EOF

case $(uname -r) in
5.10.*)
	status=0
	printf '\125\125\0\0' |
		unshare -m sh /tmp/without_sysfs "$driver" >/tmp/records 2>/tmp/err || status=$?
	test $status != 0
	test ! -s /tmp/records
	cat /tmp/err
	test "$(wc -l </tmp/err)" = 1
	grep '^bpf_preload: .*BTF' /tmp/err
	;;
*)
	by_hand_start unshare -m sh /tmp/without_sysfs
	test "$(record_name 1)" = progs.debug
	by_hand_end
	;;
esac
