# SPDX-License-Identifier: MIT OR Apache-2.0
# Whoever may read the root can block in it for ever, and keep it locked. That
# holds up neither a remount of it, which only leaves it as it is, nor anything
# else; and the next remount makes up for it.

# background COMMAND...: its process is $pid.
background() { "$@" & pid=$!; }
gone() { [ ! -d /proc/$1 ]; }

patient
mount_bpffs
rm $bpffs/maps.debug
rm -f /tmp/held
/files/hold $bpffs /tmp/held &
holder=$!
trap 'kill $holder 2>/dev/null' EXIT
eventually 5 test -e /tmp/held

background mount -t bpf -o remount bpf $bpffs
remount=$pid
background mount_bpffs /tmp/bpf2
eventually 20 gone $pid
test -e /tmp/bpf2/links.debug
background sync
eventually 20 gone $pid
eventually 20 gone $remount
wait $remount
log_lines | grep 'remount restores nothing: the directory is locked$'
test "$(log_lines | wc -l)" = 1

# It was locked until now.
kill -0 $holder
kill $holder
wait $holder || :
trap - EXIT
test ! -e $bpffs/maps.debug
mount -t bpf -o remount bpf $bpffs
test -e $bpffs/maps.debug
