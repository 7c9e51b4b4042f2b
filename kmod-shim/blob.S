/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The user mode driver, as bytes. It is written to a file once, while the
 * module starts, and its memory is freed together with the init code.
 */

	.section .init.rodata, "a"
	.globl bpf_preload_umd_start
	.globl bpf_preload_umd_end
bpf_preload_umd_start:
	.incbin BPF_PRELOAD_UMD_BLOB
bpf_preload_umd_end:
