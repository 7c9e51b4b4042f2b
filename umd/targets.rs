// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds every name that an image needs in kernel BTF, in one walk.
//!
//! The walk sees some 130,000 types, nearly all of no interest, so what decides
//! its time is how little is looked at before a [`Filter`] drops a type, and
//! where it ends; see [`Search`].

use preload_image::{Image, target_kind};

use crate::arena::Arena;
use crate::btf::{Btf, Filter, essential_len, kind};

/// How far kernel BTF is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// Until every target has been found: the first type of a name is taken, as
    /// the kernel's own `btf_find_by_name_kind()` does.
    First,
    /// To the end: types of the same name that give different values are an
    /// error, as in libbpf.
    All,
}

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
    /// Ids of the types that may be this target, the last found first; of an exact
    /// one, and in [`Search::First`], the first found alone.
    pub fn candidates(&self, target: u32) -> impl Iterator<Item = u32> {
        let mut link = self.heads.get(target as usize).copied().unwrap_or(0);
        core::iter::from_fn(move || {
            let [before, id] = *self.candidates.get(link.checked_sub(1)? as usize)?;
            link = before;
            Some(id)
        })
    }

    /// Id of the type that is this exact target; 0 if there is none.
    #[inline(never)]
    #[must_use]
    pub fn first(&self, target: u32) -> u32 {
        self.candidates(target).next().unwrap_or(0)
    }

    /// The kinds of the targets that have no candidate yet, a bit for each.
    fn missing(&self, image: &Image<'_>) -> u32 {
        let targets = image.targets().iter().zip(self.heads.iter());
        targets.fold(0, |kinds, (target, head)| {
            let kind = target.kind & target_kind::BTF_KIND_MASK;
            let both = u32::from(kind == kind::ENUM) << kind::ENUM64;
            let bits = 1u32.checked_shl(kind).unwrap_or(0) | both;
            if *head == 0 { kinds | bits } else { kinds }
        })
    }

    /// One more candidate, unless only the first counts; false if there is no room for it.
    pub(crate) fn add(&mut self, target: u32, id: u32, only_first: bool) -> bool {
        let slot = self.candidates.get_mut(self.count as usize);
        let Some((head, slot)) = self.heads.get_mut(target as usize).zip(slot) else {
            return false;
        };
        if !only_first || *head == 0 {
            self.count += 1;
            *slot = [core::mem::replace(head, self.count), id];
        }
        true
    }
}

/// Indexes kernel BTF and finds the candidates of all targets of an image; none
/// without memory. What is wrong with the BTF is left to [`Btf::check`].
#[inline(never)]
pub fn find<'b, 'a: 'b>(
    image: &Image<'_>,
    data: &'b [u8],
    search: Search,
    arena: &mut Arena<'a>,
) -> Option<(Btf<'b>, Targets<'a>)> {
    let targets = image.targets();
    let n = targets.len();
    let mut found = Targets {
        heads: arena.alloc_zeroed(n)?,
        candidates: arena.alloc(8 * n + 64)?,
        count: 0,
    };
    // Targets by the slot of the filter that lets them pass: 1 + index of the
    // last one of each slot, and for each target of the one before it.
    let mut filter = Filter::default();
    let mut slots = [0u32; Filter::SLOTS];
    let before = arena.alloc::<u32>(n)?;
    for ((index, target), before) in (1..).zip(targets.iter()).zip(before.iter_mut()) {
        let name = image.str(target.name);
        let kind = target.kind & target_kind::BTF_KIND_MASK;
        filter.add(kind, name);
        if kind == kind::ENUM {
            filter.add(kind::ENUM64, name);
        }
        if let Some(last) = slots.get_mut(slot(name)) {
            *before = core::mem::replace(last, index);
        }
    }
    let walk = match search {
        Search::First => Btf::index,
        Search::All => Btf::index_all,
    };
    let btf = walk(data, arena, &filter, &mut |btf, id, t| {
        let name = btf.name(t);
        let mut kind = t.kind();
        if kind == kind::ENUM64 {
            kind = kind::ENUM;
        }
        let mut link = slots.get(slot(name)).copied().unwrap_or(0);
        while let Some(index) = link.checked_sub(1) {
            link = before.get(index as usize).copied().unwrap_or(0);
            let target = targets.get(index).unwrap_or_default();
            if target.kind & target_kind::BTF_KIND_MASK != kind {
                continue;
            }
            let exact = target.kind & target_kind::EXACT != 0;
            // What is found must not depend on where the walk happens to end.
            let only_first = exact || search == Search::First;
            let wanted = image.str(target.name);
            if name.starts_with(wanted)
                && wanted.len()
                    == if exact {
                        name.len()
                    } else {
                        essential_len(name)
                    }
                && !found.add(index, id, only_first)
            {
                return None;
            }
        }
        Some(match search {
            Search::First => found.missing(image),
            Search::All => u32::MAX,
        })
    });
    Some((btf, found))
}

/// Slot of a name. One letter and its flavor do not begin alike: with all that
/// begin like the latter, flavors of flavors among them, it shares the first slot.
fn slot(name: &[u8]) -> usize {
    match name {
        [_, b'_', b'_', b'_', ..] => 0,
        _ => Filter::slot(name),
    }
}
