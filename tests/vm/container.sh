# SPDX-License-Identifier: MIT OR Apache-2.0
#
# For the cases about BPF tokens: a container, sourced by each. Its root and its user 1 are
# users 65534 and 100001 outside; it has its own user, mount and network namespace.

tool=${tool:-bpf-preload}
objects=${objects:-/files/objects}
attach=${attach:-/files/attach}
with_token=${with_token:-/files/with_token}
container=
work=$(mktemp -d /tmp/token_XXXXXX)
chmod 755 "$work"
mkdir "$work/bpf"
# Guests are slow: there each bit of these two, and no module asked for at each mount.
if [ -d /files ]; then
	bits_of=' 1 22 ' refused_min=18
	rm -f "/lib/modules/$(uname -r)/$module.ko"
fi

# Since 6.9.
has_tokens() { grep -q ' bpf_token_create$' /proc/kallsyms; }

start_container() {
	su -s /bin/sh nobody -c 'exec unshare -U -m -n sleep 1000' &
	container=$!
	eventually 5 own_namespace
	printf '0 65534 1\n1 100001 1\n' >/proc/$container/uid_map
	printf '0 65534 1\n1 100001 1\n' >/proc/$container/gid_map
}
own_namespace() { [ "$(readlink /proc/$container/ns/net)" != "$(readlink /proc/self/ns/net)" ]; }
stop_container() {
	[ -z "$container" ] || { kill "$container"; wait "$container" || :; }
	${unmount:-:}
	rm -rf "$work"
}
trap stop_container EXIT

# Runs a command as its root; as_user as one of its users, without capabilities.
as_root() { nsenter -t "$container" -U -m -n -S 0 -G 0 "$@"; }
as_user() { nsenter -t "$container" -U -m -n -S 1 -G 1 "$@"; }

# Mounts a bpffs for it at $work/bpf, in place of the one before.
delegate() {
	! grep -q " $work/bpf bpf " /proc/$container/mounts || nsenter -t "$container" -m umount "$work/bpf"
	$tool mount "$work/bpf" --userns "$container" "$@" >/dev/null
}

# refused LINE COMMAND...: fails, and LINE is all that it says, besides what -x traces.
refused() {
	line=$1
	shift
	! "$@" >"$work/said" 2>&1 || fail "succeeds: $*"
	said=$(grep -v '^+' "$work/said")
	[ "$said" = "bpf-preload: $line" ] || fail "says: $said, not: $line"
}
