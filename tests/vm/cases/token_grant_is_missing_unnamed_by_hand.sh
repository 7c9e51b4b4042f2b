# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Each bit of what `token needs` says is needed: without it the load fails, and the one line
# names it.

. "${container_sh:-/files/container.sh}"
has_tokens || skip "a kernel with BPF tokens (since 6.9)"
start_container

# The options but for one word of one of them.
without() { echo "$needs" | tr , '\n' | sed "/^$1=/{s/\\([=:]\\)$2\\(:\\|\$\\)/\\1/;s/:\$//;/=\$/d}" | sed 's/^delegate_/--delegate-/'; }

refused=0
for object in "$objects"/*.bpf.o; do
	case ${bits_of:-all} in all | *" $(basename "$object" .bpf.o) "*) ;; *) continue ;; esac
	needs=$($tool token needs "$object")
	for option in cmds maps progs attachs; do
		for word in $(echo "$needs" | tr , '\n' | sed -n "s/^delegate_$option=//p" | tr : ' '); do
			delegate $(without delegate_$option "$word")
			! as_root $tool load "$object" --token "$work/bpf" >"$work/said" 2>&1 ||
				fail "$object loads without $word ($option)"
			test "$(grep -vc '^+' "$work/said")" = 1
			# Of what it does need the line names this, and nothing else.
			test "$(grep -o ' needs .*' "$work/said")" = " needs $word (delegate_$option)"
			refused=$((refused + 1))
		done
	done
done
[ "$refused" -ge ${refused_min:-100} ]
