#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# `probe` on this machine's kernel against the newest bpftool's `feature probe`.

. "$(dirname "$0")/vm/lib.sh"
. "$top/tests/vm/apt.sh"
. "$top/tests/vm/bpftool.sh"

"$top/tests/probe/as_bpftool" "$target/bpf-preload" "${bpftool[@]}"
