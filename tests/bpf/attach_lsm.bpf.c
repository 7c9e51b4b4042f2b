// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program at a hook of LSM: where BPF LSM is built in. */
#include "count.h"

COUNT("lsm/inode_mkdir", at_hook, 0)
