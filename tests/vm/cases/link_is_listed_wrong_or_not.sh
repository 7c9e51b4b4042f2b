# SPDX-License-Identifier: MIT OR Apache-2.0
# A link of each type that this kernel has: each row is what the program that
# made it knows, and what a new bpftool says, by another way, of the same id:
# while all is attached, and after what can go has gone.

mkdir -p $bpffs
bpf-preload mount $bpffs
if ! has_link_iter; then
	test ! -e $bpffs/links_debug
	exit 0
fi

mkfifo /tmp/go
/files/links /files/links.bpf.o </tmp/go >/tmp/made 2>/tmp/words &
pid=$!
exec 3>/tmp/go

# rows STAGE: what the program has said since it was ready for the STAGEth time.
ready() { [ "$(grep -c '^ready$' /tmp/made)" = "$1" ] || ! kill -0 $pid || return 1; }
rows() { awk -v stage="$1" '$0 == "ready" { n++ } n == stage - 1 && /^[0-9]/' /tmp/made; }

# The listing with single spaces, without its heading and the links of the listings themselves.
listed() { sed 1d $bpffs/links_debug | tr -s ' ' | sed 's/^ //' | grep -v -e ' dump_bpf_[a-z]* bpf_[a-z]*$'; }
same_rows() { listed >/tmp/listed; rows "$1" | diff - /tmp/listed; }

# One link a line: {"id":4,"type":"tracing","prog_id":19,...
new_bpftool() { /files/bpftool/ld-linux-x86-64.so.2 --library-path /files/bpftool /files/bpftool/bpftool "$@"; }
links_of_bpftool() { new_bpftool -j link show | sed 's/^\[//; s/\]$//; s/},{"id"/}\n{"id"/g'; }

# has PATTERN: the link in $json has it. bpftool knows no names of its own for what its libbpf does not.
has() { echo "$json" | grep -q -e "$1" || fail "bpftool has no $1 for row '$row': $json"; }
as_bpftool_says() {
	links_of_bpftool >/tmp/json
	test "$(listed_ids $bpffs/links_debug)" = "$(sed 's/{"id":\([0-9]*\),.*/\1/' /tmp/json)"
	while read -r id type prog name attached; do
		row="$id $type $prog $name $attached"
		json=$(grep "^{\"id\":$id," /tmp/json)
		has "\"type\":\"$type\""
		[ "$prog" = - ] || has "\"prog_id\":$prog[,}]"
		case "$type $attached" in
		"tracing freplace "* | "tracing "*" id "*) has "\"target_obj_id\":${attached##* }[,}]" ;;
		esac
		case "$type $attached" in
		*detached) ;;
		"tracing freplace "*) ;;
		"tracing "* | cgroup* | netns* | tcx* | netkit*) has "\"attach_type\":\"${attached%% *}\"" ;;
		iter*) has "\"target_name\":\"${attached%% *}\"" ;;
		raw_tracepoint*) has "\"tp_name\":\"$attached\"" ;;
		esac
		case "$type $attached" in
		*detached) ;;
		cgroup*) has "\"cgroup_id\":${attached##* }[,}]" ;;
		netns*) has "\"netns_ino\":${attached##* }[,}]" ;;
		tcx* | netkit* | xdp*) has "\"ifindex\":${attached##* }[,}]" ;;
		"iter bpf_map_elem "* | sockmap* | struct_ops*) has "\"map_id\":${attached##* }[,}]" ;;
		"iter cgroup "*) has "\"cgroup_id\":${attached##* }[,}]" ;;
		"iter task pid "*) has "\"pid\":${attached##* }[,}]" ;;
		netfilter*) has "\"prio\":${attached##* }[,}]" ;;
		*_multi*) has "\"func_cnt\":${attached##* }[,}]" ;;
		esac
	done </tmp/listed
}

for stage in 1 2; do
	eventually 30 ready $stage
	cat /tmp/words
	kill -0 $pid
	test "$(rows $stage | wc -l)" -gt 18
	# A cgroup's and a namespace's links lose it some time after it is gone.
	eventually 10 same_rows $stage
	as_bpftool_says
	echo >&3
done
exec 3>&-
wait $pid

# The heading is above them; the words of the rows are compared above.
test "$(sed -n 1p $bpffs/links_debug)" = "    id type             prog name             attached"
umount /tmp/cgroup /tmp/tracing
