/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a BPF program needs of the compiler and of the kernel's helper table
 * (enum bpf_func_id), so that the build needs no header of the host.
 */
#ifndef BPF_PRELOAD_BPF_H
#define BPF_PRELOAD_BPF_H

#define NULL ((void *)0)
#define ENOSPC 28
#define ARRAY_SIZE(array) (sizeof(array) / sizeof(*(array)))
#define BIT(nr) (1U << (nr))
#define offsetof(type, member) __builtin_offsetof(type, member)

#define SEC(name) __attribute__((section(name), used))
#define __ksym __attribute__((section(".ksyms")))
#define __weak __attribute__((weak))
#define __noinline __attribute__((noinline))

/* The file below a bpffs under which the program's link is pinned. */
#define __link_name(name) __attribute__((btf_decl_tag("link_name:" name)))

struct btf_ptr;

static long (*bpf_probe_read_kernel)(void *dst, __u32 size, const void *src) = (void *)113;
static long (*bpf_seq_printf)(struct seq_file *m, const char *fmt, __u32 fmt_size,
			      const void *data, __u32 data_len) = (void *)126;
static long (*bpf_seq_write)(struct seq_file *m, const void *data, __u32 len) = (void *)127;
static long (*bpf_snprintf_btf)(char *str, __u32 size, struct btf_ptr *ptr, __u32 ptr_size,
				__u64 flags) = (void *)149;

/* What bpf_snprintf_btf() shows: a value of a type of the kernel's own BTF. */
struct btf_ptr {
	const void *ptr;
	__u32 type_id;
	__u32 flags;
};

#define BTF_F_COMPACT 1
#define BTF_F_NONAME 2

#define bpf_core_field_offset(field) __builtin_preserve_field_info(field, 0)
#define bpf_core_field_exists(field) __builtin_preserve_field_info(field, 2)
#define bpf_core_type_id_kernel(type) __builtin_btf_type_id(*(type *)0, 1)

/* A string, for %s. Were it a literal, it would be in a section and a map of its own. */
#define text(string) ({							\
	static const char __text[] = string;				\
									\
	(__u64)__text;							\
})

/* Every argument is a __u64; pointers must be cast by the caller. */
#define seq_printf(seq, fmt, ...) ({					\
	static const char __fmt[] = fmt;				\
	__u64 __args[] = { __VA_ARGS__ };				\
									\
	bpf_seq_printf(seq, __fmt, sizeof(__fmt), __args, sizeof(__args)); \
})

/* The same with an array of arguments. */
#define seq_row(seq, fmt, args) ({					\
	static const char __fmt[] = fmt;				\
									\
	bpf_seq_printf(seq, __fmt, sizeof(__fmt), args, sizeof(args));	\
})

#define seq_puts(seq, str) ({						\
	static const char __str[] = str;				\
									\
	bpf_seq_write(seq, __str, sizeof(__str) - 1);			\
})

/* Above the first object alone; without a branch, which the verifier would walk both ways. */
#define seq_heading(seq, seq_num, str) ({				\
	static const char __str[] = str;				\
	__u64 __first = ((seq_num) - 1) >> 63;				\
									\
	asm volatile("" : "+r"(__first));				\
	bpf_seq_write(seq, __str, __first * (sizeof(__str) - 1));	\
})

#endif /* BPF_PRELOAD_BPF_H */
