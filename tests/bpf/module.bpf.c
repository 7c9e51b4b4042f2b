// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Programs that need what is in a module's BTF alone, nf_conntrack's: a function to
 * attach to, with and without the module's name, a struct, and kfuncs.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

char _license[] SEC("license") = "GPL";

/* Of net/netfilter/nf_conntrack_standalone.c. */
struct ct_iter_state {
	unsigned int bucket;
} __attribute__((preserve_access_index));

/* A declaration alone is of another kind than the kernel's. */
struct nf_conn {
};
struct bpf_ct_opts___ours {
	int netns_id, error;
	unsigned char l4proto, dir, reserved[2];
};

struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *, struct bpf_sock_tuple *, __u32,
				  struct bpf_ct_opts___ours *, __u32) __ksym;
void bpf_ct_release(struct nf_conn *) __ksym;
void no_module_has_this(void) __ksym __weak;

SEC("fentry/nf_conntrack:nf_ct_delete")
int of_module(void *ctx)
{
	return 0;
}

SEC("fentry/nf_ct_delete")
int of_any_module(void *ctx)
{
	return 0;
}

SEC("tc")
int kfuncs(struct __sk_buff *skb)
{
	struct bpf_ct_opts___ours opts = { .netns_id = -1, .l4proto = 6 };
	struct bpf_sock_tuple tuple = {};
	struct nf_conn *ct;

	if (no_module_has_this)
		no_module_has_this();
	ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
	if (ct)
		bpf_ct_release(ct);
	return 0;
}

SEC("socket")
int offset(void *ctx)
{
	return bpf_core_field_offset(struct ct_iter_state, bucket);
}
