# SPDX-License-Identifier: MIT OR Apache-2.0
#
# requests.sh PEERS TOOL OBJECT... - what libbpf (the oracle in PEERS) and the host tool ask
# of this kernel for each object (requests.c), side by side. Prints "NAME PROGS MAPS HOW" and
# the first difference: PROGS and MAPS is what both asked for; HOW is `same`, `differs`, or
# `refused` if both refuse the object and what both asked for is the same. On this machine,
# or by /bin/sh in a guest.

peers=$1 tool=$2
shift 2
asked=$(mktemp -d)

# Where declared maps are pinned, nothing is, and nothing stays.
ask() {
	into=$asked/$1
	shift
	mkdir "$into"
	unshare --mount sh -c 'mount -t bpf bpf /sys/fs/bpf && exec "$@"' sh \
		"$peers/requests" "$into" "$asked/types" "$@" >/dev/null 2>"$into.log"
}

for object; do
	name=${object##*/}
	rm -rf "$asked"/*
	# Instructions with ids of the object's types, between line ends.
	"$tool" relo "$object" 2>/dev/null | awk '
		BEGIN { print "" }
		/^[^ ].*:$/ { prog = substr($0, 1, length($0) - 1) }
		$1 == "insn" && $3 == "<local_type_id>" { print prog, $2 + 0 }' >"$asked/types"
	theirs=0 ours=0
	ask theirs "$peers/oracle" load "$object" || theirs=$?
	ask ours "$tool" load "$object" || ours=$?
	# One may have asked for less before it refused: libbpf fills a map when it has made it,
	# the tool when it has made all.
	skip='$'
	[ "$theirs" = 0 ] || {
		skip='Only in '
		find "$asked/theirs" "$asked/ours" -name 'map.*' -exec sed -i -e '/^update /d' -e '/^freeze$/d' {} +
	}
	difference=$(diff -r "$asked/theirs" "$asked/ours" | grep -v "^$skip" | head -n 5 | tr '\n' ' ')
	[ "$theirs" = "$ours" ] || difference="libbpf $theirs, ours $ours: $(tail -n 1 "$asked/ours.log")"
	both=$(cd "$asked/theirs" && for made in *; do [ ! -e "../ours/$made" ] || echo "$made"; done)
	how=same
	[ "$theirs" = 0 ] || how=refused
	[ -z "$difference" ] || how=differs
	echo "${name%.bpf.o} $(echo "$both" | grep -c '^prog\.') $(echo "$both" | grep -c '^map\.') $how $(echo "$difference" | cut -c 1-300)"
done
rm -rf "$asked"
