// SPDX-License-Identifier: MIT OR Apache-2.0
/* Programs at many functions of a file (tests/vm/guest/hold.c): since 6.6. */
#include "count.h"

COUNT("uprobe.multi//files/hold:mai?", at_pattern, 0)
