// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Programs for lists of tcx: each counts the test's packets, notes that it was
 * its turn, and says of them what the test wants. Of other packets they say
 * nothing.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* UDP to this port, IPv4 without options, is the test's. */
#define PORT 4711
#define DEST_PORT_AT (14 + 20 + 2)

/* enum tcx_action_base; Debian 12's header does not know it. */
enum { NEXT = -1, REDIRECT = 7 };

char LICENSE[] SEC("license") = "GPL";

#define PROGS 8
#define TURNS 16

/* As umd/loader/tests/tcx/progs.rs reads and writes it. */
struct {
	int verdict[PROGS];
	__u32 redirect_ifindex, redirect_flags;
	__u32 count[PROGS];
	__u32 turns, turn[TURNS];
} state = { .verdict = { NEXT, NEXT, NEXT, NEXT, NEXT, NEXT, NEXT, NEXT } };

static __always_inline int turn_of(struct __sk_buff *skb, __u32 prog)
{
	__u16 port;
	__u32 turn;

	if (skb->protocol != bpf_htons(ETH_P_IP) ||
	    bpf_skb_load_bytes(skb, DEST_PORT_AT, &port, sizeof(port)) || port != bpf_htons(PORT))
		return NEXT;
	state.count[prog]++;
	turn = state.turns++;
	if (turn < TURNS)
		state.turn[turn & (TURNS - 1)] = prog;
	if (state.verdict[prog] == REDIRECT)
		return bpf_redirect(state.redirect_ifindex, state.redirect_flags);
	return state.verdict[prog];
}

SEC("tc")
int tc1(struct __sk_buff *skb)
{
	return turn_of(skb, 0);
}

SEC("tc")
int tc2(struct __sk_buff *skb)
{
	return turn_of(skb, 1);
}

SEC("classifier")
int tc3(struct __sk_buff *skb)
{
	return turn_of(skb, 2);
}

SEC("classifier")
int tc4_with_a_name_of_more_than_15_bytes(struct __sk_buff *skb)
{
	return turn_of(skb, 3);
}

SEC("tcx/ingress")
int tc5(struct __sk_buff *skb)
{
	return turn_of(skb, 4);
}

SEC("tcx/egress")
int tc6(struct __sk_buff *skb)
{
	return turn_of(skb, 5);
}

SEC("tc/ingress")
int tc7(struct __sk_buff *skb)
{
	return turn_of(skb, 6);
}

SEC("tc/egress")
int tc8(struct __sk_buff *skb)
{
	return turn_of(skb, 7);
}

/* Of another type: in no list. */
SEC("xdp")
int no_classifier(struct xdp_md *ctx)
{
	return 2;
}
