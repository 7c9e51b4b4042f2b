# SPDX-License-Identifier: MIT OR Apache-2.0
# 64 at once, each populated: as they come, and with a fresh set in each round.

patient
/files/mounts parallel 64 2 /tmp/many
/files/mounts parallel 64 2 /tmp/many unload
test -z "$(log_lines)"
