# SPDX-License-Identifier: MIT OR Apache-2.0
# Nor does one that hangs delay it past the deadline. Each says so once, and the
# next remount brings what the failed one did not.

remount() { mount -t bpf -o remount bpf $bpffs; }
one_link_less() { [ "$(bpftool link show | grep -c ': iter ')" = $((links - 1)) ]; }
remount_restores() { remount && [ -e $bpffs/links.debug ]; }

echo "exec /files/hostile" | use_driver
mount_bpffs
test -e $bpffs/links.debug
rm $bpffs/*
eventually 3 no_bpf_objects

for mode in exit-code hang-begin garbage; do
	echo "exec /files/hostile $mode" >/tmp/driver
	lines=$(log_lines | wc -l)
	within $deadline_s remount
	test -z "$(ls $bpffs)"
	eventually 2 no_processes
	test "$(log_lines | wc -l)" = $((lines + 1))
	log_lines | tail -n 1 | grep 'driver failed: '
	echo "exec /files/hostile" >/tmp/driver
	eventually 10 remount_restores
	rm $bpffs/*
	eventually 3 no_bpf_objects
done

# One file is missing, the set is not whole: what is there is not touched.
remount_restores
rm $bpffs/maps.debug
eventually 3 one_link_less
echo "exec /files/hostile exit-code" >/tmp/driver
remount
test ! -e $bpffs/maps.debug
test -e $bpffs/progs.debug
