/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A program and a variable whose BTF has every kind that some kernel under test
 * does not know, also those that compilers to be had here do not write.
 */
#define KIND(kind, vlen) ((kind) << 24 | (vlen))
#define KFLAG (1 << 31)
#define TYPE(name, info, third) .long name - strings, info, third

	.section socket, "ax", @progbits
	.globl	every_kind
	.type	every_kind, @function
every_kind:
	r0 = 0
	exit
	.size	every_kind, . - every_kind

	.section .data, "aw", @progbits
	.globl	state
	.type	state, @object
	.p2align 3
state:
	.zero	48
	.size	state, 48

	.section license, "aw", @progbits
	.asciz	"GPL"

	.section .BTF, "", @progbits
	.short	0xeb9f
	.byte	1, 0
	.long	24, 0, types_end - types, types_end - types, strings_end - strings
types:
	TYPE(s_int, KIND(1, 0), 4)			/* 1 INT */
	.long	1 << 24 | 32
	TYPE(s_float, KIND(16, 0), 8)			/* 2 FLOAT */
	TYPE(s_tag, KIND(18, 0), 1)			/* 3 TYPE_TAG int */
	TYPE(strings, KIND(2, 0), 3)			/* 4 PTR */
	TYPE(s_attribute, KFLAG | KIND(18, 0), 1)	/* 5 TYPE_TAG int, an attribute */
	TYPE(strings, KIND(2, 0), 5)			/* 6 PTR */
	TYPE(s_signed, KFLAG | KIND(6, 1), 4)		/* 7 ENUM */
	.long	s_minus - strings, -1
	TYPE(s_enum64, KIND(19, 2), 8)			/* 8 ENUM64 */
	.long	s_large - strings, 0, 1
	.long	s_larger - strings, 0, 2
	TYPE(s_typedef, KIND(8, 0), 1)			/* 9 TYPEDEF */
	TYPE(s_tag, KIND(17, 0), 9)			/* 10 DECL_TAG of it */
	.long	-1
	TYPE(s_state, KIND(4, 6), 48)			/* 11 STRUCT */
	.long	s_a - strings, 2, 0
	.long	s_b - strings, 4, 64
	.long	s_c - strings, 6, 128
	.long	s_d - strings, 7, 192
	.long	s_e - strings, 8, 256
	.long	s_f - strings, 9, 320
	TYPE(s_attribute, KFLAG | KIND(17, 0), 11)	/* 12 DECL_TAG of its member a, an attribute */
	.long	0
	TYPE(s_state, KIND(14, 0), 11)			/* 13 VAR */
	.long	1
	TYPE(s_data, KIND(15, 1), 48)			/* 14 DATASEC */
	.long	13, 0, 48
	TYPE(strings, KIND(2, 0), 0)			/* 15 PTR */
	TYPE(strings, KIND(13, 1), 1)			/* 16 FUNC_PROTO */
	.long	s_a - strings, 15
	TYPE(s_func, KIND(12, 1), 16)			/* 17 FUNC */
	TYPE(s_tag, KIND(17, 0), 17)			/* 18 DECL_TAG of its parameter */
	.long	0
types_end:
strings:
	.byte	0
s_int:		.asciz	"int"
s_float:	.asciz	"double"
s_tag:		.asciz	"tag"
s_attribute:	.asciz	"attribute"
s_signed:	.asciz	"signed_enum"
s_minus:	.asciz	"MINUS_ONE"
s_enum64:	.asciz	"large_enum"
s_large:	.asciz	"LARGE"
s_larger:	.asciz	"LARGER"
s_typedef:	.asciz	"tagged"
s_state:	.asciz	"state"
s_data:		.asciz	".data"
s_func:		.asciz	"every_kind"
s_a:		.asciz	"a"
s_b:		.asciz	"b"
s_c:		.asciz	"c"
s_d:		.asciz	"d"
s_e:		.asciz	"e"
s_f:		.asciz	"f"
s_section:	.asciz	"socket"
s_file:		.asciz	"kinds.bpf.S"
s_line:		.asciz	"	r0 = 0"
strings_end:

	.section .BTF.ext, "", @progbits
	.short	0xeb9f
	.byte	1, 0
	.long	24, 0, lines - funcs, lines - funcs, lines_end - lines
funcs:
	.long	8, s_section - strings, 1
	.long	0, 17
lines:
	.long	16, s_section - strings, 1
	.long	0, s_file - strings, s_line - strings, 15 << 10 | 1
lines_end:
