# SPDX-License-Identifier: MIT OR Apache-2.0
#
# In the guest: what load.sh or requests.sh says of the objects, and nothing else on stdout.
# Half of them on each of its processors; a line is one write.

mkdir -p /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
export LIMIT_S=600
objects=/files/objects
half=$(($(ls $objects | wc -l) / 2))
# No name has a space in it.
sh /files/peers/run.sh /files/peers /bin/bpf-preload $(ls -d $objects/* | head -n $half) &
sh /files/peers/run.sh /files/peers /bin/bpf-preload $(ls -d $objects/* | tail -n +$((half + 1)))
wait
