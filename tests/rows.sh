#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# row_differs_from_bpftool: a map and a program of every type that this
# machine's kernel lets us have, and odd ones (tests/bpf/zoo.c), each row
# compared cell by cell with what bpftool says. A column that is not checked
# here is a failure, too.

set -euo pipefail
cd "$(dirname "$0")"

if [ -z "${ROWS_TMP:-}" ]; then
	ROWS_TMP=$(mktemp -d)
	export ROWS_TMP
	trap 'rm -rf "$ROWS_TMP"' EXIT
	# The mounts vanish with their namespace.
	unshare --mount "./$(basename "$0")"
	exit
fi

driver=$PWD/../target/bpf_preload_umd
[ -x "$driver" ] || { echo "rows.sh: no blob: run make blob" >&2; exit 1; }
TMPDIR=$ROWS_TMP
export driver TMPDIR
. vm/ktap.sh
usleep() { sleep 0.1; }	# busybox has it
cd "$TMPDIR"

"$OLDPWD/bpf/compile" zoo ./zoo
by_hand_start
mkdir bpf
mount -t bpf bpf bpf
bpftool link pin id "$(record_id 0)" bpf/maps
bpftool link pin id "$(record_id 1)" bpf/progs
by_hand_end
mkfifo hold
./zoo <hold >ready 2>refused &
exec 5>hold
eventually 10 grep -q ready ready

# Once more until both ways saw the same objects: others may come and go.
look() {
	bpftool -j map show >maps.json
	bpftool -j prog show >progs.json
	cat bpf/maps >maps
	cat bpf/progs >progs
	[ "$(listed_ids maps)" = "$(jq '.[].id' maps.json)" ] &&
		[ "$(listed_ids progs)" = "$(jq '.[].id' progs.json)" ]
}
eventually 10 look
exec 5>&-

# Types that this bpftool has no name for are numbers: the kernel's own names.
enumerators() {
	bpftool btf dump file /sys/kernel/btf/vmlinux | awk -v enum="'$1'" -v prefix="$2" '
		/^\[/ { found = $3 == enum }
		found && $1 ~ "^\047" prefix {
			gsub("\047", "", $1); sub(prefix, "", $1); sub("val=", "", $2)
			print $2 "\t" tolower($1)
		}'
}
enumerators bpf_map_type BPF_MAP_TYPE_ >map_types
enumerators bpf_prog_type BPF_PROG_TYPE_ >prog_types

# expected LISTING: id, column, value; a value that may be off by N is VALUE~N.
btime=$(awk '$1 == "btime" { print $2 }' /proc/stat)
expected() {
	case $1 in
	maps)
		jq -r '.[] | . as $o | {
			name: (.name // "-"), type, max_entries, key_size: .bytes_key, value_size: .bytes_value
		} | to_entries[] | [$o.id, .key, .value] | @tsv' maps.json
		;;
	progs)
		jq -r --argjson btime "$btime" '.[] | . as $o | {
			name: (.name // "-"), type, xlated: .bytes_xlated, uid,
			loaded: "\(.loaded_at - $btime)~2"
		} | to_entries[] | [$o.id, .key, .value] | @tsv' progs.json
		;;
	esac
}

failed=0
for listing in maps progs; do
	expected $listing | awk -F'\t' -v listing=$listing -v types=${listing%s}_types '
	function differs(seen, want,   parts) {
		if (split(want, parts, "~") == 2)
			return seen - parts[1] > parts[2] || parts[1] - seen > parts[2]
		return seen "" != want ""
	}
	FILENAME == types { type_name[$1] = $2; next }
	FILENAME == "-" {
		if ($2 == "type" && $3 ~ /^[0-9]+$/) $3 = type_name[$3]
		want[$1, $2] = $3
		next
	}
	FNR == 1 { n = split($0, column, " "); next }
	{
		cells = split($0, cell, " ")
		if (cells != n) { print listing ": " cells " cells instead of " n ": " $0; bad = 1 }
		for (i = 2; i <= n; i++) {
			# Said by nobody else: seen to below.
			if (column[i] == "cur_entries" || column[i] == "attached" || column[i] == "target") {
				said[column[i]] = said[column[i]] " " cell[2] "=" cell[i]
				continue
			}
			if (!((cell[1], column[i]) in want)) { print listing ": column " column[i] " is not checked"; bad = 1 }
			else if (differs(cell[i], want[cell[1], column[i]])) {
				print listing ": " column[i] " of " cell[1] " is " cell[i] ", bpftool says " want[cell[1], column[i]]
				bad = 1
			}
			compared++
		}
	}
	END {
		print listing ": " compared " cells compared"
		if (listing == "maps") {
			if (said["cur_entries"] !~ / zoo.full=70000/ || said["cur_entries"] !~ / zoo.lru=10/ ||
			    said["cur_entries"] !~ / zoo.m1=0/ || said["cur_entries"] !~ / zoo.m2=-/) {
				print "maps: cur_entries:" said["cur_entries"]
				bad = 1
			}
		} else if (said["attached"] !~ / zoo_p26=bpf_iter_task/ || said["attached"] !~ / has_run=-/) {
			print "progs: attached:" said["attached"]
			bad = 1
		}
		exit bad || compared < 100
	}' ${listing%s}_types - $listing || failed=1
done
exit $failed
