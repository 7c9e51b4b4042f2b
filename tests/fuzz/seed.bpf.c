// SPDX-License-Identifier: MIT OR Apache-2.0
/* Something of everything that lowering knows, in few bytes. */
#define SEC(name) __attribute__((section(name), used))
#define noinline __attribute__((noinline))
#define tracked __attribute__((preserve_access_index))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define weak __attribute__((weak))
typedef unsigned int u32;
typedef unsigned long long u64;

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static long (*bpf_loop)(u32 n, void *fn, void *ctx, u64 flags) = (void *)181;

struct kernel_thing {
	int id : 5, a;
	struct {
		u64 n[3];
	};
} tracked;
enum colour { RED = 3 };

struct inner {
	__uint(type, 1);
	__type(key, u32);
	__type(value, u64);
	__uint(max_entries, 9);
};
struct inner one SEC(".maps");
struct {
	__uint(type, 12);
	__uint(max_entries, 2);
	__type(key, u32);
	__array(values, struct inner);
} outer SEC(".maps") = { .values = { (void *)&one } };
int left_out(void *ctx);
struct {
	__uint(type, 3);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, int(void *));
} others SEC(".maps") = { .values = { [1] = (void *)&left_out } };
struct {
	__uint(type, 9);
	__uint(key_size, 4);
	__uint(value_size, 4);
	__uint(max_entries, 4);
	__uint(pinning, 1);
} pinned SEC(".maps");

extern u64 kfunc(const struct kernel_thing *thing) weak SEC(".ksyms");
extern const int variable SEC(".ksyms");
extern const void address SEC(".ksyms");
extern int LINUX_KERNEL_VERSION SEC(".kconfig");
extern char CONFIG_X[8] weak SEC(".kconfig");

volatile int bss;
volatile int data = 1;
const volatile int rodata = 2;

static noinline int sub(int x) { return x * bss + data + rodata; }
static noinline int callback(u32 i, void *ctx) { return sub(i); }
noinline int global(int x) { return sub(x) + 1; }

SEC("struct_ops/member") int member(u64 *ctx) { return sub(1); }
struct ops {
	int (*member)(u64 *ctx);
	int flags;
} in_ops SEC(".struct_ops") = { (void *)member, 3 };

SEC("iter/bpf_map") __attribute__((btf_decl_tag("link_name:x.debug"))) int dump(struct kernel_thing *t)
{
	u32 k = t->a + __builtin_preserve_enum_value(*(enum colour *)RED, 1);

	bpf_map_lookup_elem(&one, &k);
	bpf_map_lookup_elem(&outer, &k);
	bpf_map_lookup_elem(&pinned, &k);
	bpf_loop(t->n[1], callback, 0, 0);
	if (__builtin_preserve_type_info(*(struct kernel_thing *)0, 0))
		k += __builtin_btf_type_id(*(struct kernel_thing *)0, 1);
	k += LINUX_KERNEL_VERSION + CONFIG_X[0] + variable + (u64)&address;
	return kfunc ? kfunc(t) : global(__builtin_preserve_field_info(t->id, 4) + k);
}

SEC("tc") int left_out(void *ctx)
{
	bpf_tail_call(ctx, &others, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
