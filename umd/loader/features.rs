// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel can do, found out by asking it: by the same [`Sys`] as the load
//! that wants to know, so that a token that the load has is asked with, too.

use std::cell::Cell;

use bpf_preload_umd::btf::kind;
use bpf_preload_umd::sys::{Errno, Sys, bpf};

use crate::btf::assemble;
use crate::errno::EINVAL;

/// What a kernel's BTF may be made of, with the first kernel that knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// `FUNC` and `FUNC_PROTO` (5.0).
    Func,
    /// Linkage of a `FUNC` (5.6).
    FuncGlobal,
    /// `VAR` and `DATASEC` (5.2).
    Datasec,
    /// `DATASEC` whose name begins with `?` (6.12).
    QmarkDatasec,
    /// `FLOAT` (5.13).
    Float,
    /// `DECL_TAG` (5.16).
    DeclTag,
    /// `TYPE_TAG` (5.17).
    TypeTag,
    /// `ENUM64`, and signed `ENUM` (6.0).
    Enum64,
    /// Tags with the kind flag, which stand for any attribute (6.15).
    AttributeTag,
}

/// A feature and the types of a BTF that only a kernel with it takes: words, and
/// behind them the strings. Name 1 is "x", where there is one.
const PROBES: &[(Feature, &[u32], &str)] = {
    const INT: u32 = kind::INT << 24;
    const INT_4: [u32; 4] = [1, INT, 4, 32];
    const KFLAG: u32 = 1 << 31;
    use Feature::*;
    &[
        (
            Func,
            &[0, kind::FUNC_PROTO << 24, 0, 1, kind::FUNC << 24, 1],
            "\0x\0",
        ),
        (
            FuncGlobal,
            &[0, kind::FUNC_PROTO << 24, 0, 1, kind::FUNC << 24 | 1, 1],
            "\0x\0",
        ),
        (
            Datasec,
            &concat(INT_4, kind::DATASEC << 24 | 1, 3),
            "\0x\0.d\0",
        ),
        (
            QmarkDatasec,
            &concat(INT_4, kind::DATASEC << 24 | 1, 3),
            "\0x\0?.d\0",
        ),
        (Float, &[1, kind::FLOAT << 24, 4], "\0x\0"),
        (
            DeclTag,
            &[
                1,
                INT,
                4,
                32,
                1,
                kind::TYPEDEF << 24,
                1,
                1,
                kind::DECL_TAG << 24,
                2,
                u32::MAX,
            ],
            "\0x\0",
        ),
        (
            TypeTag,
            &[
                1,
                INT,
                4,
                32,
                1,
                kind::TYPE_TAG << 24,
                1,
                0,
                kind::PTR << 24,
                2,
            ],
            "\0x\0",
        ),
        (Enum64, &[0, kind::ENUM64 << 24 | 1, 8, 1, 0, 0], "\0x\0"),
        (
            AttributeTag,
            &[
                1,
                INT,
                4,
                32,
                1,
                KFLAG | kind::TYPE_TAG << 24,
                1,
                0,
                kind::PTR << 24,
                2,
            ],
            "\0x\0",
        ),
    ]
};

/// An int, a variable of it, and a section that holds that.
const fn concat(int: [u32; 4], datasec: u32, name: u32) -> [u32; 14] {
    let [a, b, c, d] = int;
    let var = kind::VAR << 24;
    [a, b, c, d, 1, var, 1, 0, name, datasec, 4, 2, 0, 4]
}

/// All of them, with their names and the first kernels that know them.
pub(crate) const FEATURES: &[(Feature, &str, &str)] = &[
    (Feature::Func, "func", "5.0"),
    (Feature::Datasec, "datasec", "5.2"),
    (Feature::FuncGlobal, "func with linkage", "5.6"),
    (Feature::Float, "float", "5.13"),
    (Feature::DeclTag, "decl_tag", "5.16"),
    (Feature::TypeTag, "type_tag", "5.17"),
    (Feature::Enum64, "enum64", "6.0"),
    (
        Feature::QmarkDatasec,
        "datasec with a question mark",
        "6.12",
    ),
    (Feature::AttributeTag, "tag of any attribute", "6.15"),
];

impl Feature {
    /// Loads the BTF that only a kernel with it takes, and closes it.
    pub(crate) fn ask<S: Sys>(self, sys: &S) -> Result<(), Errno> {
        let mut probes = PROBES.iter().filter(|(of, ..)| *of == self);
        let (_, types, strings) = probes.next().ok_or(Errno(EINVAL))?;
        let fd = bpf::btf_load(sys, &assemble(types, strings.as_bytes()))?;
        sys.close(fd);
        Ok(())
    }
}

/// What is known of the kernel that is loaded into, for the time of a load.
pub struct Features<'s, S> {
    sys: &'s S,
    known: [Cell<Option<bool>>; PROBES.len()],
}

impl<'s, S: Sys> Features<'s, S> {
    /// Nothing is known yet.
    pub fn new(sys: &'s S) -> Self {
        Features {
            sys,
            known: Default::default(),
        }
    }

    /// Has it this one? The kernel is asked once.
    pub fn has(&self, feature: Feature) -> bool {
        let mut known = PROBES.iter().zip(&self.known);
        let Some((_, known)) = known.find(|((of, ..), _)| *of == feature) else {
            return false;
        };
        let has = known.get().unwrap_or_else(|| feature.ask(self.sys).is_ok());
        known.set(Some(has));
        has
    }
}
