// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the name of a section says about the programs in it: the `SEC()` names
//! of libbpf 1.8. A further kind of program is one more line of [`SECS`].

use crate::btf::kind;
use crate::error::{LowerError, Result};

/// `enum bpf_prog_type` of the uapi `linux/bpf.h`.
mod prog_type {
    pub(super) const SOCKET_FILTER: u32 = 1;
    pub(super) const KPROBE: u32 = 2;
    pub(super) const SCHED_CLS: u32 = 3;
    pub(super) const SCHED_ACT: u32 = 4;
    pub(super) const TRACEPOINT: u32 = 5;
    pub(super) const XDP: u32 = 6;
    pub(super) const PERF_EVENT: u32 = 7;
    pub(super) const CGROUP_SKB: u32 = 8;
    pub(super) const CGROUP_SOCK: u32 = 9;
    pub(super) const LWT_IN: u32 = 10;
    pub(super) const LWT_OUT: u32 = 11;
    pub(super) const LWT_XMIT: u32 = 12;
    pub(super) const SOCK_OPS: u32 = 13;
    pub(super) const SK_SKB: u32 = 14;
    pub(super) const CGROUP_DEVICE: u32 = 15;
    pub(super) const SK_MSG: u32 = 16;
    pub(super) const RAW_TRACEPOINT: u32 = 17;
    pub(super) const CGROUP_SOCK_ADDR: u32 = 18;
    pub(super) const LWT_SEG6LOCAL: u32 = 19;
    pub(super) const LIRC_MODE2: u32 = 20;
    pub(super) const SK_REUSEPORT: u32 = 21;
    pub(super) const FLOW_DISSECTOR: u32 = 22;
    pub(super) const CGROUP_SYSCTL: u32 = 23;
    pub(super) const RAW_TRACEPOINT_WRITABLE: u32 = 24;
    pub(super) const CGROUP_SOCKOPT: u32 = 25;
    pub(super) const TRACING: u32 = 26;
    pub(super) const STRUCT_OPS: u32 = 27;
    pub(super) const EXT: u32 = 28;
    pub(super) const LSM: u32 = 29;
    pub(super) const SK_LOOKUP: u32 = 30;
    pub(super) const SYSCALL: u32 = 31;
    pub(super) const NETFILTER: u32 = 32;
}
use prog_type::*;

/// How a section goes on, and how its programs are loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    /// The name is all.
    Exact,
    /// `/` and something may follow, for whoever attaches.
    Extra,
    /// The same, and the program may sleep.
    Sleepable,
    /// The name is all, and the program may sleep.
    ExactSleepable,
    /// The name is all, and the program takes packets in fragments.
    Frags,
    /// `/` and the attach target must follow, and give `attach_btf_id`.
    Btf,
    /// The same, and the program may sleep.
    BtfSleepable,
}
use More::{Btf, BtfSleepable, Exact, ExactSleepable, Extra, Frags, Sleepable};

/// `prog_flags` of `BPF_PROG_LOAD`: may sleep; XDP in fragments.
const BPF_F_SLEEPABLE: u32 = 1 << 4;
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;

/// Attach types, `enum bpf_attach_type`, that say where the target is to be found.
const BPF_TRACE_RAW_TP: u32 = 23;
const BPF_LSM_MAC: u32 = 27;
const BPF_LSM_CGROUP: u32 = 43;
const BPF_TRACE_ITER: u32 = 28;

