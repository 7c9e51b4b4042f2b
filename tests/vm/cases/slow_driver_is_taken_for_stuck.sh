# SPDX-License-Identifier: MIT OR Apache-2.0
# A second in all, of the two that it has.

echo "exec /files/hostile slow" | use_driver
mount_bpffs
test -e $bpffs/progs.debug
test -z "$(log_lines)"
