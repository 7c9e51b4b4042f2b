// SPDX-License-Identifier: MIT OR Apache-2.0
//! The layouts that the blob shares with others, against those others: the
//! installed `linux/bpf.h`, the running kernel's own BTF, and the shim's header.

use std::io::Write;
use std::process::{Command, Stdio};

use bpf_preload_umd::driver;
use bpf_preload_umd::error::LINE_MAX;
use bpf_preload_umd::sys::attr::{
    BPF_F_TOKEN_FD, BtfInfo, BtfLoad, GetId, LinkCreate, LinkCreateMulti, LinkCreateTcx,
    LinkCreateUprobeMulti, LinkDetach, LinkInfo, LinkInfoTcx, LinkUpdate, MapCreate, MapElem,
    MapFreeze, MapInfo, ObjGetInfo, ObjPin, PerfEvent, ProgAttach, ProgBindMap, ProgInfo, ProgLoad,
    ProgQuery, RawTracepoint, TOKEN_AT, TokenCreate, TokenInfo, cmd,
};
use bpf_preload_umd::sys::pod::Attr;

use crate::btf_reader::Reader;

/// Name, offset and size of a field.
type Field = (&'static str, usize, usize);

/// A struct of `sys/attr.rs`: what C calls it, the member that its fields are
/// in, fields of other names, its fields, and its end.
struct Layout {
    c: &'static str,
    within: &'static str,
    renamed: &'static [(&'static str, &'static str)],
    fields: &'static [Field],
    end: usize,
}

macro_rules! layout {
    ($name:ident, $c:literal, $within:literal $(, $ours:literal is $theirs:literal)*) => {
        Layout {
            c: $c,
            within: $within,
            renamed: &[$(($ours, $theirs)),*],
            fields: $name::FIELDS,
            end: <$name as Attr>::END,
        }
    };
}

fn layouts() -> Vec<Layout> {
    vec![
        layout!(MapCreate, "union bpf_attr", ""),
        // The hole in front of the aligned key has no name in C.
        layout!(MapElem, "union bpf_attr", "", "pad" is ""),
        layout!(MapFreeze, "union bpf_attr", ""),
        layout!(ProgLoad, "union bpf_attr", ""),
        layout!(ObjPin, "union bpf_attr", ""),
        layout!(BtfLoad, "union bpf_attr", ""),
        layout!(GetId, "union bpf_attr", "", "id" is "btf_id"),
        layout!(GetId, "union bpf_attr", "", "id" is "start_id"),
        layout!(LinkCreate, "union bpf_attr", "link_create."),
        layout!(LinkCreateMulti, "union bpf_attr", "link_create.",
            "multi_flags" is "kprobe_multi.flags", "cnt" is "kprobe_multi.cnt",
            "syms" is "kprobe_multi.syms", "addrs" is "kprobe_multi.addrs"),
        layout!(RawTracepoint, "union bpf_attr", "raw_tracepoint."),
        // Its flags are bits, which have no offset in C.
        layout!(PerfEvent, "struct perf_event_attr", "", "event_type" is "type", "flags" is ""),
        layout!(ObjGetInfo, "union bpf_attr", "info."),
        layout!(BtfInfo, "struct bpf_btf_info", ""),
        layout!(MapInfo, "struct bpf_map_info", "", "map_type" is "type"),
        layout!(LinkInfo, "struct bpf_link_info", "", "link_type" is "type"),
        layout!(LinkUpdate, "union bpf_attr", "link_update."),
        layout!(ProgBindMap, "union bpf_attr", "prog_bind_map."),
        layout!(LinkDetach, "union bpf_attr", "link_detach."),
        // The kernel's flags are bits of the word that has no name.
        layout!(ProgInfo, "struct bpf_prog_info", "", "prog_type" is "type", "gpl_compatible" is ""),
    ]
}

/// Those that have fields of 6.6, which an older `linux/bpf.h` lacks.
fn layouts_since_6_6() -> Vec<Layout> {
    vec![
        layout!(ProgAttach, "union bpf_attr", ""),
        layout!(ProgQuery, "union bpf_attr", "query.", "pad" is ""),
        layout!(LinkCreateTcx, "union bpf_attr", "link_create.",
            "relative_fd" is "tcx.relative_fd", "pad" is "",
            "expected_revision" is "tcx.expected_revision"),
        layout!(LinkCreateUprobeMulti, "union bpf_attr", "link_create.",
            "path" is "uprobe_multi.path", "offsets" is "uprobe_multi.offsets",
            "ref_ctr_offsets" is "uprobe_multi.ref_ctr_offsets",
            "cookies" is "uprobe_multi.cookies", "cnt" is "uprobe_multi.cnt",
            "multi_flags" is "uprobe_multi.flags", "pid" is "uprobe_multi.pid"),
        layout!(LinkInfoTcx, "struct bpf_link_info", "", "link_type" is "type", "pad" is "",
            "ifindex" is "tcx.ifindex", "attach_type" is "tcx.attach_type"),
    ]
}

impl Layout {
    /// Path of each field in C, with its offset and size.
    fn paths(&self) -> Vec<(String, usize, usize)> {
        let renamed = |ours: &'static str| {
            let found = self.renamed.iter().find(|name| name.0 == ours);
            found.map_or(ours, |name| name.1)
        };
        let fields = self
            .fields
            .iter()
            .map(|(name, at, size)| (renamed(name), *at, *size));
        let named = fields.filter(|field| !field.0.is_empty());
        named
            .map(|(name, at, size)| (format!("{}{name}", self.within), at, size))
            .collect()
    }
}

