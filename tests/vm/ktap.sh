# SPDX-License-Identifier: MIT OR Apache-2.0
#
# For the cases: sourced by each, in the guest. A case is a script run with
# `sh -eux` whose first failing command fails it; what -x traced is shown then.
# It starts without the module and without a bpffs, may leave its mounts and
# its module behind, and fails if any process or BPF object outlives those.

bpffs=/sys/fs/bpf
module=bpf_preload
driver=${driver:-/files/bpf_preload_umd}
# tests/bpf/churn.c, and how often it reads each file: a guest is slow.
churn=${churn:-/files/churn}
readings=${readings:-100}
# What the core takes from the driver: stock kernels, two.
links=$(cat /files/core_links 2>/dev/null || echo 2)
# How many times longer all may take: 1, but for kernels that check themselves.
slowness=$(cat /files/slowness 2>/dev/null || echo 1)
# The shim gives the driver 2 s, and 1 s more to die.
deadline_s=4

mount_bpffs() {
	mkdir -p "${1:-$bpffs}"
	mount -t bpf bpf "${1:-$bpffs}"
}

# Where it is not about the deadline: a driver that misses it on a busy host is
# not what the case looks for.
patient() {
	[ -e /files/builtin ] || modprobe $module
	echo $((20000 * slowness)) >/sys/module/$module/parameters/deadline_ms
}

# Leaves the guest one CPU until the case is over. Kernel text is patched where
# programs are attached to it, and the emulator (TCG) may show a second CPU the int3
# of that when the kernel has already forgotten why: 7.3 oopsed in trace_syscall_enter.
one_cpu() { [ ! -e $second_cpu ] || echo 0 >$second_cpu; }
second_cpu=/sys/devices/system/cpu/cpu1/online

fail() { echo "$*" >&2; exit 1; }
# set -e does not see a failing `! command`.
fails() { ! "$@" || fail "succeeds: $*"; }
skip() { echo "SKIP $*" >&2; exit 4; }
needs_module() { [ ! -e /files/builtin ] || skip "the shim is built in, not a module"; }
# Nobody has asked for it: one that is built in has not been loaded, either.
no_module() { [ -e /files/builtin ] || [ ! -d /sys/module/$module ]; }

# eventually SECONDS COMMAND...: work that the kernel defers gets a while.
eventually() {
	local tenths=$(($1 * 10 * slowness))
	shift
	until "$@"; do
		[ "$tenths" -gt 0 ] || fail "still not so: $*"
		tenths=$((tenths - 1))
		usleep 100000
	done
}

# within SECONDS COMMAND...: succeeds in time. If it does not, the host may be
# busy: the guest's own speed tells how much more time that is.
within() {
	local limit=$1 start took
	shift
	start=$(now_cs)
	"$@"
	took=$(($(now_cs) - start))
	[ $took -le $((limit * 100 * slowness)) ] || [ $took -le $((limit * 100 * $(slowness_now))) ] ||
		fail "took $took hundredths of a second, more than $limit s: $*"
}

# How many times longer than in a guest of a quiet host, where thirty programs
# start and end in 0.1 s, that takes now. Not less than $slowness.
slowness_now() {
	local start measured n=0
	start=$(now_cs)
	while [ $n -lt 30 ]; do
		/bin/busybox true
		n=$((n + 1))
	done
	measured=$((($(now_cs) - start) / 10))
	echo $((measured > slowness ? measured : slowness))
}

# Uptime in hundredths of a second.
now_cs() { awk '{ printf "%d\n", $1 * 100 }' /proc/uptime; }

prog_ids() { bpftool prog show | sed -n 's/^\([0-9]*\): .*/\1/p'; }
map_ids() { bpftool map show | sed -n 's/^\([0-9]*\): .*/\1/p'; }
# The ids that a debug file lists: its first column below the heading.
listed_ids() { awk 'NR > 1 { print $1 }' "$1"; }

# Can this kernel list links? Since 5.19.
has_link_iter() { grep -q ' bpf_iter_bpf_link$' /proc/kallsyms; }

