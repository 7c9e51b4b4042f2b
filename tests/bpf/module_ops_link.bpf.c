// SPDX-License-Identifier: MIT OR Apache-2.0
#include "module_ops.h"

SEC(".struct_ops.link") struct two_ops___ours two = {
	.first = (void *)first,
	.second = (void *)second,
	.data = 3,
};
