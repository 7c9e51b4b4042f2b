// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * A module with struct_ops of its own (since 6.9), which no stock module has:
 * /sys/module/two_ops/parameters/sum is what the registered programs return,
 * with the data that the struct has, or -1 as long as there is none.
 */
#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/module.h>
#include <linux/mutex.h>

struct two_ops {
	int (*first)(void);
	int (*second)(int add);
	int data;
};

static DEFINE_MUTEX(lock);
static struct two_ops *registered;

static int sum_get(char *buffer, const struct kernel_param *param)
{
	int sum = -1;

	mutex_lock(&lock);
	if (registered)
		sum = registered->first() + registered->second(registered->data);
	mutex_unlock(&lock);
	return sysfs_emit(buffer, "%d\n", sum);
}

static const struct kernel_param_ops sum_ops = {
	.get = sum_get,
};
module_param_cb(sum, &sum_ops, NULL, 0444);

static bool two_valid_access(int off, int size, enum bpf_access_type type,
			     const struct bpf_prog *prog, struct bpf_insn_access_aux *info)
{
	return bpf_tracing_btf_ctx_access(off, size, type, prog, info);
}

static const struct bpf_verifier_ops two_verifier_ops = {
	.get_func_proto = bpf_base_func_proto,
	.is_valid_access = two_valid_access,
};

static int two_init(struct btf *btf)
{
	return 0;
}

static int two_init_member(const struct btf_type *type, const struct btf_member *member,
			   void *kdata, const void *udata)
{
	if (member->offset != offsetof(struct two_ops, data) * 8)
		return 0;
	((struct two_ops *)kdata)->data = ((const struct two_ops *)udata)->data;
	return 1;
}

static int two_reg(void *kdata, struct bpf_link *link)
{
	int error = 0;

	mutex_lock(&lock);
	if (registered)
		error = -EEXIST;
	else
		registered = kdata;
	mutex_unlock(&lock);
	return error;
}

static void two_unreg(void *kdata, struct bpf_link *link)
{
	mutex_lock(&lock);
	registered = NULL;
	mutex_unlock(&lock);
}

static int first_stub(void)
{
	return 0;
}

static int second_stub(int add)
{
	return 0;
}

static struct two_ops two_stubs = {
	.first = first_stub,
	.second = second_stub,
};

static struct bpf_struct_ops two_struct_ops = {
	.verifier_ops = &two_verifier_ops,
	.init = two_init,
	.init_member = two_init_member,
	.reg = two_reg,
	.unreg = two_unreg,
	.cfi_stubs = &two_stubs,
	.name = "two_ops",
	.owner = THIS_MODULE,
};

static int __init two_start(void)
{
	return register_bpf_struct_ops(&two_struct_ops, two_ops);
}
module_init(two_start);

/* The kernel unregisters nothing: it has the module as long as any map needs it. */
static void __exit two_end(void)
{
}
module_exit(two_end);

MODULE_DESCRIPTION("struct_ops of a module, for the tests of bpf-preload");
MODULE_LICENSE("Dual MIT/GPL");
