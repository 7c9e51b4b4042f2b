// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a bpffs delegates and a token allows: a bit for each bpf() command, map type,
//! program type and attach type; their words, and which of them an object needs.
//!
//! The words are the kernel's, those of its mount options: enumerators of the uapi
//! `linux/bpf.h` without their prefix, in lower case. To the kernel they go as numbers,
//! so that it needs no BTF to understand them.

use std::fmt;
use std::path::Path;

use bpf_preload_umd::sys::attr::cmd;
use preload_image::Image;

use crate::failure::Failure;

/// One of the four sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// Of `enum bpf_cmd`.
    Cmds,
    /// Of `enum bpf_map_type`.
    Maps,
    /// Of `enum bpf_prog_type`.
    Progs,
    /// Of `enum bpf_attach_type`.
    Attachs,
}

/// All of them, in the kernel's order.
pub const SETS: [Set; 4] = [Set::Cmds, Set::Maps, Set::Progs, Set::Attachs];

/// From bit 0 on, up to 7.3.
const CMDS: &str = "map_create map_lookup_elem map_update_elem map_delete_elem map_get_next_key \
    prog_load obj_pin obj_get prog_attach prog_detach prog_test_run prog_get_next_id \
    map_get_next_id prog_get_fd_by_id map_get_fd_by_id obj_get_info_by_fd prog_query \
    raw_tracepoint_open btf_load btf_get_fd_by_id task_fd_query map_lookup_and_delete_elem \
    map_freeze btf_get_next_id map_lookup_batch map_lookup_and_delete_batch map_update_batch \
    map_delete_batch link_create link_update link_get_fd_by_id link_get_next_id enable_stats \
    iter_create link_detach prog_bind_map token_create prog_stream_read_by_fd \
    prog_assoc_struct_ops";
const MAPS: &str = "unspec hash array prog_array perf_event_array percpu_hash percpu_array \
    stack_trace cgroup_array lru_hash lru_percpu_hash lpm_trie array_of_maps hash_of_maps devmap \
    sockmap cpumap xskmap sockhash cgroup_storage_deprecated reuseport_sockarray \
    percpu_cgroup_storage_deprecated queue stack sk_storage devmap_hash struct_ops ringbuf \
    inode_storage task_storage bloom_filter user_ringbuf cgrp_storage arena insn_array rhash";
const PROGS: &str = "unspec socket_filter kprobe sched_cls sched_act tracepoint xdp perf_event \
    cgroup_skb cgroup_sock lwt_in lwt_out lwt_xmit sock_ops sk_skb cgroup_device sk_msg \
    raw_tracepoint cgroup_sock_addr lwt_seg6local lirc_mode2 sk_reuseport flow_dissector \
    cgroup_sysctl raw_tracepoint_writable cgroup_sockopt tracing struct_ops ext lsm sk_lookup \
    syscall netfilter";
const ATTACHS: &str = "cgroup_inet_ingress cgroup_inet_egress cgroup_inet_sock_create \
    cgroup_sock_ops sk_skb_stream_parser sk_skb_stream_verdict cgroup_device sk_msg_verdict \
    cgroup_inet4_bind cgroup_inet6_bind cgroup_inet4_connect cgroup_inet6_connect \
    cgroup_inet4_post_bind cgroup_inet6_post_bind cgroup_udp4_sendmsg cgroup_udp6_sendmsg \
    lirc_mode2 flow_dissector cgroup_sysctl cgroup_udp4_recvmsg cgroup_udp6_recvmsg \
    cgroup_getsockopt cgroup_setsockopt trace_raw_tp trace_fentry trace_fexit modify_return \
    lsm_mac trace_iter cgroup_inet4_getpeername cgroup_inet6_getpeername \
    cgroup_inet4_getsockname cgroup_inet6_getsockname xdp_devmap cgroup_inet_sock_release \
    xdp_cpumap sk_lookup xdp sk_skb_verdict sk_reuseport_select sk_reuseport_select_or_migrate \
    perf_event trace_kprobe_multi lsm_cgroup struct_ops netfilter tcx_ingress tcx_egress \
    trace_uprobe_multi cgroup_unix_connect cgroup_unix_sendmsg cgroup_unix_recvmsg \
    cgroup_unix_getpeername cgroup_unix_getsockname netkit_primary netkit_peer \
    trace_kprobe_session trace_uprobe_session trace_fsession trace_fentry_multi \
    trace_fexit_multi trace_fsession_multi";

