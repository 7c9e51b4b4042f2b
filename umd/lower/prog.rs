// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs: what they are (section name), what they are called when
//! attached (link name), and what they consist of.

use std::collections::{HashMap, HashSet};

use crate::btf::{Btf, kind};
use crate::emit::essential_name;
use crate::error::{LowerError, Result, printable};
use crate::func::{Func, Funcs};
use crate::link::{Linked, link};
use crate::sec::{self, Sec};
use crate::struct_ops::Use;

/// `btf_decl_tag("link_name:NAME")` on a program names the file of its link.
const LINK_NAME: &[u8] = b"link_name:";
/// `btf_decl_tag("exception_callback:NAME")` on a program: what `bpf_throw()` goes to.
const EXCEPTION_CALLBACK: &[u8] = b"exception_callback:";
/// The link name is part of a 16-byte field with a NUL (`kmod-shim/wire.h`).
const LINK_NAME_BYTES: usize = 15;
/// Most instructions of all programs together, so that a few functions that many
/// programs share cannot fill memory.
const MAX_INSNS: usize = 4 << 20;

pub(crate) struct Prog<'f> {
    pub(crate) name: &'f str,
    /// Name of its section, without the `?` of one that is left out.
    pub(crate) section: &'f str,
    /// Index of its function.
    pub(crate) func: usize,
    /// Empty: not attached.
    pub(crate) link_name: Vec<u8>,
    pub(crate) sec: Sec,
    pub(crate) linked: Linked<'f>,
}

/// The programs by section and place in it.
///
/// `uses` are the functions in maps of struct_ops, `unwanted` those in maps that are left alone.
pub(crate) fn collect<'f>(
    funcs: &'f Funcs,
    btf: &Btf,
    uses: &[Use<'_>],
    unwanted: &HashSet<(usize, u64)>,
) -> Result<Vec<Prog<'f>>> {
    let mut link_names = link_names(btf)?;
    let callbacks = exception_callbacks(btf);
    // The first of several of a place, as if they were searched one by one.
    let uses: HashMap<_, _> = uses.iter().rev().map(|used| (used.place, used)).collect();
    let mut taken = HashSet::new();
    let mut progs = Vec::new();
    let mut insns = 0;
    for (index, func) in funcs.0.iter().enumerate().filter(|(_, f)| !f.is_subprog()) {
        let locate = |e| func.locate(0, e);
        let (optional, name) = match func.section_name.strip_prefix('?') {
            Some(name) => (true, name),
            None => (false, func.section_name),
        };
        let mut sec = match sec::find(name) {
            // A map decides about its programs, whatever their sections say.
            Ok(sec) if !optional || sec.is_struct_ops() => sec,
            Err(error) if !optional => return Err(locate(error)),
            _ => continue,
        };
        if sec.is_struct_ops() {
            let place = (func.section, 8 * u64::from(func.start));
            let Some(used) = uses.get(&place) else {
                if optional || unwanted.contains(&place) {
                    continue;
                }
                // Nothing to be checked against: libbpf would try, and the kernel refuse.
                return Err(locate(LowerError::new(
                    "program of struct_ops that is in no map",
                )));
            };
            let name = essential_name(btf.name(used.type_id));
            sec.target = Some((String::from_utf8_lossy(name).into_owned(), kind::STRUCT));
        }
        let type_id = func.func_info.first().map_or(0, |(_, id)| *id);
        let link_name = link_names.remove(&type_id).unwrap_or_default();
        if !link_name.is_empty() && !taken.insert(link_name.clone()) {
            return Err(locate(LowerError::new(
                "link name is taken by another program",
            )));
        }
        // Of two the verifier will say that they are one too many.
        let callback = match callbacks.get(&type_id).map(Vec::as_slice) {
            Some([name]) => Some(exception_callback(funcs, name).map_err(locate)?),
            _ => None,
        };
        let linked = link(funcs, index, callback)?;
        insns += linked.insns.len();
        if insns > MAX_INSNS {
            let what = format!("programs of more than {MAX_INSNS} instructions in all");
            return Err(locate(LowerError::new(what)));
        }
        progs.push(Prog {
            name: func.name,
            section: name,
            func: index,
            link_name,
            sec,
            linked,
        });
    }
    // Lowest first: the message must not depend on the hash.
    if let Some(id) = link_names.into_keys().min() {
        let what = "link name on something that is no program";
        return Err(LowerError::new(what).section(".BTF").symbol(btf.name(id)));
    }
    Ok(progs)
}

/// By type what `btf_decl_tag("exception_callback:NAME")` on it names.
fn exception_callbacks<'a>(btf: &Btf<'a>) -> HashMap<u32, Vec<&'a [u8]>> {
    let mut names = HashMap::<_, Vec<_>>::new();
    for (_, tag) in btf.iter().filter(|(_, ty)| ty.is(kind::DECL_TAG)) {
        if let Some(name) = btf.str(tag.name).strip_prefix(EXCEPTION_CALLBACK)
            && tag.extra() == u32::MAX
        {
            names.entry(tag.third).or_default().push(name);
        }
    }
    // A program without a type has no tags.
    names.remove(&0);
    names
}

/// Index of a program's exception callback: a global function in `.text`.
fn exception_callback(funcs: &Funcs, name: &[u8]) -> Result<usize> {
    let is = |f: &Func| f.is_subprog() && !f.local && !f.hidden && f.name.as_bytes() == name;
    let what = || {
        let name = printable(name);
        LowerError::new(format!(
            "no global function {name} for an exception callback"
        ))
    };
    funcs.0.iter().position(is).ok_or_else(what)
}

pub(crate) fn is_link_name(tag: &[u8]) -> bool {
    tag.starts_with(LINK_NAME)
}

/// Link names by the type that they are on.
fn link_names(btf: &Btf) -> Result<HashMap<u32, Vec<u8>>> {
    let mut names = HashMap::new();
    for (_, tag) in btf.iter().filter(|(_, ty)| ty.is(kind::DECL_TAG)) {
        let Some(name) = btf.str(tag.name).strip_prefix(LINK_NAME) else {
            continue;
        };
        let wrong = |what: &str| {
            LowerError::new(what)
                .section(".BTF")
                .symbol(btf.name(tag.third))
        };
        // The index counts parameters and members; -1 is the function itself.
        if tag.extra() != u32::MAX || !btf.ty(tag.third).is(kind::FUNC) {
            return Err(wrong("link name on something that is no program"));
        }
        if !(1..=LINK_NAME_BYTES).contains(&name.len()) {
            return Err(wrong("link name is not 1 to 15 bytes long"));
        }
        let graphic = name.iter().all(|b| b.is_ascii_graphic() && *b != b'/');
        if !graphic || [b".".as_slice(), b".."].contains(&name) {
            return Err(wrong("link name cannot be a file name"));
        }
        if names.insert(tag.third, name.to_vec()).is_some() {
            return Err(wrong("two link names"));
        }
    }
    Ok(names)
}
