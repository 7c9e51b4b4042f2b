# SPDX-License-Identifier: MIT OR Apache-2.0
# Before /proc, /sys and /dev are mounted. What PID 1 did is in .first.

test ! -e /bpf/hidden
grep '^ *id name ' /bpf/maps.debug
grep '^ *id name ' /bpf/progs.debug
dmesg >/tmp/log
fails grep "$module: .*driver" /tmp/log
