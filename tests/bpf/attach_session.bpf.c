// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program at entry and return of functions: since 6.10. */
#include "count.h"

COUNT("kprobe.session/vfs_mkdi*", at_both, 0)
