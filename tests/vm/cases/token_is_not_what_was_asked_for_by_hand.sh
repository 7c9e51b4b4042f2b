# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Where a token comes from, and what is said where there is none: off, implicit, by path, by
# fd, by the environment; a path that is too long, of no bpffs, of a directory in one, of one
# that delegates nothing, of another user namespace, in the initial one; with and without
# CAP_BPF.

. "${container_sh:-/files/container.sh}"
object=$objects/13.bpf.o
load="$tool load $object"
long=/$(printf '%4095s' | tr ' ' x)

if ! has_tokens; then
	no="this kernel has no BPF tokens (since 6.9)"
	$load
	LIBBPF_BPF_TOKEN_PATH='' $load
	mount -t bpf bpf "$work/bpf"
	refused "create token of $work/bpf: EINVAL (22): $no" $load --token "$work/bpf"
	start_container
	refused "delegate BPF: $no" $tool mount "$work/bpf" --userns "$container" --delegate-cmds any
	umount "$work/bpf"
	exit 0
fi

start_container
delegate --for "$object"
token="create token of $work"
plain="$object: create map events: EPERM (1): this process is in a user namespace of its own, and has no BPF token"

# Which of them counts. Nothing at /sys/fs/bpf: what is implicit is silent.
refused "$plain" as_root $load
refused "$plain" as_root $load --token ''
refused "$plain" as_root $load --token-fd -1
as_root $load --token "$work/bpf"
as_root env LIBBPF_BPF_TOKEN_PATH="$work/bpf" $load
as_root env LIBBPF_BPF_TOKEN_PATH=/nowhere $load --token "$work/bpf"
refused "$plain" as_root env LIBBPF_BPF_TOKEN_PATH="$work/bpf" $load --token ''
refused "$plain" as_root env LIBBPF_BPF_TOKEN_PATH= $load
refused "LIBBPF_BPF_TOKEN_PATH: create token of /nowhere: ENOENT (2)" as_root env LIBBPF_BPF_TOKEN_PATH=/nowhere $load
$tool mount /sys/fs/bpf --userns "$container" --for "$object" >/dev/null
as_root $load
refused "$plain" as_root env LIBBPF_BPF_TOKEN_PATH= $load
refused "$plain" as_root $load --token ''
nsenter -t "$container" -m umount /sys/fs/bpf

# What is no token, and why.
refused "create token: ENAMETOOLONG (36): the path is too long" as_root $load --token "$long"
refused "LIBBPF_BPF_TOKEN_PATH: create token: ENAMETOOLONG (36): the path is too long" \
	as_root env LIBBPF_BPF_TOKEN_PATH="$long" $load
refused "create token of /tmp: EINVAL (22): not a bpffs" as_root $load --token /tmp
refused "$token/none: ENOENT (2)" as_root $load --token "$work/none"
refused "create token of $object: ENOTDIR (20)" as_root $load --token "$object"
as_root mkdir "$work/bpf/below"
refused "$token/bpf/below: EINVAL (22): not the root of a bpffs" as_root $load --token "$work/bpf/below"
refused "$token/bpf: EPERM (1): this process has no CAP_BPF in its user namespace" as_user $load --token "$work/bpf"
refused "$object: create map events: EPERM (1): this process has no CAP_BPF" as_user $load
refused "create token of /tmp: EINVAL (22): not a bpffs" as_user $load --token /tmp
refused "$token/bpf/below: EINVAL (22): not the root of a bpffs" as_user $load --token "$work/bpf/below"
as_root $with_token "$work/bpf" 0 $load --token-fd 9
refused "$object: load BTF: EPERM (1): the token of fd 9 allows it; this process has no CAP_BPF in its user namespace" \
	as_root $with_token "$work/bpf" 1 $load --token-fd 9
refused "use token of fd 0: not a BPF token" as_root $load --token-fd 0 </dev/null
refused "duplicate token of fd 99: EBADF (9)" as_root $load --token-fd 99

# In the initial user namespace, with and without CAP_BPF.
mkdir "$work/host"
mount -t bpf bpf "$work/host"
refused "$token/host: EOPNOTSUPP (95): there are none in the initial user namespace" $load --token "$work/host"
refused "$token/host: EPERM (1): this process has no CAP_BPF in its user namespace" \
	su -s /bin/sh nobody -c "$load --token $work/host"
$load
LIBBPF_BPF_TOKEN_PATH='' $load

# Another user namespace: the container's file system from here, and the machine's from there.
# It is mounted in both.
$tool mount "$work/host" --userns /proc/$container/ns/user --for "$object" >/dev/null
refused "$token/host: EPERM (1): this bpffs is not of this user namespace" $load --token "$work/host"
umount "$work/host"
nsenter -t "$container" -m mount -t bpf bpf "$work/host"
refused "$token/host: EPERM (1): this bpffs is not of this user namespace" as_root $load --token "$work/host"
refused "$token/host: EPERM (1): this process has no CAP_BPF in its user namespace" as_user $load --token "$work/host"
umount "$work/host"

# Its own, without delegation: no option, or the bits 0.
nsenter -t "$container" -m umount "$work/bpf"
delegate --delegate-cmds 0
refused "$token/bpf: ENOENT (2): this bpffs delegates nothing" as_root $load --token "$work/bpf"
refused "$token/bpf: EPERM (1): this process has no CAP_BPF in its user namespace" as_user $load --token "$work/bpf"
as_root $tool token show "$work/bpf" | grep -x 'delegates nothing'
own=/proc/self/ns/user
refused "enter user namespace of $own: it is this program's own" $tool mount "$work/bpf" --userns $own --delegate-cmds any
refused "delegate_maps: no word of the kernel: \"hashes\"" \
	$tool mount "$work/bpf" --userns "$container" --delegate-maps hash,hashes
