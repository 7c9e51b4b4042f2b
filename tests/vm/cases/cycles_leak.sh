# SPDX-License-Identifier: MIT OR Apache-2.0
# `make soak` in short: after some warm-up, nothing is more than it was.

patient
/files/mounts cycle 20 /tmp/bpf
eventually 3 no_bpf_objects
/files/mounts counts >/tmp/before
/files/mounts cycle 200 /tmp/bpf
eventually 3 no_bpf_objects
/files/mounts counts >/tmp/after
diff /tmp/before /tmp/after
