# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The host tool inside a container fills the bpffs that was delegated to it, with its token.

. "${container_sh:-/files/container.sh}"
has_tokens || skip "a kernel with BPF tokens (since 6.9)"
start_container

refused "mount a bpffs on $work/bpf: EPERM (1)" as_root $tool mount "$work/bpf"
delegate --delegate-cmds map_create:prog_load:btf_load --delegate-maps array \
	--delegate-progs tracing --delegate-attachs trace_fentry
refused "load prog dump_bpf_map: EPERM (1): token of $work/bpf allows attach types trace_fentry; \
program \"dump_bpf_map\" needs trace_iter (delegate_attachs)" as_root $tool mount "$work/bpf"
fails as_root test -e "$work/bpf/progs_debug"

delegate --delegate-cmds map_create:prog_load:btf_load --delegate-maps array \
	--delegate-progs tracing --delegate-attachs trace_iter
as_root $tool mount "$work/bpf"
for program in dump_bpf_map dump_bpf_prog dump_bpf_link; do
	as_root grep " $program " "$work/bpf/progs_debug"
done
as_root grep ' iterator.rodata ' "$work/bpf/maps_debug"
as_root grep ' iter ' "$work/bpf/links_debug"
# They are the container's root's, and go with the mount.
test "$(as_root stat -c '%u %a' "$work/bpf/progs_debug")" = '0 600'
