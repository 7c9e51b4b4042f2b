// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds every name that an image needs in kernel BTF, in one walk.
//!
//! The walk sees some 130,000 types, nearly all of no interest, so what decides
//! its time is how little is looked at before a [`Filter`] drops a type. All
//! candidates must be known (CO-RE refuses ambiguity), so it does not stop at
//! the first.

use preload_image::{Image, target_kind};

use crate::arena::Arena;
use crate::btf::{Btf, BtfError, Filter, Type, essential, kind};

const BUCKETS: usize = 64;

/// The candidate types of each target. Links between them are 1 + index; 0 ends.
#[derive(Debug, Default)]
pub struct Targets<'a> {
    /// For each target its last candidate.
    heads: &'a mut [u32],
    /// For each candidate the one before it, and its type id.
    candidates: &'a mut [[u32; 2]],
    count: u32,
}

impl Targets<'_> {
    /// Ids of the types that may be this target; of an exact one the first found.
    pub fn candidates(&self, target: u32) -> impl Iterator<Item = u32> {
        let mut link = self.heads.get(target as usize).copied().unwrap_or(0);
        core::iter::from_fn(move || {
            let [before, id] = *self.candidates.get(link.checked_sub(1)? as usize)?;
            link = before;
            Some(id)
        })
    }

    /// One more candidate; false if there is no room for it.
    fn add(&mut self, target: u32, id: u32, exact: bool) -> bool {
        let Some(head) = self.heads.get_mut(target as usize) else {
            return false;
        };
        if exact && *head != 0 {
            return true;
        }
        let Some(slot) = self.candidates.get_mut(self.count as usize) else {
            return false;
        };
        self.count += 1;
        *slot = [core::mem::replace(head, self.count), id];
        true
    }
}

/// The targets, hashed by essential name.
struct Wanted<'i, 'a> {
    image: &'i Image<'i>,
    filter: Filter,
    /// For each hash its last target, 1 + index.
    buckets: [u32; BUCKETS],
    /// For each target the one before it in its bucket.
    next: &'a mut [u32],
}

/// FNV-1a of a name without its flavor.
fn bucket(name: &[u8]) -> usize {
    let fnv = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let hash = essential(name).iter().fold(0x811c_9dc5, fnv);
    (hash ^ hash >> 16) as usize % BUCKETS
}

/// Both enums are one kind here.
fn fold_kind(kind: u32) -> u32 {
    if kind == kind::ENUM64 {
        kind::ENUM
    } else {
        kind
    }
}

impl<'i, 'a> Wanted<'i, 'a> {
    fn new(image: &'i Image<'i>, arena: &mut Arena<'a>) -> Option<Self> {
        let targets = image.targets();
        let mut wanted = Wanted {
            image,
            filter: Filter::default(),
            buckets: [0; BUCKETS],
            next: arena.alloc(targets.len())?,
        };
        for ((index, target), next) in (1..).zip(targets.iter()).zip(wanted.next.iter_mut()) {
            let name = image.str(target.name);
            let kind = target.kind & target_kind::BTF_KIND_MASK;
            wanted.filter.add(kind, name);
            if kind == kind::ENUM {
                wanted.filter.add(kind::ENUM64, name);
            }
            if let Some(head) = wanted.buckets.get_mut(bucket(name)) {
                *next = core::mem::replace(head, index);
            }
        }
        Some(wanted)
    }

    /// Adds a type to the candidates of each target that it may be.
    fn visit(&self, name: &[u8], t: &Type<'_>, targets: &mut Targets<'_>) -> bool {
        let mut link = self.buckets.get(bucket(name)).copied().unwrap_or(0);
        while let Some(index) = link.checked_sub(1) {
            link = self.next.get(index as usize).copied().unwrap_or(0);
            let target = self.image.targets().get(index).unwrap_or_default();
            let exact = target.kind & target_kind::EXACT != 0;
            let name = if exact { name } else { essential(name) };
            if target.kind & target_kind::BTF_KIND_MASK == fold_kind(t.kind())
                && name == self.image.str(target.name)
                && !targets.add(index, t.id, exact)
            {
                return false;
            }
        }
        true
    }
}

/// Indexes kernel BTF and finds the candidates of all targets of an image.
///
/// # Errors
/// What is wrong with the BTF, or `arena` where that is too small for it, or
/// names have far more candidates than any kernel gives them.
#[inline(never)]
pub fn find<'b, 'a: 'b>(
    image: &Image<'_>,
    data: &'b [u8],
    arena: &mut Arena<'a>,
) -> Result<(Btf<'b>, Targets<'a>), BtfError> {
    let n = image.targets().len();
    let full = BtfError {
        what: "arena",
        value: n as u32,
    };
    let wanted = Wanted::new(image, arena).ok_or(full)?;
    let mut targets = Targets {
        heads: arena.alloc(n).ok_or(full)?,
        candidates: arena.alloc(8 * n + 64).ok_or(full)?,
        count: 0,
    };
    let btf = Btf::index(data, arena, wanted.filter, &mut |btf, t| {
        wanted.visit(btf.name(t.name_off), t, &mut targets)
    })?;
    Ok((btf, targets))
}
