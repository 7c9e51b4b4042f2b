// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Objects that no kernel takes, or that some do not, one per kind of mistake. Lines
 * that messages are to name end in a comment that `check` looks for.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define stack_out_of_bounds 1
#define endless_loop 2
#define null_unchecked 3
#define field_missing 4
#define field_missing_deep 5
#define kfunc_missing 6
#define kfunc_weak 7
#define kfunc_not_allowed 8
#define helper_not_allowed 9
#define helper_unknown 10
#define map_type_unknown 11
#define map_too_big 12
#define gpl_only 13
#define too_complex 14
#define in_subprogram 15
#define map_not_a_map 16
#define no_exit_value 17
#define map_value_out_of_bounds 18
#define reference_leaked 19
#define dead_field_in_callee 20
#define ksym_field 21
#define enumerator_missing 22
#define global_argument 23
#define kfunc_of_another_type 24
#define too_many_jumps 25

#if REFUSED == gpl_only
char _license[] SEC("license") = "Proprietary";
#else
char _license[] SEC("license") = "GPL";
#endif

struct task_struct {
	int pid;
	int no_such_field;
} __attribute__((preserve_access_index));

struct value {
	__u64 count, last[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct value);
	__uint(max_entries, 16);
} counts SEC(".maps");

#if REFUSED == stack_out_of_bounds
SEC("socket")
int stack(void *ctx)
{
	volatile char buffer[16];
	long index = bpf_get_prandom_u32() & 63;

	buffer[index] = 1; /* here */
	return buffer[0];
}

#elif REFUSED == endless_loop
SEC("socket")
int loop(void *ctx)
{
	while (1)
		asm volatile("" ::: "memory");
	return 0;
}

#elif REFUSED == null_unchecked
SEC("socket")
int null(void *ctx)
{
	__u32 key = 1;
	struct value *value = bpf_map_lookup_elem(&counts, &key);

	value->count++; /* here */
	return 0;
}

#elif REFUSED == field_missing
SEC("raw_tp/sys_enter")
int field(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	int value = 0;

	bpf_core_read(&value, sizeof(value), &task->no_such_field); /* here */
	return value;
}

#elif REFUSED == field_missing_deep
SEC("tp_btf/sched_switch")
int deep(unsigned long long *ctx)
{
	struct task_struct *prev = (void *)ctx[1];
	int pid = prev->pid;

	return pid + prev->no_such_field; /* here */
}

#elif REFUSED == kfunc_missing
int no_such_kfunc(int) __ksym;
SEC("tc")
int kfunc(void *ctx)
{
	return no_such_kfunc(1);
}

#elif REFUSED == kfunc_weak
int no_such_kfunc(int) __ksym __weak;
SEC("tc")
int weak(void *ctx)
{
	return no_such_kfunc(1); /* here */
}

#elif REFUSED == kfunc_not_allowed
void bpf_task_release(struct task_struct *) __ksym;
SEC("socket")
int not_allowed(void *ctx)
{
	bpf_task_release(ctx); /* here */
	return 0;
}

#elif REFUSED == kfunc_of_another_type
struct cgroup;
struct cgroup *bpf_cgroup_from_id(const void *) __ksym;
SEC("tc")
int of_another_type(void *ctx)
{
	return !!bpf_cgroup_from_id(ctx);
}

#elif REFUSED == helper_not_allowed
SEC("socket")
int helper(struct __sk_buff *skb)
{
	return bpf_skb_store_bytes(skb, 0, &skb, 4, 0); /* here */
}

#elif REFUSED == helper_unknown
static long (*bpf_of_tomorrow)(void) = (void *)9999;
SEC("socket")
int unknown(void *ctx)
{
	return bpf_of_tomorrow(); /* here */
}

#elif REFUSED == map_type_unknown
struct {
	__uint(type, 250);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} of_tomorrow SEC(".maps");