/// Other words of the kernel for the same bits.
const ALIASES: [(&str, &str); 3] = [
    ("prog_run", "prog_test_run"),
    ("cgroup_storage", "cgroup_storage_deprecated"),
    ("percpu_cgroup_storage", "percpu_cgroup_storage_deprecated"),
];

const BPF_PROG_TYPE_CGROUP_SOCK: u32 = 9;
const BPF_PROG_TYPE_SK_REUSEPORT: u32 = 21;
const BPF_CGROUP_INET_SOCK_CREATE: u32 = 2;
const BPF_SK_REUSEPORT_SELECT: u32 = 39;

/// Words shown of a longer list.
const SHOWN: usize = 12;

impl Set {
    /// The mount option.
    #[must_use]
    pub fn option(self) -> &'static str {
        self.names().0
    }

    /// What its elements are, for people.
    #[must_use]
    pub fn what(self) -> &'static str {
        self.names().1
    }

    /// Option, plural, words, and systemd's setting with its prefix of words.
    fn names(
        self,
    ) -> (
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
    ) {
        match self {
            Set::Cmds => (
                "delegate_cmds",
                "commands",
                CMDS,
                "BPFDelegateCommands",
                "BPF",
            ),
            Set::Maps => (
                "delegate_maps",
                "map types",
                MAPS,
                "BPFDelegateMaps",
                "BPFMapType",
            ),
            Set::Progs => (
                "delegate_progs",
                "program types",
                PROGS,
                "BPFDelegatePrograms",
                "BPFProgType",
            ),
            Set::Attachs => (
                "delegate_attachs",
                "attach types",
                ATTACHS,
                "BPFDelegateAttachments",
                "BPF",
            ),
        }
    }

    /// The word for a bit; a number where it is newer than this file.
    #[must_use]
    pub fn word(self, bit: u32) -> String {
        match self.names().2.split_whitespace().nth(bit as usize) {
            Some(word) => word.to_owned(),
            None => bit.to_string(),
        }
    }

    /// The bits that a list says: words, `any`, and numbers that are masks, joined by `:` or
    /// `,`. Unlike in the kernel a number does not overwrite what stands before it.
    ///
    /// # Errors
    /// A word that is none.
    pub fn parse(self, list: &str) -> Result<u64, Failure> {
        let mut bits = 0;
        for part in list.split([':', ',']) {
            let word = part.trim().to_ascii_lowercase();
            let alias = ALIASES.iter().find(|alias| alias.0 == word);
            let word = alias.map_or(&*word, |alias| alias.1);
            let known = self
                .names()
                .2
                .split_whitespace()
                .position(|name| name == word);
            let number = match word.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16).ok(),
                None => word.parse().ok(),
            };
            bits |= match (known, number) {
                _ if word == "any" => u64::MAX,
                (Some(bit), _) => 1 << bit,
                (_, Some(mask)) => mask,
                _ => {
                    let what = format!("{}: no word of the kernel: {part:?}", self.option());
                    return Err(Failure::new(what));
                }
            };
        }
        Ok(bits)
    }

    /// Number of those that kernels up to 7.3 know.
    pub(crate) fn count(self) -> u32 {
        self.names().2.split_whitespace().count() as u32
    }

    /// Bits that kernels up to 7.3 know.
    fn known(self) -> u64 {
        (1 << self.count()) - 1
    }

    /// The words for some bits; `any` if these are all that this file knows.
    fn words(self, bits: u64) -> Vec<String> {
        if bits & self.known() == self.known() {
            return vec!["any".to_owned()];
        }
        let known = (0..64).filter(|bit| bits & self.known() & 1 << bit != 0);
        let mut words: Vec<_> = known.map(|bit| self.word(bit)).collect();
        let unknown = bits & !self.known();
        if unknown != 0 {
            words.push(format!("{unknown:#x}"));
        }
        words
    }

    /// A list for a message: all of a short one.
    #[must_use]
    pub fn list(self, bits: u64) -> String {
        let words = self.words(bits);
        match words.len() {
            0 => "none".to_owned(),
            1..=SHOWN => words.join(","),
            more => format!(
                "{},... ({more} in all)",
                words.get(..SHOWN).unwrap_or_default().join(",")
            ),
        }
    }
}

/// Bits of all four sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants([u64; 4]);

