# SPDX-License-Identifier: MIT OR Apache-2.0
mount_bpffs
mount_bpffs /tmp/bpf2
for dir in $bpffs /tmp/bpf2; do
	grep '^ *id name ' $dir/maps.debug
	grep '^ *id name ' $dir/progs.debug
done
