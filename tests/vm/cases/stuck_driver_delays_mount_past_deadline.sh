# SPDX-License-Identifier: MIT OR Apache-2.0
# In every state of the protocol; the last one cannot even be killed while the
# mounter waits for it, and dies once it does not.

hostile hang-begin "timed out"
hostile hang-one-link "timed out"
hostile hang-end "timed out"
hostile stop-started "timed out"
hostile stop-two-links "timed out"
hostile too-slow "timed out"
hostile uncatchable "timed out, and cannot be killed"
