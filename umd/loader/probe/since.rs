// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first kernels with what came after 5.10, by number in its enum of the uapi
//! `linux/bpf.h`. What is not here no release is certain of.

use crate::grants::Set;

/// The first kernel that has numbers from this one on.
type Since = &'static [(u32, &'static str)];

/// From `token_create` on.
const CMDS: Since = &[(36, "6.9"), (37, "6.17"), (38, "")];
/// From `task_storage` on.
const MAPS: Since = &[
    (29, "5.11"),
    (30, "5.16"),
    (31, "6.1"),
    (32, "6.2"),
    (33, "6.9"),
    (34, "6.19"),
    (35, ""),
];
/// From `syscall` on.
const PROGS: Since = &[(31, "5.14"), (32, "6.4"), (33, "")];
/// From `sk_skb_verdict` on.
const ATTACHS: Since = &[
    (38, "5.13"),
    (39, "5.14"),
    (41, "5.15"),
    (42, "5.18"),
    (43, "6.0"),
    (44, "6.4"),
    (46, "6.6"),
    (49, "6.7"),
    (56, "6.10"),
    (57, "6.13"),
    (58, ""),
];

/// The first kernel with this number, if it is known.
pub(super) fn number(set: Set, number: u32) -> Option<&'static str> {
    let table = match set {
        Set::Cmds => CMDS,
        Set::Maps => MAPS,
        Set::Progs => PROGS,
        Set::Attachs => ATTACHS,
    };
    let last = table.iter().rev().find(|(first, _)| *first <= number);
    last.map(|(_, since)| *since)
        .filter(|since| !since.is_empty())
}

/// Helpers since 5.11, of which there have been no new ones since 6.2.
pub(super) const HELPERS: &[(&str, &str)] = &[
    (
        "5.11",
        "task_storage_get task_storage_delete get_current_task_btf bprm_opts_set ktime_get_coarse_ns \
         ima_inode_hash sock_from_file",
    ),
    ("5.12", "check_mtu"),
    ("5.13", "for_each_map_elem snprintf"),
    ("5.14", "sys_bpf btf_find_by_name_kind sys_close"),
    (
        "5.15",
        "timer_init timer_set_callback timer_start timer_cancel get_func_ip get_attach_cookie \
         task_pt_regs",
    ),
    (
        "5.16",
        "get_branch_snapshot trace_vprintk skc_to_unix_sock kallsyms_lookup_name",
    ),
    (
        "5.17",
        "find_vma loop strncmp get_func_arg get_func_ret get_func_arg_cnt",
    ),
    (
        "5.18",
        "get_retval set_retval xdp_get_buff_len xdp_load_bytes xdp_store_bytes copy_from_user_task \
         skb_set_tstamp ima_file_hash",
    ),
    (
        "5.19",
        "kptr_xchg map_lookup_percpu_elem skc_to_mptcp_sock dynptr_from_mem ringbuf_reserve_dynptr \
         ringbuf_submit_dynptr ringbuf_discard_dynptr dynptr_read dynptr_write dynptr_data",
    ),
    (
        "6.0",
        "tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6 tcp_raw_check_syncookie_ipv4 \
         tcp_raw_check_syncookie_ipv6",
    ),
    ("6.1", "ktime_get_tai_ns user_ringbuf_drain"),
    ("6.2", "cgrp_storage_get cgrp_storage_delete"),
];

/// What iterators list, with the first kernel that does.
pub(super) const ITERATORS: &[(&str, &str)] = &[
    ("bpf_map", "5.8"),
    ("ipv6_route", "5.8"),
    ("netlink", "5.8"),
    ("task", "5.8"),
    ("task_file", "5.8"),
    ("bpf_map_elem", "5.9"),
    ("bpf_prog", "5.9"),
    ("bpf_sk_storage_map", "5.9"),
    ("tcp", "5.9"),
    ("udp", "5.9"),
    ("sockmap", "5.10"),
    ("task_vma", "5.12"),
    ("unix", "5.16"),
    ("bpf_link", "5.19"),
    ("ksym", "6.0"),
    ("cgroup", "6.1"),
    ("kmem_cache", "6.13"),
    ("dmabuf", "6.16"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_is_that_of_a_neighbour() {
        for (set, word, since) in [
            (Set::Cmds, "prog_bind_map", None),
            (Set::Cmds, "token_create", Some("6.9")),
            (Set::Maps, "inode_storage", None),
            (Set::Maps, "task_storage", Some("5.11")),
            (Set::Maps, "arena", Some("6.9")),
            (Set::Maps, "rhash", None),
            (Set::Progs, "sk_lookup", None),
            (Set::Progs, "netfilter", Some("6.4")),
            (Set::Attachs, "xdp", None),
            (Set::Attachs, "sk_reuseport_select_or_migrate", Some("5.14")),
            (Set::Attachs, "netfilter", Some("6.4")),
            (Set::Attachs, "tcx_egress", Some("6.6")),
            (Set::Attachs, "trace_uprobe_multi", Some("6.6")),
            (Set::Attachs, "netkit_peer", Some("6.7")),
            (Set::Attachs, "trace_uprobe_session", Some("6.13")),
            (Set::Attachs, "trace_fsession", None),
        ] {
            let bit = set.parse(word).expect(word).trailing_zeros();
            assert_eq!(number(set, bit), since, "{word}");
        }
        let helpers = HELPERS
            .iter()
            .flat_map(|(_, names)| names.split_whitespace());
        // From 156 to 211.
        assert_eq!(helpers.count(), 56);
    }
}