/// Section name, program type, `expected_attach_type` (0 for none, too), and how it goes on.
type Def = (&'static str, u32, u32, More);

static SECS: &[Def] = &[
    ("socket", SOCKET_FILTER, 0, Exact),
    ("sk_reuseport/migrate", SK_REUSEPORT, 40, Exact),
    ("sk_reuseport", SK_REUSEPORT, 39, Exact),
    ("kprobe", KPROBE, 0, Extra),
    ("uprobe", KPROBE, 0, Extra),
    ("uprobe.s", KPROBE, 0, Sleepable),
    ("kretprobe", KPROBE, 0, Extra),
    ("uretprobe", KPROBE, 0, Extra),
    ("uretprobe.s", KPROBE, 0, Sleepable),
    ("kprobe.multi", KPROBE, 42, Extra),
    ("kretprobe.multi", KPROBE, 42, Extra),
    ("kprobe.session", KPROBE, 56, Extra),
    ("uprobe.multi", KPROBE, 48, Extra),
    ("uretprobe.multi", KPROBE, 48, Extra),
    ("uprobe.session", KPROBE, 57, Extra),
    ("uprobe.multi.s", KPROBE, 48, Sleepable),
    ("uretprobe.multi.s", KPROBE, 48, Sleepable),
    ("uprobe.session.s", KPROBE, 57, Sleepable),
    ("ksyscall", KPROBE, 0, Extra),
    ("kretsyscall", KPROBE, 0, Extra),
    ("usdt", KPROBE, 0, Extra),
    ("usdt.s", KPROBE, 0, Sleepable),
    ("tc/ingress", SCHED_CLS, 46, Exact),
    ("tc/egress", SCHED_CLS, 47, Exact),
    ("tcx/ingress", SCHED_CLS, 46, Exact),
    ("tcx/egress", SCHED_CLS, 47, Exact),
    ("tc", SCHED_CLS, 0, Exact),
    ("classifier", SCHED_CLS, 0, Exact),
    ("action", SCHED_ACT, 0, Exact),
    ("netkit/primary", SCHED_CLS, 54, Exact),
    ("netkit/peer", SCHED_CLS, 55, Exact),
    ("tracepoint", TRACEPOINT, 0, Extra),
    ("tp", TRACEPOINT, 0, Extra),
    ("tracepoint.s", TRACEPOINT, 0, Sleepable),
    ("tp.s", TRACEPOINT, 0, Sleepable),
    ("raw_tracepoint", RAW_TRACEPOINT, 0, Extra),
    ("raw_tp", RAW_TRACEPOINT, 0, Extra),
    ("raw_tracepoint.s", RAW_TRACEPOINT, 0, Sleepable),
    ("raw_tp.s", RAW_TRACEPOINT, 0, Sleepable),
    ("raw_tracepoint.w", RAW_TRACEPOINT_WRITABLE, 0, Extra),
    ("raw_tp.w", RAW_TRACEPOINT_WRITABLE, 0, Extra),
    ("tp_btf", TRACING, BPF_TRACE_RAW_TP, Btf),
    ("tp_btf.s", TRACING, BPF_TRACE_RAW_TP, BtfSleepable),
    ("fentry", TRACING, 24, Btf),
    ("fmod_ret", TRACING, 26, Btf),
    ("fexit", TRACING, 25, Btf),
    ("fentry.s", TRACING, 24, BtfSleepable),
    ("fmod_ret.s", TRACING, 26, BtfSleepable),
    ("fexit.s", TRACING, 25, BtfSleepable),
    ("fsession", TRACING, 58, Btf),
    ("fsession.s", TRACING, 58, BtfSleepable),
    ("fsession.multi", TRACING, 61, Extra),
    ("fsession.multi.s", TRACING, 61, Sleepable),
    ("fentry.multi", TRACING, 59, Extra),
    ("fexit.multi", TRACING, 60, Extra),
    ("fentry.multi.s", TRACING, 59, Sleepable),
    ("fexit.multi.s", TRACING, 60, Sleepable),
    ("freplace", EXT, 0, Btf),
    ("lsm", LSM, BPF_LSM_MAC, Btf),
    ("lsm.s", LSM, BPF_LSM_MAC, BtfSleepable),
    ("lsm_cgroup", LSM, BPF_LSM_CGROUP, Btf),
    ("iter", TRACING, BPF_TRACE_ITER, Btf),
    ("iter.s", TRACING, BPF_TRACE_ITER, BtfSleepable),
    ("syscall", SYSCALL, 0, ExactSleepable),
    ("xdp.frags/devmap", XDP, 33, Frags),
    ("xdp/devmap", XDP, 33, Exact),
    ("xdp.frags/cpumap", XDP, 35, Frags),
    ("xdp/cpumap", XDP, 35, Exact),
    ("xdp.frags", XDP, 37, Frags),
    ("xdp", XDP, 37, Exact),
    ("perf_event", PERF_EVENT, 0, Exact),
    ("lwt_in", LWT_IN, 0, Exact),
    ("lwt_out", LWT_OUT, 0, Exact),
    ("lwt_xmit", LWT_XMIT, 0, Exact),
    ("lwt_seg6local", LWT_SEG6LOCAL, 0, Exact),
    ("sockops", SOCK_OPS, 3, Exact),
    ("sk_skb/stream_parser", SK_SKB, 4, Exact),
    ("sk_skb/stream_verdict", SK_SKB, 5, Exact),
    ("sk_skb/verdict", SK_SKB, 38, Exact),
    ("sk_skb", SK_SKB, 0, Exact),
    ("sk_msg", SK_MSG, 7, Exact),
    ("lirc_mode2", LIRC_MODE2, 16, Exact),
    ("flow_dissector", FLOW_DISSECTOR, 17, Exact),
    ("cgroup_skb/ingress", CGROUP_SKB, 0, Exact),
    ("cgroup_skb/egress", CGROUP_SKB, 1, Exact),
    ("cgroup/skb", CGROUP_SKB, 0, Exact),
    ("cgroup/sock_create", CGROUP_SOCK, 2, Exact),
    ("cgroup/sock_release", CGROUP_SOCK, 34, Exact),
    ("cgroup/sock", CGROUP_SOCK, 2, Exact),
    ("cgroup/post_bind4", CGROUP_SOCK, 12, Exact),
    ("cgroup/post_bind6", CGROUP_SOCK, 13, Exact),
    ("cgroup/bind4", CGROUP_SOCK_ADDR, 8, Exact),
    ("cgroup/bind6", CGROUP_SOCK_ADDR, 9, Exact),
    ("cgroup/connect4", CGROUP_SOCK_ADDR, 10, Exact),
    ("cgroup/connect6", CGROUP_SOCK_ADDR, 11, Exact),
    ("cgroup/connect_unix", CGROUP_SOCK_ADDR, 49, Exact),
    ("cgroup/sendmsg4", CGROUP_SOCK_ADDR, 14, Exact),
    ("cgroup/sendmsg6", CGROUP_SOCK_ADDR, 15, Exact),
    ("cgroup/sendmsg_unix", CGROUP_SOCK_ADDR, 50, Exact),
    ("cgroup/recvmsg4", CGROUP_SOCK_ADDR, 19, Exact),
    ("cgroup/recvmsg6", CGROUP_SOCK_ADDR, 20, Exact),
    ("cgroup/recvmsg_unix", CGROUP_SOCK_ADDR, 51, Exact),
    ("cgroup/getpeername4", CGROUP_SOCK_ADDR, 29, Exact),
    ("cgroup/getpeername6", CGROUP_SOCK_ADDR, 30, Exact),
    ("cgroup/getpeername_unix", CGROUP_SOCK_ADDR, 52, Exact),
    ("cgroup/getsockname4", CGROUP_SOCK_ADDR, 31, Exact),
    ("cgroup/getsockname6", CGROUP_SOCK_ADDR, 32, Exact),
    ("cgroup/getsockname_unix", CGROUP_SOCK_ADDR, 53, Exact),
    ("cgroup/sysctl", CGROUP_SYSCTL, 18, Exact),
    ("cgroup/getsockopt", CGROUP_SOCKOPT, 21, Exact),
    ("cgroup/setsockopt", CGROUP_SOCKOPT, 22, Exact),
    ("cgroup/dev", CGROUP_DEVICE, 6, Exact),
    ("struct_ops", STRUCT_OPS, 0, Extra),
    ("struct_ops.s", STRUCT_OPS, 0, Sleepable),
    ("sk_lookup", SK_LOOKUP, 36, Exact),
    ("netfilter", NETFILTER, 45, Exact),
];

/// What a program is loaded as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sec {
    pub(crate) prog_type: u32,
    pub(crate) attach_type: u32,
    pub(crate) prog_flags: u32,
    /// Name and kind of the type that gives `attach_btf_id`.
    pub(crate) target: Option<(String, u32)>,
}

