# SPDX-License-Identifier: MIT OR Apache-2.0
#
# `bpf-preload tcx` by its command line, in a network and a mount namespace that
# are ours: sourced by tests/tcx.sh on this machine, and by a case in guests.
# $tool and $object (tests/bpf/tcx.bpf.c) are paths; new_bpftool runs a bpftool
# that knows tcx. After each step `tcx show` must say what that says.

long=tc4_with_a_name_of_more_than_15_bytes
dir=$(mktemp -d)
mount -t bpf bpf "$dir"
ip link set lo up
t() { "$tool" tcx "$@"; }

# refuses WORDS COMMAND...: it fails with one line, which has these words in it.
refuses() {
	local words=$1
	shift
	if "$@" >"$dir.out" 2>"$dir.err"; then fail "succeeds: $*"; fi
	# Without what sh -x says.
	sed -i '/^+/d' "$dir.err"
	[ "$(wc -l <"$dir.err")" = 1 ] && grep -qF -- "$words" "$dir.err" ||
		fail "$* says $(cat "$dir.err"), not $words"
	[ ! -s "$dir.out" ] || fail "$* says $(cat "$dir.out")"
}

# What the query says, by way of both tools, line by line.
agree() {
	t show | awk '
		/^[^ ]/ { hook = $1 "(" $3 ")"; direction = $4; qdisc = ""; next }
		$1 == "qdisc" { qdisc = $2 }
		$1 == "prog" { print hook, "tcx/" direction, $3, $2, $4 == "link" ? $5 : "-" }
		$1 == "filter" && $2 == "bpf" { print hook, qdisc "/" direction, $11, $10, "-" }' >"$dir.ours"
	new_bpftool net show | awk '
		/^[^ ]*\([0-9]*\) / {
			name = $3; sub(/:\[.*/, "", name)
			for (i = 4; i < NF; i += 2) word[$i] = $(i + 1)
			print $1, $2, name, word["prog_id"] word["id"], word["link_id"] ? word["link_id"] : "-"
			delete word
		}' >"$dir.theirs"
	diff "$dir.ours" "$dir.theirs" || fail "tcx show and bpftool do not agree"
}

# order DIRECTION NAME...: of lo.
order() {
	local direction=$1
	shift
	t verify lo "$direction" "$@" >/dev/null
	agree
}
revision() { t show lo | sed -n "s/^lo ifindex 1 $1 revision //p"; }
id_of() { t show lo | awk -v name="$1" -v field="$2" '$3 == name { print $field; exit }'; }

agree
[ -z "$(t show)" ]
t attach lo ingress "$object" tc1 --pin "$dir/one"
order ingress tc1
t attach lo ingress "$object" $long --before tc1 --pin "$dir/two" >/dev/null
order ingress $long tc1
t attach lo ingress "$object" tc2 --no-link --after "link:$(id_of $long 5)" --revision 3 >/dev/null
order ingress $long tc2 tc1
t attach lo ingress "$object" tc3 --no-link --before "$(id_of $long 2)" >/dev/null
t attach lo ingress "$object" tc5 --no-link --after "$dir/one" >/dev/null
t attach lo ingress "$object" tc7 --no-link --first >/dev/null
order ingress tc7 tc3 $long tc2 tc1 tc5
t verify lo ingress tc7 tc3 "$dir/two" tc2 "link:$(id_of tc1 5)" "$(id_of tc5 2)" --revision 7 >/dev/null
t show lo | grep "prog $(id_of $long 2) $long link $(id_of $long 5) pinned $dir/two"
order egress

# What is not as wished, or not to be done, is said and not done.
refuses "revision is 7, you expected 6" t verify lo ingress tc7 tc3 "$dir/two" tc2 tc1 tc5 --revision 6
refuses "lo egress is empty, not prog tc1" t verify lo egress tc1
refuses ", not empty" t verify lo ingress
fails t verify lo ingress tc3 tc7 $long tc2 tc1 tc5
fails t verify lo ingress tc7 tc3 $long tc2 tc1
fails t verify lo ingress tc7 tc3 $long tc2 tc1 tc5 tc5
refuses "attach prog tc2 to lo ingress: ESTALE (116): revision is now 7, you expected 6" \
	t attach lo ingress "$object" tc2 --no-link --revision 6
refuses "which program? there are tc1, tc2, tc3, $long, tc5, tc7" t attach lo ingress "$object"
refuses "prog tc6: its section is not one for tcx ingress" t attach lo ingress "$object" tc6
refuses "prog no_classifier: its section is not one for tcx ingress" t attach lo ingress "$object" no_classifier
refuses "no program tc9 in it" t attach lo ingress "$object" tc9
refuses "no such device in this network namespace" t attach lo9 ingress "$object" tc1
refuses "prog tc8 is not attached there" t attach lo ingress "$object" tc1 --before tc8
refuses "ENOENT (2)" t attach lo ingress "$object" tc1 --before "$dir/none"
refuses "not in a bpffs" t attach lo ingress "$object" tc1 --pin "$dir.none"
refuses "pin link at $dir/one: EEXIST (17)" t attach lo ingress "$object" tc1 --pin "$dir/one"
refuses "link $(id_of tc1 5) holds prog tc1: name it, as link:$(id_of tc1 5)" t detach lo ingress tc1
refuses "link $(id_of tc1 5) holds prog tc1" t replace lo ingress tc1 "$object" tc3
refuses "link $(id_of tc1 5) holds prog $(id_of tc1 2)" t replace lo ingress "$(id_of tc1 2)" "$object" tc3
refuses "--revision is for what no link holds" t detach lo ingress "$dir/one" --revision 7
refuses "ESTALE (116)" t detach lo ingress tc2 --revision 6
refuses "prog tc2 is not attached there" t detach lo egress tc2
# A link that was not told of went again, and counted twice: the failed pin.
[ "$(revision ingress)" = 9 ]
order ingress tc7 tc3 $long tc2 tc1 tc5
# Two of a name.
t attach lo ingress "$object" tc2 --no-link >/dev/null
refuses "tc2 is the name of several that are attached there: name an id" t detach lo ingress tc2
t detach lo ingress "$(t show lo | awk '$3 == "tc2" { id = $2 } END { print id }')" --revision 10 >/dev/null

# In its place: another program, the same link.
link=$(id_of tc1 5)
t replace lo ingress "link:$link" "$object" tc1 >/dev/null
t replace lo ingress "$dir/one" "$object" tc3 >/dev/null
[ "$(t show lo | grep "link $link " | grep -c " tc3 ")" = 1 ]
t replace lo ingress tc2 "$object" tc1 --revision 13 >/dev/null
order ingress tc7 tc3 $long tc1 "$dir/one" tc5
t detach lo ingress tc1 --revision 14 >/dev/null
t detach lo ingress "$dir/one" >/dev/null
[ ! -e "$dir/one" ]
order ingress tc7 tc3 $long tc5

# Held by the command, until a signal.
"$tool" tcx attach lo egress "$object" tc6 >"$dir.held" &
pid=$!
eventually 20 grep -q 'held until a signal' "$dir.held"
order egress tc6
kill $pid
wait $pid
order egress
# A reader that goes away is told of nothing: then nothing stays.
refuses "write standard output" sh -c '"$0" tcx attach lo egress "$1" tc6 >/dev/full' "$tool" "$object"
refuses "write standard output" sh -c '"$0" tcx attach lo egress "$1" tc6 --no-link >/dev/full' "$tool" "$object"
refuses "write standard output" sh -c '"$0" tcx attach lo egress "$1" tc6 --pin "$2" >/dev/full' "$tool" "$object" "$dir/three"
[ ! -e "$dir/three" ]
order egress

# Classic tc behind it, and other devices.
"$tool" load "$object" --pin "$dir/all" >/dev/null
tc qdisc add dev lo clsact
tc filter add dev lo ingress pref 7 bpf direct-action object-pinned "$dir/all/$long"
tc filter add dev lo ingress pref 5 bpf direct-action object-pinned "$dir/all/tc2"
tc filter add dev lo egress bpf direct-action object-pinned "$dir/all/tc8"
ip link add ve0 type veth peer name ve1
t attach ve1 egress "$object" tc8 --pin "$dir/four" >/dev/null
t attach ve0 egress "$object" tc6 --no-link >/dev/null
agree
[ "$(wc -l <"$dir.theirs")" = 9 ]
t show lo | grep "filter bpf pref 7 chain 0 handle 0x1 prog [0-9]* $long direct-action"
t show | grep "^ve1 ifindex [0-9]* egress revision 2"
"$tool" -j tcx show | grep '"qdisc":"clsact","filters":\[{"kind":"bpf","pref":5,"handle":1,"chain":0,"prog_id":[0-9]*,"name":"tc2","direct_action":true}'
# With the device goes what is attached; the pin stays, and says nothing wrong.
ip link del ve0
agree
refuses "no such device" t show ve1
t show lo | grep -q "pinned $dir/two"
tc qdisc del dev lo clsact
for program in tc7 tc3 tc5 "$dir/two"; do
	t detach lo ingress "$program" >/dev/null
done
order ingress
[ -z "$(t show)" ]
umount "$dir"
rm -r "$dir" "$dir".*
