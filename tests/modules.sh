#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# module_wants_header_of_tree: the core's own bpf_preload.h is wanted in a kernel
# tree, and nowhere else, even if that kernel has a bpf_preload of its own.
# Against KVER's headers (default 6.1), which have no such file.

set -euo pipefail
cd "$(dirname "$0")"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export OUT=$out
failed=0
complain() { echo "modules.sh: $*" >&2; failed=1; }

for value in CONFIG_BPF_PRELOAD_UMD CONFIG_BPF_PRELOAD_UMD_MODULE; do
	rm -rf "${out:?}"/*
	vm/module "${KVER:-6.1}" "KCPPFLAGS=-D$value=1" || complain "does not build with $value"
done

# What tells the two places apart is Kbuild: an empty KBUILD_EXTMOD is a tree.
flags() { make -s -f - KBUILD_EXTMOD="$1" obj=. <<<$'all: ; @echo $(ccflags-y)\ninclude ../kmod-shim/Kbuild'; }
[ "$(flags /elsewhere)" = "" ] || complain "out of tree, Kbuild says: $(flags /elsewhere)"
[ "$(flags '')" = -DBPF_PRELOAD_IN_TREE ] || complain "in a tree, Kbuild says: $(flags '')"

rm -rf "${out:?}"/*
if vm/module "${KVER:-6.1}" KCPPFLAGS=-DBPF_PRELOAD_IN_TREE >"$out/words" 2>&1; then
	complain "in a tree, the core's header is not read"
elif ! grep 'bpf_preload.h: No such file' "$out/words" >/dev/null; then
	complain "in a tree: $(tail -n 3 "$out/words")"
fi
exit "$failed"