impl Sec {
    pub(crate) fn is_struct_ops(&self) -> bool {
        self.prog_type == STRUCT_OPS
    }
}

/// What the section is for.
pub(crate) fn find(section: &str) -> Result<Sec> {
    let found = SECS.iter().find_map(|def| Some((def, rest(section, def)?)));
    let (&(_, prog_type, attach_type, more), rest) =
        found.ok_or_else(|| LowerError::new("unsupported program section"))?;
    let prog_flags = match more {
        Sleepable | ExactSleepable | BtfSleepable => BPF_F_SLEEPABLE,
        Frags => BPF_F_XDP_HAS_FRAGS,
        Exact | Extra | Btf => 0,
    };
    let target = match more {
        // Which program's function is replaced only whoever loads it can say; of which
        // name, he may.
        Btf if prog_type == EXT && matches!(rest, "" | "/") => None,
        Btf | BtfSleepable => {
            let what = "section name lacks the attach target";
            let name = rest.strip_prefix('/').filter(|name| !name.is_empty());
            Some(target(
                attach_type,
                name.ok_or_else(|| LowerError::new(what))?,
            ))
        }
        _ => None,
    };
    Ok(Sec {
        prog_type,
        attach_type,
        prog_flags,
        target,
    })
}

/// What follows a definition's name in that of a section; none if it is another's.
fn rest<'s>(section: &'s str, (name, _, _, more): &Def) -> Option<&'s str> {
    let rest = section.strip_prefix(name)?;
    let exact = matches!(more, Exact | ExactSleepable | Frags);
    (rest.is_empty() || !exact && rest.starts_with('/')).then_some(rest)
}

/// Name and kind of what a program is attached to, in kernel BTF.
fn target(attach_type: u32, name: &str) -> (String, u32) {
    // "vmlinux:name" is where a plain name is searched anyway.
    let name = name.strip_prefix("vmlinux:").unwrap_or(name);
    let (prefix, kind) = match attach_type {
        BPF_TRACE_RAW_TP => ("btf_trace_", kind::TYPEDEF),
        BPF_LSM_MAC | BPF_LSM_CGROUP => ("bpf_lsm_", kind::FUNC),
        BPF_TRACE_ITER => ("bpf_iter_", kind::FUNC),
        _ => ("", kind::FUNC),
    };
    (format!("{prefix}{name}"), kind)
}
