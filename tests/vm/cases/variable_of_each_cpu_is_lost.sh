# SPDX-License-Identifier: MIT OR Apache-2.0
# Variables in .percpu begin with their value on each CPU, and each CPU changes its own;
# a kernel that can have none says so in one line.

mount_bpffs
dir=$bpffs/percpu

if ! grep -q ' percpu_array_map_direct_value_addr$' /proc/kallsyms; then
	fails bpf-preload load /files/percpu.bpf.o --pin $dir 2>/tmp/err
	cat /tmp/err
	grep -x 'bpf-preload: [^:]*: load prog count: EBADF (9): map .percpu: this kernel has no variables of each CPU' /tmp/err
	test ! -e $dir
	exit 0
fi

# What a variable is on each CPU, in their order.
values() { bpftool -j map dump pinned $dir/_percpu | grep -o "\"$1\":[0-9]*" | cut -d: -f2 | xargs; }

bpf-preload load /files/percpu.bpf.o --pin $dir
test "$(values first)" = "7 7"
test "$(values second)" = "40 40"
head -c 14 /dev/zero >/tmp/frame
for n in 1 2 3; do taskset 2 bpftool prog run pinned $dir/count data_in /tmp/frame; done
taskset 1 bpftool prog run pinned $dir/count data_in /tmp/frame
test "$(values first)" = "8 10"
test "$(values second)" = "42 46"
