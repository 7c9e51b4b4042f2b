# SPDX-License-Identifier: MIT OR Apache-2.0
# The library's tests of tcx, which follow the kernel's own (tests/tcx/COVERAGE.md).

needs_tcx
/files/tcx/bin/tests --skip owners:: >/tmp/tests 2>&1 || { cat /tmp/tests; false; }
# None was left out, and none is missing.
test "$(grep -c '^test .* \.\.\. ok$' /tmp/tests)" -ge 20
fails grep skipped: /tmp/tests
