// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs at many functions: since 5.18. */
#include "count.h"

COUNT("kprobe.multi/vfs_mk?ir", at_pattern, 0)
COUNT("kprobe.multi/vfs_mkdir", at_function, 0)
COUNT("kretprobe.multi/vfs_mkd*", at_return, 0)
