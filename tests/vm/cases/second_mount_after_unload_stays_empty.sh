# SPDX-License-Identifier: MIT OR Apache-2.0
needs_module
for round in 1 2 3; do
	mount_bpffs
	grep '^ *id name ' $bpffs/progs.debug
	umount $bpffs
	eventually 3 no_bpf_objects
	rmmod $module
done
