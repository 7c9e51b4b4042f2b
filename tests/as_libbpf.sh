#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# as_libbpf.sh [OBJECT...] - loaded_object_looks_other_than_libbpfs: what bpftool shows of
# an object that bpf-preload has loaded is what it shows of one that libbpf (bpftool's) has.
#
# Of each program name, type, tag, sizes, whether there is BTF, its func_info and line_info
# (as the source between its instructions); of each map name, type, sizes, flags, and what
# the types of key and value are; of each link, of what can be attached by its name alone,
# all but its id. The tag is of the instructions as they were loaded, without fds of maps;
# what libbpf puts into an instruction that has no meaning for a kernel would be seen by it
# alone. Our BTF has no type that libbpf's has not; what nothing refers to (the license,
# inline functions that are nowhere) is left out of it on purpose, and parameters of kfuncs
# have no names, which libbpf makes up. Without OBJECTs those of tests/bpf and iterators/
# that this kernel lets in, and some of packages if `make conformance` has fetched them.

set -euo pipefail
[ -n "${own_mounts:-}" ] || own_mounts=1 exec unshare --mount "$0" "$@"
[ $# = 0 ] || mapfile -t objects < <(realpath "$@")
cd "$(dirname "$0")"
. vm/lib.sh
. vm/apt.sh
. vm/bpftool.sh

tool=$target/bpf-preload
[ -x "$tool" ] || die "no tool: run make tool"
# libbpf makes each dot of a pin's path `_`, also in the directories.
tmp=$(mktemp -d "${TMPDIR:-/tmp}/as_libbpf_XXXXXX")
bpffs=$tmp/bpffs
trap 'umount "$bpffs" 2>/dev/null || :; rm -rf "$tmp"' EXIT

# What bpftool shows of the programs in $1 and the maps in $2; the types of their BTF into $3.
show() {
	local pin name id part ids=
	for pin in "$1"/*; do
		[ -e "$pin" ] || continue
		"${bpftool[@]}" -j prog show pinned "$pin" >"$tmp/prog" 2>/dev/null && jq -e .tag "$tmp/prog" >/dev/null || continue
		jq -cS '{name, type, tag, gpl_compatible, bytes_xlated, bytes_jited, maps: (.map_ids | length), btf: (.btf_id != null), uid}' "$tmp/prog"
		# Its functions and the lines of its source, that is func_info and line_info.
		"${bpftool[@]}" prog dump xlated pinned "$pin" linum 2>&1 | sed -E '/^ +[0-9]+: \(/d' || :
		ids="$ids $(jq -r '.btf_id // empty' "$tmp/prog")"
	done
	for pin in "$2"/*; do
		[ -e "$pin" ] || continue
		"${bpftool[@]}" -j map show pinned "$pin" >"$tmp/map" 2>/dev/null && jq -e .bytes_key "$tmp/map" >/dev/null 2>&1 || continue
		# BTF of a map without types is none.
		jq -cS '{name, type, flags, bytes_key, bytes_value, max_entries, frozen, btf: (.btf_id != null)}' "$tmp/map"
		ids="$ids $(jq -r '.btf_id // empty' "$tmp/map")"
		# What they are, without the numbers, and in C what is in them.
		for part in key value; do
			"${bpftool[@]}" btf dump map pinned "$pin" "$part" 2>/dev/null |
				sed -E 's/^\[[0-9]+\] //;s/type_id=[0-9]+ ?//g;s/^/'"$part"' /' || :
			"${bpftool[@]}" btf dump map pinned "$pin" "$part" format c 2>/dev/null || :
		done
	done
	: >"$3"
	for id in $(tr ' ' '\n' <<<"$ids" | sort -un); do
		"${bpftool[@]}" -j btf dump id "$id" | jq -cS '.types[] | del(.id, .type_id, .ret_type_id, .index_type_id)
			| if .members then .members |= map(.name) else . end | del(.params)
			| if .vars then {kind, name, vlen} else . end' >>"$3"
	done
	sort -o "$3" "$3"
}

# What bpftool shows of the links in $1, with the name of the program in the place of its id.
# Where struct_ops are called is its own affair: bpftool attaches none.
links() {
	local pin prog
	for pin in "$1"/*; do
		# Its exit status may be that of a failure though it shows the link.
		"${bpftool[@]}" -j link show pinned "$pin" >"$tmp/link" 2>/dev/null || :
		jq -e 'has("type") and .type != "struct_ops"' "$tmp/link" >/dev/null 2>&1 || continue
		prog=$("${bpftool[@]}" -j prog show id "$(jq .prog_id "$tmp/link")" | jq -r .name)
		jq -cS --arg prog "$prog" 'del(.id, .pids, .pinned) | .prog_id = $prog' "$tmp/link"
	done | sort
}

compared=0 differ=0 attached=0
compare() {
	local object=$1 name=${1##*/}
	mkdir -p "$bpffs"
	mount -t bpf bpf "$bpffs"
	mkdir "$bpffs/theirs" "$bpffs/maps"
	if "${bpftool[@]}" prog loadall "$object" "$bpffs/theirs" pinmaps "$bpffs/maps" >"$tmp/said" 2>&1; then
		show "$bpffs/theirs" "$bpffs/maps" "$tmp/theirs.btf" >"$tmp/theirs"
		if "$tool" load "$object" --pin "$bpffs/ours" >"$tmp/said" 2>&1; then
			show "$bpffs/ours" "$bpffs/ours" "$tmp/ours.btf" >"$tmp/ours"
			comm -23 "$tmp/ours.btf" "$tmp/theirs.btf" >>"$tmp/ours"
			rm -rf "$bpffs"/{theirs,maps,ours}
			if "${bpftool[@]}" prog loadall "$object" "$bpffs/theirs" autoattach >"$tmp/said" 2>&1; then
				links "$bpffs/theirs" >"$tmp/links"
				cat "$tmp/links" >>"$tmp/theirs"
				attached=$((attached + $(wc -l <"$tmp/links")))
				# Ours names the first thing that cannot be attached; theirs leaves it out, too.
				"$tool" load "$object" --attach --pin "$bpffs/ours" >"$tmp/said" 2>&1 || cat "$tmp/said" >>"$tmp/ours"
				links "$bpffs/ours" >>"$tmp/ours"
			fi
			compared=$((compared + 1))
			diff -u "$tmp/theirs" "$tmp/ours" >"$tmp/diff" || {
				echo "not ok $name"
				head -n 30 "$tmp/diff"
				differ=$((differ + 1))
			}
		else
			echo "not ok $name: $(head -n 1 "$tmp/said")"
			differ=$((differ + 1))
		fi
	fi
	umount "$bpffs"
}

if [ $# = 0 ]; then
	for object in bpf/*.bpf.c ../iterators/*.bpf.c; do
		"${CLANG:-clang}" -target bpf -mcpu=v3 -O2 -g -I"/usr/include/$(gcc -print-multiarch)" \
			-c -o "$tmp/$(basename "$object" .c).o" "$object"
	done
	mapfile -t objects < <(find "$target/conformance/packages" -maxdepth 1 -name '*.bpf.o' 2>/dev/null | sort | awk 'NR % 16 == 0')
	objects+=("$tmp"/*.bpf.o)
	at_least=3
fi
for object in "${objects[@]}"; do
	if [ -s "$object" ]; then compare "$object"; fi
done
echo "$compared objects compared, $differ differ, $attached links"
# The iterators have links on any kernel.
[ "$differ" = 0 ] && [ "$compared" -ge "${at_least:-1}" ] && [ "$attached" -ge "$((${at_least:-0} / 2))" ]
