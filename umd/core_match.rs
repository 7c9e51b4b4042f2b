// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a local and a kernel type are the same for CO-RE: three relations, of
//! increasing strictness, with the rules of libbpf's `relo_core.c`. All skip
//! modifiers and typedefs on both sides. Faults in the BTF of either side are
//! remembered there, for the caller to check.

use crate::btf::{Btf, Type, kind, same_essential};

/// Types within types that are followed; deeper is a fault.
const DEPTH: u32 = 32;

/// In what sense two types are to be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// May a field of the kernel's type be read as the local one? Sizes, signs
    /// and array dimensions do not matter, enums must not have different names.
    FieldsCompat,
    /// Is the kernel's type one that the local name can stand for? Kinds must be
    /// the same down to the end of pointers, arrays and prototypes.
    TypesCompat,
    /// Does the kernel's type have all that the local one has? Members and
    /// enumerators by name, integers by size and sign, and all that they lead
    /// to; behind a pointer a struct's name and kind are enough.
    TypesMatch,
}

/// A local and a kernel BTF to compare types of.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'x> {
    /// BTF of the image.
    pub local: &'x Btf<'x>,
    /// BTF of the kernel.
    pub kernel: &'x Btf<'x>,
}

impl Pair<'_> {
    /// Does the relation hold between a local and a kernel type, by id?
    #[must_use]
    pub fn related(&self, relation: Relation, local_id: u32, id: u32) -> bool {
        // Roots are of one kind before anything is skipped, too.
        let (l, t) = (self.local.type_by_id(local_id), self.kernel.type_by_id(id));
        let root = relation != Relation::TypesCompat || l.kind_compat(t);
        root && self.walk(relation, local_id, id, false, DEPTH)
    }

    #[inline(never)]
    fn walk(
        &self,
        relation: Relation,
        mut local_id: u32,
        mut id: u32,
        mut behind_ptr: bool,
        mut depth: u32,
    ) -> bool {
        let matching = relation == Relation::TypesMatch;
        loop {
            if depth == 0 {
                self.kernel.fault("nesting", DEPTH);
            }
            if depth == 0 || !self.kernel.spend() {
                return false;
            }
            depth -= 1;
            let l = self.local.skip_mods_and_typedefs(local_id);
            let t = self.kernel.skip_mods_and_typedefs(id);
            // Void has no record to take a name from.
            if matching && (l.kind() == kind::UNKN || t.kind() == kind::UNKN) {
                return l.kind() == t.kind();
            }
            let (l_name, t_name) = (self.local.name(l), self.kernel.name(t));
            if matching && !same_essential(l_name, t_name) {
                return false;
            }
            if l.is_composite() {
                return self.composites(relation, (l, t), behind_ptr, depth);
            }
            if l.kind() == kind::FWD && matching && behind_ptr && t.is_composite() {
                // The flag of a forward declaration says that it is a union.
                return l.kflag() == (t.kind() == kind::UNION);
            }
            if !l.kind_compat(t) {
                return false;
            }
            let (l_refers, t_refers) = (self.local.size_or_type(l), self.kernel.size_or_type(t));
            match l.kind() {
                kind::UNKN => return relation != Relation::FieldsCompat,
                kind::FWD | kind::ENUM | kind::ENUM64 => {
                    return match relation {
                        Relation::FieldsCompat => {
                            l_name.is_empty() || t_name.is_empty() || same_essential(l_name, t_name)
                        }
                        Relation::TypesCompat => true,
                        Relation::TypesMatch if l.is_enum() => {
                            l_refers == t_refers && self.enums_match(l, t)
                        }
                        Relation::TypesMatch => l.kflag() == t.kflag(),
                    };
                }
                kind::INT if matching => {
                    let signed = self.local.is_signed_int(l);
                    return l_refers == t_refers && signed == self.kernel.is_signed_int(t);
                }
                kind::INT => {
                    return !self.local.is_offset_int(l) && !self.kernel.is_offset_int(t);
                }
                kind::ARRAY => {
                    let ((l, l_nelems), (t, t_nelems)) =
                        (self.local.array(l), self.kernel.array(t));
                    if matching && l_nelems != t_nelems {
                        return false;
                    }
                    (local_id, id) = (l, t);
                }
                kind::PTR | kind::FLOAT if relation == Relation::FieldsCompat => return true,
                kind::PTR => {
                    behind_ptr = true;
                    (local_id, id) = (l_refers, t_refers);
                }
                kind::FUNC_PROTO if relation != Relation::FieldsCompat => {
                    if l.vlen() != t.vlen() {
                        return false;
                    }
                    for i in 0..l.vlen() {
                        let (l, t) = (self.local.param(l, i), self.kernel.param(t, i));
                        if !self.walk(relation, l, t, behind_ptr, depth) {
                            return false;
                        }
                    }
                    (local_id, id) = (l_refers, t_refers);
                }
                _ => return false,
            }
        }
    }

    /// The relation between a local struct or union and a kernel type.
    fn composites(
        &self,
        relation: Relation,
        (l, t): (Type, Type),
        behind_ptr: bool,
        depth: u32,
    ) -> bool {
        let same_kind = l.kind() == t.kind();
        match relation {
            Relation::FieldsCompat => t.is_composite(),
            Relation::TypesCompat => same_kind,
            Relation::TypesMatch if behind_ptr => {
                same_kind || t.kind() == kind::FWD && t.kflag() == (l.kind() == kind::UNION)
            }
            Relation::TypesMatch => {
                same_kind && l.vlen() <= t.vlen() && (0..l.vlen()).all(|i| self.has(l, i, t, depth))
            }
        }
    }

    /// Has a kernel struct a member like local member `i`?
    fn has(&self, l: Type, i: u32, t: Type, depth: u32) -> bool {
        let (wanted, local_id) = self.local.member(l, i);
        let wanted = self.local.str(wanted);
        (0..t.vlen()).any(|j| {
            let (name, id) = self.kernel.member(t, j);
            self.kernel.spend()
                && same_essential(self.kernel.str(name), wanted)
                && self.walk(Relation::TypesMatch, local_id, id, false, depth)
        })
    }

    /// Is there a kernel enumerator of the same name for each local one?
    fn enums_match(&self, l: Type, t: Type) -> bool {
        l.vlen() <= t.vlen()
            && (0..l.vlen()).all(|i| {
                let wanted = self.local.str(self.local.enumerator(l, i).0);
                (0..t.vlen()).any(|j| {
                    let name = self.kernel.str(self.kernel.enumerator(t, j).0);
                    self.kernel.spend() && same_essential(name, wanted)
                })
            })
    }
}
