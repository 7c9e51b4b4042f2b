# SPDX-License-Identifier: MIT OR Apache-2.0
# tests/bpf/kinds.bpf.S has every kind of BTF that some kernel does not know. What
# this one does not know is another type by the same id, all else is as in the object.

[ -e /sys/kernel/btf/vmlinux ]
mount_bpffs /tmp/bpffs
bpf-preload load /files/kinds.bpf.o --pin /tmp/bpffs/kinds
# since MAJOR MINOR: is this kernel so new?
since() { uname -r | awk -F. -v major="$1" -v minor="$2" '{ exit !($1 > major || $1 == major && $2 >= minor) }'; }

bpftool btf dump file /files/kinds.bpf.o >/tmp/object
cp /tmp/object /tmp/expected
# replace ID: the type with this id is stdin instead, with its members.
replace() {
	awk -v id="[$1]" -v new="$(cat)" '
		/^\[/ { gone = $1 == id; if (gone) print id " " new }
		!gone' /tmp/expected >/tmp/replaced
	mv /tmp/replaced /tmp/expected
}
int() { echo "INT '$1' size=1 bits_offset=0 nr_bits=8 encoding=(none)"; }
since 5 13 || echo "STRUCT '(anon)' size=8 vlen=0" | replace 2
since 5 16 || for id in 10 18; do int tag | replace $id; done
since 5 17 || echo "CONST '(anon)' type_id=1" | replace 3
if ! since 6 0; then
	printf '%s\n' "ENUM 'signed_enum' encoding=UNSIGNED size=4 vlen=1" "	'MINUS_ONE' val=4294967295" | replace 7
	printf '%s\n' "UNION 'large_enum' size=8 vlen=2" "	'LARGE' type_id=19 bits_offset=0" \
		"	'LARGER' type_id=19 bits_offset=0" | replace 8
	echo "[19] $(int enum64_placeholder)" >>/tmp/expected
fi
if ! since 6 15; then
	echo "CONST '(anon)' type_id=1" | replace 5
	int attribute | replace 12
fi
id=$(bpftool prog show pinned /tmp/bpffs/kinds/every_kind | sed -n 's/.*btf_id \([0-9]*\).*/\1/p')
bpftool btf dump id "$id" >/tmp/kernel
# All of the object's types are in use, so that they keep their ids in lowering, too.
diff /tmp/expected /tmp/kernel
bpftool map show pinned /tmp/bpffs/kinds/kinds_data | grep "btf_id $id"
bpftool prog dump xlated pinned /tmp/bpffs/kinds/every_kind | grep '; r0 = 0'
umount /tmp/bpffs
