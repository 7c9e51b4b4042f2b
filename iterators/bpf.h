/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a BPF program needs of the compiler and of the kernel's helper table
 * (enum bpf_func_id), so that the build needs no header of the host.
 */
#ifndef BPF_PRELOAD_BPF_H
#define BPF_PRELOAD_BPF_H

#define NULL ((void *)0)

#define SEC(name) __attribute__((section(name), used))
#define __ksym __attribute__((section(".ksyms")))
#define __weak __attribute__((weak))

/* The file below a bpffs under which the program's link is pinned. */
#define __link_name(name) __attribute__((btf_decl_tag("link_name:" name)))

static long (*bpf_probe_read_kernel)(void *dst, __u32 size, const void *src) = (void *)113;
static long (*bpf_seq_printf)(struct seq_file *m, const char *fmt, __u32 fmt_size,
			      const void *data, __u32 data_len) = (void *)126;

#define bpf_core_field_exists(field) __builtin_preserve_field_info(field, 2)

/* Every argument is a __u64; pointers must be cast by the caller. */
#define seq_printf(seq, fmt, ...) ({					\
	static const char __fmt[] = fmt;				\
	__u64 __args[] = { __VA_ARGS__ };				\
									\
	bpf_seq_printf(seq, __fmt, sizeof(__fmt), __args, sizeof(__args)); \
})

#define seq_puts(seq, str) ({						\
	static const char __str[] = str;				\
									\
	bpf_seq_printf(seq, __str, sizeof(__str), NULL, 0);		\
})

#endif /* BPF_PRELOAD_BPF_H */