SEC("socket")
int uses(void *ctx)
{
	__u32 key = 0;

	return !!bpf_map_lookup_elem(&of_tomorrow, &key);
}

#elif REFUSED == map_too_big
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u64[64]);
	__uint(max_entries, 0x7fffffff);
} too_big SEC(".maps");
SEC("socket")
int uses(void *ctx)
{
	__u32 key = 0;

	return !!bpf_map_lookup_elem(&too_big, &key);
}

#elif REFUSED == gpl_only
SEC("kprobe/vfs_read")
int licence(void *ctx)
{
	__u64 value = 0;

	return bpf_probe_read_kernel(&value, sizeof(value), ctx); /* here */
}

#elif REFUSED == too_complex
SEC("socket")
int complex(void *ctx)
{
	long sum = 0;

	/* Each round takes other values along: no state is seen twice. */
	for (long i = 0; i < 1000000; i++) {
		sum += i;
		asm volatile("" : "+r"(sum));
	}
	return sum;
}

#elif REFUSED == too_many_jumps
SEC("socket")
int jumps(void *ctx)
{
	long sum = 0;

	/* Each round leaves a way behind that is yet to be gone. */
	for (long i = 0; i < 10000; i++)
		if (bpf_get_prandom_u32() == i)
			sum += i;
	return sum;
}

#elif REFUSED == in_subprogram
static __noinline int callee(struct value *value, long at)
{
	return value->last[at]; /* here */
}
SEC("socket")
int caller(void *ctx)
{
	struct value value = {};

	__builtin_memset(&value, bpf_get_prandom_u32(), 1);
	return callee(&value, 1) + callee(&value, bpf_get_prandom_u32());
}

#elif REFUSED == map_not_a_map
SEC("socket")
int wrong(void *ctx)
{
	__u64 key = 0;

	return !!bpf_map_lookup_elem((void *)&key, &key); /* here */
}

#elif REFUSED == no_exit_value
SEC("socket")
int __attribute__((naked)) nothing(void)
{
	asm volatile("exit");
}

#elif REFUSED == map_value_out_of_bounds
SEC("socket")
int bounds(void *ctx)
{
	__u32 key = 1;
	struct value *value = bpf_map_lookup_elem(&counts, &key);

	if (!value)
		return 0;
	return value->last[bpf_get_prandom_u32() & 7]; /* here */
}

#elif REFUSED == reference_leaked
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");
SEC("raw_tp/sys_enter")
int leak(void *ctx)
{
	long *event = bpf_ringbuf_reserve(&events, 8, 0);

	if (event)
		*event = 1;
	return 0;
}

#elif REFUSED == dead_field_in_callee
static __noinline int callee(struct task_struct *task)
{
	int value = 0;

	bpf_core_read(&value, sizeof(value), &task->no_such_field); /* here */
	return value;
}
SEC("raw_tp/sys_enter")
int caller(void *ctx)
{
	return callee((void *)bpf_get_current_task());
}

#elif REFUSED == ksym_field
struct rq {
	int no_such_field;
} __attribute__((preserve_access_index));
extern const struct rq runqueues __ksym;
SEC("raw_tp/sys_enter")
int ksym(void *ctx)
{
	struct rq *rq = bpf_this_cpu_ptr(&runqueues);

	return rq->no_such_field; /* here */
}

#elif REFUSED == enumerator_missing
enum bpf_map_type___ours {
	BPF_MAP_TYPE_OF_TOMORROW = 250,
};
SEC("raw_tp/sys_enter")
int enumerator(void *ctx)
{
	return bpf_core_enum_value(enum bpf_map_type___ours, BPF_MAP_TYPE_OF_TOMORROW); /* here */
}

#elif REFUSED == global_argument
__noinline int global(struct value *value)
{
	return value->count; /* here */
}
SEC("socket")
int caller(void *ctx)
{
	struct value value = {};

	return global(&value);
}

#else
#error REFUSED is none of the above
#endif
