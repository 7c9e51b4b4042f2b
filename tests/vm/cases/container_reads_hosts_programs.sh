# SPDX-License-Identifier: MIT OR Apache-2.0
# A bpffs that a container's user namespace owns (since 6.9) is made by somebody
# privileged, and filled like any other. The files are root's, the one outside:
# the container sees their names and may remove them, but cannot read them.

mkdir -p /tmp/bpf
# Without help there is no bpffs in a user namespace, and the shim is not asked.
fails unshare -U -r -m mount -t bpf bpf /tmp/bpf
no_module

cat >/tmp/in_container <<'EOS'
set -eux
fails() { ! "$@" || exit 1; }
cd /tmp/bpf
test "$(id -u)" = 0
# It is the container's own, and it may do there what it likes.
mkdir dir
rmdir dir
for file in maps.debug progs.debug; do
	test "$(stat -c '%u %g %a' $file)" = '65534 65534 400'
	fails cat $file
	fails chmod 444 $file
	fails chown 0 $file
	fails bpftool link show pinned $file
	rm $file
done
EOS

case $(uname -r) in
5.10.*|6.1.*)
	status=0
	/files/delegate /tmp/bpf true || status=$?
	test $status = 3
	no_module
	exit 0
	;;
esac
/files/delegate /tmp/bpf sh /tmp/in_container
test -z "$(log_lines)"

# The host's root reads it.
/files/delegate /tmp/bpf sh -c 'echo $$ >&2; exec sleep 100' 2>/tmp/pid &
job=$!
listed() { grep '^ *id name ' /proc/"$(cat /tmp/pid)"/root/tmp/bpf/progs.debug; }
eventually 5 listed
kill "$(cat /tmp/pid)"
wait $job || :

# If whoever creates it acts as the container's user, the files would be that
# user's, readable in the container: there are none then.
eventually 3 no_bpf_objects
/files/delegate /tmp/bpf fsuid sh -c 'test -z "$(ls -A /tmp/bpf)"'
log_lines | grep 'no files: .*user 1000$'
test "$(log_lines | wc -l)" = 1
