# SPDX-License-Identifier: MIT OR Apache-2.0
hostile leaves-child "left a process behind"
