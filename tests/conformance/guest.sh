# SPDX-License-Identifier: MIT OR Apache-2.0
#
# In the guest: what load.sh or requests.sh says of the objects, and nothing else on stdout.

mkdir -p /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
LIMIT_S=300 sh /files/peers/run.sh /files/peers /bin/bpf-preload /files/objects/*
