# SPDX-License-Identifier: MIT OR Apache-2.0
rm "/lib/modules/$(uname -r)/$module.ko"
within 2 mount_bpffs
test -z "$(ls -A $bpffs)"
