# SPDX-License-Identifier: MIT OR Apache-2.0
# `bpf-preload probe` says of this kernel what the newest bpftool says, each no with its
# reason: with all capabilities, as a user, in a container with a token.
. /files/container.sh

if [ -e /files/probe/config ]; then
	mkdir -p /boot
	cp /files/probe/config "/boot/config-$(uname -r)"
fi
OURS=$work/root sh /files/probe/as_bpftool bpf-preload \
	/files/bpftool/ld-linux-x86-64.so.2 --library-path /files/bpftool /files/bpftool/bpftool
# Nothing that the kernel refuses here, with all capabilities, is without a reason.
fails grep -E ': no \([A-Z]+ \([0-9]+\)\)$' $work/root
# What is in this kernel's BTF is not said to be younger, and the other way round.
bpftool btf dump file /sys/kernel/btf/vmlinux >$work/btf
while read -r kind type since; do
	name=BPF_$(echo "${kind%ram}_type_$type" | tr a-z A-Z)
	if grep -q "'$name'" $work/btf; then
		fails grep "^$kind type $type: no (this kernel has none" $work/root
	else
		grep -F "$kind type $type: no (this kernel has none (since $since))" $work/root
	fi
done <<END
map task_storage 5.11
map bloom_filter 5.16
map user_ringbuf 6.1
map cgrp_storage 6.2
map arena 6.9
map insn_array 6.19
program syscall 5.14
program netfilter 6.4
END

su -s /bin/sh nobody -c 'bpf-preload probe' >$work/user
grep 'CAP_BPF: no (this process has it not)' $work/user
grep 'program type kprobe: no (EPERM (1): this process has no CAP_BPF)' $work/user
grep 'helpers of kprobe: not asked for (no program of the type can be loaded)' $work/user
# What needs no right is told all the same.
for line in 'command ' 'iterator ' 'attach to '; do
	test "$(grep "^$line" $work/user)" = "$(grep "^$line" $work/root)"
done

has_tokens || exit 0
start_container
delegate --delegate-cmds map_create:prog_load:btf_load --delegate-maps array:ringbuf \
	--delegate-progs xdp --delegate-attachs cgroup_inet_ingress
as_root $tool probe --token $work/bpf >$work/token
grep "^token: token of $work/bpf: delegate_cmds=map_create:prog_load:btf_load,delegate_maps=" $work/token
grep '^program type xdp: yes' $work/token
grep '^map type ringbuf: yes' $work/token
grep "map type hash: no (EPERM (1): token of $work/bpf allows map types array,ringbuf; map \"probe\" needs hash (delegate_maps))" $work/token
grep "program type kprobe: no (EPERM (1): token of $work/bpf allows program types xdp; program \"probe\" needs kprobe (delegate_progs))" $work/token
grep '^helpers of xdp: bpf_map_lookup_elem ' $work/token
