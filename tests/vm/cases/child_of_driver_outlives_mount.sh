# SPDX-License-Identifier: MIT OR Apache-2.0
hostile leaves-child "left a process behind"
hostile leaves-closed-child "left a process behind"
hostile leaves-child-in-userns "left a process behind"
hostile leaves-thread "left a process behind"
# The mounter has given up when this one's parent dies.
hostile uncatchable-child "timed out, and cannot be killed"