# Has this kernel tcx? Since 6.6. What the tests of that need, if so.
has_tcx() { grep -q ' tcx_prog_attach$' /proc/kallsyms; }
needs_tcx() {
	has_tcx || skip "tcx (6.6)"
	[ -e /files/tcx/veth.ko ] || skip "module veth for this kernel"
	for ko in veth sch_ingress cls_bpf; do
		[ -d /sys/module/$ko ] || insmod /files/tcx/$ko.ko
	done
	export PATH=/files/tcx/bin:$PATH TCX_OBJECT=/files/tcx.bpf.o TCX_MUST=1
}

# Everything that BPF holds in this guest but the kernel's own BTF, which has
# names in brackets. The guest has no other user of BPF, so it is all ours.
bpf_objects() {
	bpftool prog show
	bpftool map show
	bpftool link show
	bpftool btf show | grep -v 'name \[' || :
}
no_bpf_objects() { [ -z "$(bpf_objects)" ]; }

# What the kernel started in user mode, and what that started: it is in session
# 0, unlike all that the tests run. Kernel threads execute nothing.
processes() {
	for dir in /proc/[0-9]*; do
		[ $dir != /proc/1 ] && readlink $dir/exe >/dev/null || continue
		sed -n 's/^\([0-9]* (.*)\) . [0-9]* [0-9]* 0 .*/\1/p' $dir/stat
	done 2>/dev/null
}
no_processes() { [ -z "$(processes)" ]; }

# The kernel's log since this case began, and the module's lines in it, without
# those about its being loaded.
case_log() { dmesg | awk '/bpf_preload_vm: case / { text = ""; next } { text = text $0 "\n" } END { printf "%s", text }'; }
log_lines() { case_log | grep "$module: " | grep -v 'taint' || :; }

# Puts a module in place whose driver is the shell script on stdin, run by
# busybox in the driver's stead: fd 0 and 1 are the channel, fd 2 the log.
use_driver() {
	needs_module
	cat >/tmp/driver
	cp /files/scripted.ko "/lib/modules/$(uname -r)/$module.ko"
}

# The driver by hand: by_hand_start runs it, through a command if one is given,
# up to its two records in $dir/records; by_hand_start_all up to all three;
# by_hand_end lets it go.
by_hand_start() { by_hand '\125\125\0\0' 2 "$@"; }
by_hand_start_all() { by_hand '\126\125\0\0' 3 "$@"; }
by_hand() {
	local word=$1 records=$2
	shift 2
	dir=$(mktemp -d)
	mkfifo "$dir/in" "$dir/out"
	"$@" "$driver" <"$dir/in" >"$dir/out" &
	pid=$!
	exec 3>"$dir/in" 4<"$dir/out"
	printf "$word" >&3
	head -c $((records * 20)) <&4 >"$dir/records"
}
by_hand_end() {
	printf '\252\252\0\0' >&3
	exec 3>&-
	wait $pid
	test -z "$(head -c 1 <&4)"
	exec 4<&-
}
record_name() { dd if="$dir/records" bs=1 skip=$(($1 * 20)) count=16 2>/dev/null | tr -d '\0'; }
record_id() { od -An -tu4 -j $(($1 * 20 + 16)) -N 4 "$dir/records" | tr -d ' '; }

# The hostile driver in MODE, at a first mount: the mount is in time and empty,
# the one line in the log has WORDS, and neither process nor object is left. The
# next mount tries again, and works, if not in the pause that follows a failure.
hostile() {
	local before
	echo "exec /files/hostile $1 $(slowness_now)" | use_driver
	before=$(log_lines | wc -l)
	within $deadline_s mount_bpffs
	test -z "$(ls -A $bpffs)"
	eventually 2 no_processes
	log_lines | tail -n 1 | grep -F -- ": driver failed: $2"
	test "$(log_lines | wc -l)" = $((before + 1))
	umount $bpffs
	eventually 3 no_bpf_objects
	echo "exec /files/hostile" >/tmp/driver
	eventually 2 recovered
	umount $bpffs
	eventually 2 rmmod $module
}
recovered() {
	mount_bpffs
	[ -e $bpffs/progs.debug ] || { umount $bpffs; return 1; }
}
