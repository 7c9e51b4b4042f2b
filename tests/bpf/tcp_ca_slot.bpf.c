// SPDX-License-Identifier: MIT OR Apache-2.0
/* A program of struct_ops for a member that the kernel has not, which is to be in an array, too. */
#include "tcp_ca.h"

TCP_CA(".struct_ops", "two_in_array");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__array(values, void(void *));
} slots SEC(".maps") = {
	.values = { [0] = (void *)not_yet },
};
