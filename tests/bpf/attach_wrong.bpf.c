// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program at a function that no kernel has. */
#include "count.h"

COUNT("kprobe/no_such_function", at_nothing, 0)
