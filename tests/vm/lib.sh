# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What the scripts of this directory share: where things are, how they fail,
# the table of kernels. To be sourced by bash.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=$(realpath -m "${BPF_PRELOAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bpf-preload}")
target=$top/target

die() { echo "${0##*/}: $*" >&2; exit 1; }

kernels() { awk '!/^#/ && NF { print $1 }' "$top/tests/vm/kernels"; }

# Sets compiler, suites and headers from the table's line for KVER $1.
kernel() {
	read -r _ compiler suites headers < <(awk -v k="$1" '$1 == k' "$top/tests/vm/kernels") ||
		die "no kernel '$1' in tests/vm/kernels, there are: $(kernels | paste -sd' ')"
}
