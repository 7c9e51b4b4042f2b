# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What a delegated bpffs is for: a container, of a user without any rights outside, loads,
# attaches (xdp, tcx, cgroup) and reads what its programs count. Without it all is refused.

. "${container_sh:-/files/container.sh}"
has_tokens || skip "a kernel with BPF tokens (since 6.9)"
object=$objects/1.bpf.o
cgroup=$work/cgroup/bpf_token_$$
mkdir "$work/cgroup"
mount -t cgroup2 none "$work/cgroup"
mkdir "$cgroup"
unmount_cgroup() { eventually 5 rmdir "$cgroup"; umount "$work/cgroup"; }
unmount=unmount_cgroup
start_container

# Nothing to do without.
refused "$object: create map seen_by_programs: EPERM (1): this process is in a user namespace of its own, and has no BPF token" \
	as_root $tool load "$object"
mount -t bpf bpf "$work/bpf"
$tool load "$object" --pin "$work/bpf/host"
fails as_root $attach "$work/bpf/host/see_at_xdp" 37 lo "$work/bpf/link"
umount "$work/bpf"

delegate --for "$object"
test "$(as_root cat /proc/self/uid_map | awk 'NR == 1 { print $1, $2 }')" = '0 65534'
as_root $tool load "$object" --token "$work/bpf" --pin "$work/bpf/pins"
as_root ip link set lo up
as_root $attach "$work/bpf/pins/see_at_xdp" 37 lo "$work/bpf/xdp"
as_root $attach "$work/bpf/pins/see_at_tcx" 46 lo "$work/bpf/tcx"
as_root $attach "$work/bpf/pins/see_at_cgroup" 1 "$cgroup" "$work/bpf/cgroup"
sh -c "echo \$\$ >$cgroup/cgroup.procs; exec nsenter -t $container -U -m -n -S 0 -G 0 ping -c 1 127.0.0.1"
for program in 1 2 3; do
	test "$(as_root $attach "$work/bpf/pins/seen_by_programs" $program)" -gt 0
done

# A user of the container who is not its root can do none of it.
refused "create token of $work/bpf: EPERM (1): this process has no CAP_BPF in its user namespace" \
	as_user $tool load "$object" --token "$work/bpf"