impl Layout {
    fn asserts(&self) -> String {
        let c = self.c;
        let paths = self.paths().into_iter();
        paths
            .map(|(path, at, size)| {
                assert(&format!("offsetof({c}, {path}) == {at}"))
                    + &assert(&format!("sizeof((({c} *)0)->{path}) == {size}"))
            })
            .collect()
    }
}

/// Whether the C compiler takes it; its messages.
fn compiles(source: &str) -> Result<(), String> {
    let mut cc = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".into()))
        .args([
            "-std=gnu11",
            "-Wall",
            "-Werror",
            "-fsyntax-only",
            "-x",
            "c",
            "-I",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/kmod-shim"))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cc cannot be run: install a C compiler, or set CC");
    cc.stdin
        .take()
        .unwrap()
        .write_all(source.as_bytes())
        .unwrap();
    let output = cc.wait_with_output().unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn assert(condition: &str) -> String {
    format!("_Static_assert({condition}, {condition:?});\n")
}

/// A C source that compiles if all is as in `linux/bpf.h`.
fn uapi_source() -> String {
    let mut source =
        "#include <stddef.h>\n#include <linux/bpf.h>\n#include <linux/perf_event.h>\n".to_string();
    source += &layouts().iter().map(Layout::asserts).collect::<String>();
    let since: String = layouts_since_6_6().iter().map(Layout::asserts).collect();
    source += "#include <linux/version.h>\n#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)\n";
    source += &format!("{since}#endif\n");
    for (command, number) in [
        ("MAP_CREATE", cmd::MAP_CREATE),
        ("MAP_UPDATE_ELEM", cmd::MAP_UPDATE_ELEM),
        ("PROG_LOAD", cmd::PROG_LOAD),
        ("OBJ_PIN", cmd::OBJ_PIN),
        ("OBJ_GET", cmd::OBJ_GET),
        ("OBJ_GET_INFO_BY_FD", cmd::OBJ_GET_INFO_BY_FD),
        ("BTF_LOAD", cmd::BTF_LOAD),
        ("BTF_GET_FD_BY_ID", cmd::BTF_GET_FD_BY_ID),
        ("MAP_FREEZE", cmd::MAP_FREEZE),
        ("BTF_GET_NEXT_ID", cmd::BTF_GET_NEXT_ID),
        ("LINK_CREATE", cmd::LINK_CREATE),
        ("PROG_ATTACH", cmd::PROG_ATTACH),
        ("PROG_DETACH", cmd::PROG_DETACH),
        ("PROG_GET_FD_BY_ID", cmd::PROG_GET_FD_BY_ID),
        ("PROG_QUERY", cmd::PROG_QUERY),
        ("LINK_UPDATE", cmd::LINK_UPDATE),
        ("LINK_GET_FD_BY_ID", cmd::LINK_GET_FD_BY_ID),
        ("LINK_DETACH", cmd::LINK_DETACH),
        ("PROG_BIND_MAP", cmd::PROG_BIND_MAP),
        ("MAP_DELETE_ELEM", cmd::MAP_DELETE_ELEM),
        ("RAW_TRACEPOINT_OPEN", cmd::RAW_TRACEPOINT_OPEN),
    ] {
        source += &assert(&format!("BPF_{command} == {number}"));
    }
    source
}

#[test]
fn no_field_is_elsewhere_in_the_installed_linux_bpf_h() {
    if let Err(messages) = compiles(&uapi_source()) {
        panic!("{messages}");
    }
}

#[test]
fn a_field_that_is_elsewhere_does_not_compile() {
    let source = uapi_source();
    // The check is able to fail, for an offset, a size, a command and a name.
    for (right, wrong) in [
        ("attach_btf_id) == 108", "attach_btf_id) == 104"),
        ("->prog_name) == 16", "->prog_name) == 15"),
        ("BPF_LINK_CREATE == 28", "BPF_LINK_CREATE == 29"),
        ("map_flags", "map_flag"),
    ] {
        assert!(source.contains(right), "{right}");
        assert!(compiles(&source.replace(right, wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn no_field_ends_behind_the_length_that_is_passed() {
    for layout in layouts().into_iter().chain(layouts_since_6_6()) {
        let end = layout.fields.iter().map(|(_, at, size)| at + size).max();
        assert_eq!(end, Some(layout.end), "{}{}", layout.c, layout.within);
    }
}

#[test]
fn no_field_is_elsewhere_in_the_running_kernel() {
    let path = "/sys/kernel/btf/vmlinux";
    if !std::path::Path::new(path).exists() {
        eprintln!("skipped: {path} is not there (CONFIG_DEBUG_INFO_BTF)");
        return;
    }
    let btf = std::fs::read(path).unwrap();
    let reader = Reader::new(&btf);
    let mut seen = 0;
    // A kernel that has no tcx has no such link's data.
    let since = reader
        .types()
        .iter()
        .any(|ty| ty.0 == "tcx_link")
        .then(layouts_since_6_6);
    for layout in layouts().into_iter().chain(since.unwrap_or_default()) {
        let root = reader.find(layout.c.split_once(' ').unwrap().1);
        for (path, at, size) in layout.paths() {
            let found = reader.member(root, &path);
            // What a kernel has never heard of it is not asked about, either.
            let (bits, bytes) = found.unwrap_or_else(|| panic!("{} {path} is missing", layout.c));
            assert_eq!(
                (bits, bytes),
                (8 * at as u32, size as u32),
                "{} {path}",
                layout.c
            );
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen} fields");
    assert!(
        reader
            .member(reader.find("bpf_attr"), "no_such_field")
            .is_none()
    );
}

/// Struct, name, offset and size of each field that has to do with a token.
fn token_fields() -> impl Iterator<Item = (&'static str, String, usize, usize)> {
    let create = TokenCreate::FIELDS.iter();
    let create =
        create.map(|(name, at, size)| ("bpf_attr", format!("token_create.{name}"), *at, *size));
    let info = TokenInfo::FIELDS.iter();
    let info = info.map(|(name, at, size)| ("bpf_token_info", name.to_string(), *at, *size));
    let taken = TOKEN_AT.into_iter().flat_map(|at| [at.flags, at.fd]);
    let taken = taken.map(|(name, at)| ("bpf_attr", name.to_string(), at, 4));
    create.chain(info).chain(taken)
}

#[test]
fn no_token_field_is_elsewhere_in_linux_bpf_h() {
    let source = |condition: &str| {
        format!(
            "#include <stddef.h>\n#include <linux/bpf.h>\n{}",
            assert(condition)
        )
    };
    if compiles(&source("BPF_TOKEN_CREATE >= 0")).is_err() {
        eprintln!("skipped: the installed linux/bpf.h has no BPF_TOKEN_CREATE (since 6.9)");
        return;
    }
    let mut conditions = vec![
        format!("BPF_TOKEN_CREATE == {}", cmd::TOKEN_CREATE),
        format!("BPF_F_TOKEN_FD == {BPF_F_TOKEN_FD}"),
    ];
    let newer = compiles(&source("sizeof(struct bpf_token_info) > 0")).is_ok();
    for (of, field, at, size) in token_fields() {
        let c = if of == "bpf_attr" {
            "union bpf_attr"
        } else {
            "struct bpf_token_info"
        };
        if newer || of == "bpf_attr" && field != "fd_by_id_token_fd" {
            conditions.push(format!("offsetof({c}, {field}) == {at}"));
            conditions.push(format!("sizeof((({c} *)0)->{field}) == {size}"));
        }
    }
    for condition in conditions {
        assert_eq!(compiles(&source(&condition)), Ok(()), "{condition}");
    }
    assert!(compiles(&source("offsetof(union bpf_attr, prog_token_fd) == 148")).is_err());
}

#[test]
fn no_token_field_is_elsewhere_in_the_running_kernel() {
    let Ok(btf) = std::fs::read("/sys/kernel/btf/vmlinux") else {
        eprintln!("skipped: no kernel BTF (CONFIG_DEBUG_INFO_BTF)");
        return;
    };
    let reader = Reader::new(&btf);
    let has = |name: &str| reader.types().iter().any(|ty| ty.0 == name);
    if !has("bpf_token") {
        eprintln!("skipped: this kernel has no tokens (since 6.9)");
        return;
    }
    let newer = has("bpf_token_info");
    for (of, field, at, size) in token_fields() {
        if newer || of == "bpf_attr" && field != "fd_by_id_token_fd" {
            let found = reader.member(reader.find(of), &field);
            assert_eq!(found, Some((8 * at as u32, size as u32)), "{of} {field}");
        }
    }
}

#[test]
fn the_wire_is_the_shims() {
    let mut source = "#include <stddef.h>\n#include \"wire.h\"\n".to_string();
    for condition in [
        format!("PRELOAD_START == {:#x}u", driver::START),
        format!("PRELOAD_END == {:#x}u", driver::END),
        format!("PRELOAD_NAME_LEN == {}", driver::NAME_LEN),
        format!("sizeof(struct preload_record) == {}", driver::RECORD_BYTES),
        "offsetof(struct preload_record, link_name) == 0".to_string(),
        format!(
            "offsetof(struct preload_record, link_id) == {}",
            driver::NAME_LEN
        ),
        // A line with its newline.
        format!("PRELOAD_LOG_MAX >= {}", LINE_MAX + 1),
    ] {
        source += &assert(&condition);
    }
    if let Err(messages) = compiles(&source) {
        panic!("{messages}");
    }
    assert!(compiles(&source.replace("0x5555u", "0x5556u")).is_err());
}
