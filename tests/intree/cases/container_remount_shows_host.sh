# SPDX-License-Identifier: MIT OR Apache-2.0
# A bpffs that a container's user namespace owns: its root may remount it, but
# that creates nothing, or it would own files that list the host's BPF. Nor does
# it run the driver or write to the log. The host's root restores them.

patient
mkdir -p /tmp/bpf
told=$(mktemp)
/files/delegate /tmp/bpf sh -c 'echo $$ >&2; exec sleep 100' 2>"$told" &
job=$!
eventually 5 test -s "$told"
pid=$(cat "$told")
trap 'kill $pid 2>/dev/null' EXIT
in_container() { nsenter -t "$pid" -U -m "$@"; }
of_host() { nsenter -t "$pid" -m "$@"; }
there=/proc/$pid/root/tmp/bpf
complete() { [ "$(ls "$there" | paste -sd' ' -)" = "links.debug maps.debug progs.debug" ]; }

eventually 5 complete
of_host rm /tmp/bpf/maps.debug
in_container mount -t bpf -o remount bpf /tmp/bpf
in_container /files/reconfigure /tmp/bpf
test ! -e "$there/maps.debug"
of_host rm /tmp/bpf/progs.debug /tmp/bpf/links.debug
eventually 3 no_bpf_objects
in_container mount -t bpf -o remount bpf /tmp/bpf
no_bpf_objects
test -z "$(log_lines)"

of_host /files/reconfigure /tmp/bpf
complete
test "$(stat -c '%u %a' "$there/progs.debug")" = "0 400"
fails in_container cat /tmp/bpf/progs.debug
of_host cat /tmp/bpf/progs.debug
kill "$pid"
wait $job || :
trap - EXIT
