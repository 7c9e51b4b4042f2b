// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tcp_ca.h"

TCP_CA(".struct_ops.link", "two_linked");
