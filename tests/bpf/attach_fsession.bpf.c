// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program at entry and exit of a function. */
#include "count.h"

COUNT("fsession/vfs_mkdir", at_both, 0)
