# SPDX-License-Identifier: MIT OR Apache-2.0
# tests/bpf/module.bpf.c needs what only nf_conntrack has: an attach target, kfuncs, a struct.
[ -e /files/modules/nf_conntrack.ko ] || skip "the kernel's modules are not in this guest"
for module in nf_defrag_ipv4 nf_defrag_ipv6 libcrc32c nf_conntrack; do
	[ ! -e /files/modules/$module.ko ] || insmod /files/modules/$module.ko
done
[ -e /sys/kernel/btf/nf_conntrack ] || skip "modules have no BTF"
one_cpu
mount_bpffs /tmp/bpffs
bpf-preload load /files/module.bpf.o --pin /tmp/bpffs/module
dump() { bpftool -B /sys/kernel/btf/vmlinux btf dump file /sys/kernel/btf/nf_conntrack; }
offset=$(dump | awk '/^\[/ { here = /STRUCT .ct_iter_state. / } here && /.bucket. / { sub(/.*=/, ""); print $0 / 8 }')
[ "$offset" -gt 0 ]
bpftool prog dump xlated pinned /tmp/bpffs/module/offset | grep "r0 = $offset\$"
bpftool prog dump xlated pinned /tmp/bpffs/module/kfuncs >/tmp/xlated
grep 'bpf_skb_ct_lookup' /tmp/xlated || grep -c 'call kernel-function' /tmp/xlated
id=$(bpftool btf show | sed -n 's/^\([0-9]*\): .*name \[nf_conntrack\].*/\1/p')
for prog in of_module of_any_module; do
	bpftool -j prog show pinned /tmp/bpffs/module/$prog
done
# It stays loaded as long as a program needs it.
fails rmmod nf_conntrack
umount /tmp/bpffs
# Without it the line says what is missing.
eventually 3 rmmod nf_conntrack
fails bpf-preload load /files/module.bpf.o >/tmp/out 2>&1
grep -E 'nf_ct_delete is not in kernel BTF|ksym bpf_[a-z_]*: not in kernel BTF' /tmp/out
