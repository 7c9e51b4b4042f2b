# SPDX-License-Identifier: MIT OR Apache-2.0
# The product itself: a mount is all it takes, and both files can be read.

mount_bpffs
for file in maps.debug progs.debug; do
	test "$(stat -c %a $bpffs/$file)" = 400
	head -n 1 $bpffs/$file | grep '^ *id name '
	test "$(wc -l <$bpffs/$file)" -ge 2
done
