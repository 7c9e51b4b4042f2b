# SPDX-License-Identifier: MIT OR Apache-2.0
needs_module
rm "/lib/modules/$(uname -r)/$module.ko"
within 2 mount_bpffs
test -z "$(ls -A $bpffs)"
