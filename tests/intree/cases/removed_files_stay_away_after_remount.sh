# SPDX-License-Identifier: MIT OR Apache-2.0
# By mount(2) and by fsconfig(2), one file and all of them, the set still loaded
# and gone: they are there again, and those that were there are the same.

remount_by_mount() { mount -t bpf -o remount bpf $bpffs; }
remount_by_fsconfig() { /files/reconfigure $bpffs; }
# Of all files but one.
inodes() { (cd $bpffs && stat -c '%n %i' *.debug) | grep -v "^${1:-none} "; }
all="links.debug maps.debug progs.debug"
complete() { [ "$(ls $bpffs | paste -sd' ' -)" = "$all" ]; }

patient
mount_bpffs
for remount in remount_by_mount remount_by_fsconfig; do
	before=$(inodes)
	$remount
	test "$(inodes)" = "$before"

	for file in $all; do
		rm $bpffs/$file
		kept=$(inodes)
		$remount
		complete
		test "$(inodes $file)" = "$kept"
		head -n 1 $bpffs/$file | grep '^ *id'
		test "$(stat -c %a $bpffs/$file)" = 400
	done

	rm $bpffs/*
	eventually 3 no_bpf_objects
	$remount
	complete
	cat $bpffs/*.debug
done
# What was created again unloads like what was there first.
rm $bpffs/*
eventually 3 no_bpf_objects
