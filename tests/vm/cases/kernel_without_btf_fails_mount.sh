# SPDX-License-Identifier: MIT OR Apache-2.0
# There is no stock kernel without BTF. So in this module a letter is changed in
# the names of the file, the shim's and the driver's: as if it did not exist. By
# id a driver of two capabilities may not ask for it, on any kernel.

needs_module
test "$(grep -c 'kernel/btf/nothing' /files/without_btf.ko)" -ge 1
fails grep 'kernel/btf/vmlinux' /files/without_btf.ko
cp /files/without_btf.ko "/lib/modules/$(uname -r)/$module.ko"
within 2 mount_bpffs
test -z "$(ls -A $bpffs)"
log_lines | grep 'driver failed: exit status 1: .*BTF'
test "$(log_lines | wc -l)" = 1
