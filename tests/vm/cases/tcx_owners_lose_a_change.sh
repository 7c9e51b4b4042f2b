# SPDX-License-Identifier: MIT OR Apache-2.0
# A hundred processes change one list at a time; and what they do if they are careless.

needs_tcx
/files/tcx/bin/tests owners:: --test-threads=1 --nocapture >/tmp/tests 2>&1 || { cat /tmp/tests; false; }
grep 'owners, ' /tmp/tests
test "$(grep -c '[0-9] owners, ' /tmp/tests)" = 2