impl Grants {
    /// Of bits in the order of [`SETS`].
    #[must_use]
    pub fn new(bits: [u64; 4]) -> Self {
        Grants(bits)
    }

    /// The bits of a set.
    #[must_use]
    pub fn bits(&self, set: Set) -> u64 {
        let [cmds, maps, progs, attachs] = self.0;
        match set {
            Set::Cmds => cmds,
            Set::Maps => maps,
            Set::Progs => progs,
            Set::Attachs => attachs,
        }
    }

    /// The bits of the set of a mount option.
    pub(crate) fn bits_of(&self, option: &str) -> u64 {
        let set = SETS.into_iter().find(|set| set.option() == option);
        set.map_or(0, |set| self.bits(set))
    }

    /// Adds bits to a set.
    pub fn add(&mut self, set: Set, bits: u64) {
        let [cmds, maps, progs, attachs] = &mut self.0;
        *match set {
            Set::Cmds => cmds,
            Set::Maps => maps,
            Set::Progs => progs,
            Set::Attachs => attachs,
        } |= bits;
    }

    /// Adds all of another's.
    pub fn add_all(&mut self, other: &Grants) {
        SETS.iter().for_each(|set| self.add(*set, other.bits(*set)));
    }

    /// Nothing at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// Is the bit of this number there? Numbers beyond 63 are in no set.
    #[must_use]
    pub fn has(&self, set: Set, bit: u32) -> bool {
        bit < 64 && self.bits(set) & 1 << bit != 0
    }

    /// The mount options that say so, without those that would say nothing.
    #[must_use]
    pub fn options(&self) -> Vec<(&'static str, String)> {
        let said = SETS.iter().filter(|set| self.bits(**set) != 0);
        said.map(|set| (set.option(), set.words(self.bits(*set)).join(":")))
            .collect()
    }

    /// The settings of a systemd unit that say so (since 258), with what they depend on.
    ///
    /// systemd's words are the enumerators in camel case; what it has no word for, and no
    /// number either, is returned besides.
    #[must_use]
    pub fn systemd(&self) -> (Vec<String>, Vec<String>) {
        let mut lines = vec!["PrivateUsers=yes".to_owned(), "PrivateBPF=yes".to_owned()];
        let mut unsaid = Vec::new();
        for set in SETS {
            let (_, _, _, setting, prefix) = set.names();
            let mut words = Vec::new();
            for word in set.words(self.bits(set)) {
                match &*word {
                    "any" => words.push(word),
                    _ if word.starts_with("0x") => unsaid.push(format!("{}={word}", set.option())),
                    _ => words.push(format!("{prefix}{}", camel_case(&word))),
                }
            }
            if !words.is_empty() {
                lines.push(format!("{setting}={}", words.join(",")));
            }
        }
        (lines, unsaid)
    }

    /// What a bpffs delegates, by its options as mountinfo shows them.
    ///
    /// # Errors
    /// A word that this file does not know.
    pub fn of_options(options: &str) -> Result<Self, Failure> {
        let mut grants = Grants::default();
        for option in options.split(',') {
            if let Some((name, list)) = option.split_once('=')
                && let Some(set) = SETS.into_iter().find(|set| set.option() == name)
            {
                grants.add(set, set.parse(list)?);
            }
        }
        Ok(grants)
    }

    /// The least that a load of this image needs. It has to be complete: where programs of
    /// struct_ops are attached depends on the kernel.
    ///
    /// What needs no more than fds (filling and freezing maps, pins, links) is not delegated.
    #[must_use]
    pub fn needed(image: &Image<'_>) -> Self {
        let mut grants = Grants::default();
        if !image.btf().is_empty() {
            grants.add(Set::Cmds, 1 << cmd::BTF_LOAD);
        }
        for map in image.maps().iter() {
            grants.add(Set::Cmds, 1 << cmd::MAP_CREATE);
            grants.add(Set::Maps, bit(map.map_type));
        }
        for prog in image.progs().iter() {
            let attach_type = attach_type(prog.prog_type, prog.attach_type);
            grants.add(Set::Cmds, 1 << cmd::PROG_LOAD);
            grants.add(Set::Progs, bit(prog.prog_type));
            grants.add(Set::Attachs, bit(attach_type));
        }
        grants
    }

