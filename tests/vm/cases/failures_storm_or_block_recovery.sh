# SPDX-License-Identifier: MIT OR Apache-2.0
# After one failure there is a pause that nobody notices, after more a longer one.

driver() { echo "exec /files/hostile ${1:-}" | use_driver; }
populated() { [ -e $bpffs/progs.debug ]; }
try() { umount $bpffs || :; mount_bpffs; populated; }

driver exit-code
fails try
driver
eventually 1 try
umount $bpffs
eventually 3 no_bpf_objects

# Each line says so if mounts are going to be empty without one of their own.
warned() { try || :; log_lines | tail -n 1 | grep '; not tried again for [1-9][0-9]* s$'; }
driver exit-code
fails warned
eventually 1 warned
lines=$(log_lines | wc -l)
for n in 1 2 3 4 5 6 7 8 9; do fails try; done
test "$(log_lines | wc -l)" -le $((lines + 4))
driver
eventually 10 try
