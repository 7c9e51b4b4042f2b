// SPDX-License-Identifier: MIT OR Apache-2.0
//! BTF's types as C writes them, as far as a message needs it: functions and variables.

use bpf_preload_umd::btf::{Btf, kind};

/// Deep enough for a pointer to a function that takes one.
const DEPTH: u32 = 12;

/// `int (struct task_struct *, u64)`, of a type in this BTF. A struct that is
/// declared and not defined, which is another type for the kernel, is said to be so.
pub(crate) fn name(btf: &Btf<'_>, id: u32) -> String {
    declare(btf, id, String::new(), DEPTH)
}

/// The type around what it declares.
fn declare(btf: &Btf<'_>, id: u32, inner: String, depth: u32) -> String {
    let of = |what: &str| {
        let space = if inner.is_empty() || inner.starts_with('[') {
            ""
        } else {
            " "
        };
        format!("{what}{space}{inner}")
    };
    let Some(depth) = depth.checked_sub(1) else {
        return of("...");
    };
    if id == 0 {
        return of("void");
    }
    let t = btf.type_by_id(id);
    let name = String::from_utf8_lossy(btf.name(t));
    let next = btf.size_or_type(t);
    let tagged = |tag: &str| {
        of(&format!(
            "{tag} {}",
            if name.is_empty() { "(anon)" } else { &name }
        ))
    };
    match t.kind() {
        kind::PTR => {
            let target = btf.type_by_id(next);
            let inner = format!("*{inner}");
            match target.kind() {
                kind::ARRAY | kind::FUNC_PROTO if next != 0 => {
                    declare(btf, next, format!("({inner})"), depth)
                }
                _ => declare(btf, next, inner, depth),
            }
        }
        kind::ARRAY => {
            let (element, n) = btf.array(t);
            declare(btf, element, format!("{inner}[{n}]"), depth)
        }
        kind::FUNC_PROTO => {
            let params = (0..t.vlen()).map(|at| match btf.param(t, at) {
                0 => "...".to_owned(),
                param => declare(btf, param, String::new(), depth),
            });
            let params: Vec<_> = params.collect();
            let params = if params.is_empty() {
                "void".to_owned()
            } else {
                params.join(", ")
            };
            declare(btf, next, format!("{inner}({params})"), depth)
        }
        kind::FUNC => declare(btf, next, inner, depth),
        kind::STRUCT => tagged("struct"),
        kind::UNION => tagged("union"),
        kind::ENUM | kind::ENUM64 => tagged("enum"),
        kind::FWD => of(&format!(
            "{} {name} (declared only)",
            if t.kflag() { "union" } else { "struct" }
        )),
        kind::INT | kind::FLOAT | kind::TYPEDEF => of(&name),
        kind::CONST if btf.type_by_id(next).kind() == kind::PTR => declare(
            btf,
            next,
            format!("const {inner}").trim_end().to_owned(),
            depth,
        ),
        kind::CONST => format!("const {}", declare(btf, next, inner, depth)),
        // Volatile, restrict and tags make no other type here.
        _ if next != 0 => declare(btf, next, inner, depth),
        _ => of("?"),
    }
}