    /// The least that loads of these object files need on this machine.
    ///
    /// # Errors
    /// A file that cannot be read or lowered.
    pub fn needed_by(files: &[impl AsRef<Path>]) -> Result<Self, Failure> {
        let mut grants = Grants::default();
        for file in files {
            let file = file.as_ref();
            let bytes = crate::object::lower(file)?;
            let bytes = crate::complete::complete(bytes).map_err(|failure| failure.within(file))?;
            grants.add_all(&Grants::needed(&crate::object::parse(&bytes)?));
        }
        Ok(grants)
    }
}

impl fmt::Display for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options();
        let options = options.iter().map(|(name, list)| format!("{name}={list}"));
        f.write_str(&options.collect::<Vec<_>>().join(","))
    }
}

/// The attach type that the kernel looks at: it sets these two itself where there is none.
#[must_use]
pub(crate) fn attach_type(prog_type: u32, attach_type: u32) -> u32 {
    match (prog_type, attach_type) {
        (BPF_PROG_TYPE_CGROUP_SOCK, 0) => BPF_CGROUP_INET_SOCK_CREATE,
        (BPF_PROG_TYPE_SK_REUSEPORT, 0) => BPF_SK_REUSEPORT_SELECT,
        (_, other) => other,
    }
}

/// No kernel has types beyond 63; an object may say so.
fn bit(number: u32) -> u64 {
    1u64.checked_shl(number).unwrap_or(0)
}

fn camel_case(words: &str) -> String {
    let mut upper = true;
    let mut out = String::new();
    for c in words.chars() {
        if c == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            out.push(c.to_ascii_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_of_words_is_misread() {
        for (set, list, bits) in [
            (Set::Cmds, "map_create", 1),
            (
                Set::Cmds,
                "map_create:prog_load,0x40000",
                1 | 1 << 5 | 1 << 18,
            ),
            (Set::Cmds, "PROG_RUN", 1 << 10),
            (Set::Maps, "cgroup_storage:rhash", 1 << 19 | 1 << 35),
            (Set::Progs, "netfilter", 1 << 32),
            (Set::Attachs, "trace_fsession_multi", 1 << 61),
            (Set::Attachs, "any", u64::MAX),
            (Set::Attachs, "0", 0),
        ] {
            assert_eq!(set.parse(list).ok(), Some(bits), "{list}");
        }
        for bad in [
            "",
            "hash:",
            "no_such",
            "-1",
            "0x",
            "0x10000000000000000",
            "any of them",
        ] {
            assert!(Set::Maps.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn grants_are_shown_as_others() {
        let shown = "delegate_cmds=map_create:prog_load:0x8000000000000000,delegate_maps=any";
        let grants = Grants::of_options(&format!("rw,uid=1,{shown}")).expect("parses");
        assert_eq!(grants.to_string(), shown);
        assert_eq!(grants.bits(Set::Progs), 0);
        let mut grants = Grants::default();
        grants.add(Set::Maps, 1 << 9);
        grants.add(Set::Attachs, 1 << 37 | 1 << 8 | 1 << 63);
        let (lines, unsaid) = grants.systemd();
        let [_, _, maps, attachs] = lines.as_slice() else {
            unreachable!("{lines:?}");
        };
        assert_eq!(maps, "BPFDelegateMaps=BPFMapTypeLruHash");
        assert_eq!(attachs, "BPFDelegateAttachments=BPFCgroupInet4Bind,BPFXdp");
        assert_eq!(unsaid, ["delegate_attachs=0x8000000000000000"]);
    }

    /// Each word against the enums of the running kernel: that is what it must mean there.
    #[test]
    fn word_is_not_the_kernels() {
        let Ok(kernel) = crate::kernel::Kernel::read() else {
            eprintln!("skipped: no kernel BTF");
            return;
        };
        for (set, of, prefix) in [
            (Set::Cmds, "bpf_cmd", "BPF_"),
            (Set::Maps, "bpf_map_type", "BPF_MAP_TYPE_"),
            (Set::Progs, "bpf_prog_type", "BPF_PROG_TYPE_"),
            (Set::Attachs, "bpf_attach_type", "BPF_"),
        ] {
            let values = kernel.enumerators(of.as_bytes()).expect("reads");
            let mut seen = 0;
            for (name, value) in &values {
                if name.starts_with("__") || *value >= 64 {
                    continue;
                }
                let word = name.strip_prefix(prefix).expect(of).to_lowercase();
                assert_eq!(set.parse(&word).ok(), Some(1 << value), "{name}");
                seen += 1;
            }
            assert!(seen > 25, "{of}: {seen}");
        }
    }
}
