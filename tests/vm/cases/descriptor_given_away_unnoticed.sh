# SPDX-License-Identifier: MIT OR Apache-2.0
# The module stays as long as somebody else has it, who is not to be killed for
# that, so at least it is said.

needs_module
/files/hostile keeper &
keeper=$!
# The system call, by which it sleeps once it is ready.
ready() { grep -q '^34 ' /proc/$keeper/syscall; }
eventually 5 ready
echo "exec /files/hostile gives-away" | use_driver
within $deadline_s mount_bpffs
test -z "$(ls -A $bpffs)"
log_lines | grep 'driver failed: gave a descriptor away$'
test "$(log_lines | wc -l)" = 1
umount $bpffs
fails rmmod $module
kill $keeper
eventually 3 rmmod $module
