# SPDX-License-Identifier: MIT OR Apache-2.0
# A kernel without tcx says so in one line, and nothing is attached or loaded.

has_tcx && skip "a kernel without tcx" || :
for command in "attach lo ingress /files/tcx.bpf.o tc1" "attach lo egress /files/tcx.bpf.o tc6 --no-link" \
	"verify lo ingress" "show lo" "detach lo ingress 1"; do
	status=0
	bpf-preload tcx $command >/tmp/said 2>&1 || status=$?
	test $status = 1
	test "$(wc -l </tmp/said)" = 1
	grep -E '^bpf-preload: query lo [a-z]*: EINVAL \(22\): this kernel has no tcx \(since 6\.6, CONFIG_NET_XGRESS\)$' /tmp/said
	no_bpf_objects
done
