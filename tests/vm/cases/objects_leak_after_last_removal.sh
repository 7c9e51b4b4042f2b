# SPDX-License-Identifier: MIT OR Apache-2.0
# While still mounted and with the module loaded.

mount_bpffs
test -n "$(bpf_objects)"
rm $bpffs/*.debug
eventually 3 no_bpf_objects
test -d /sys/module/$module
