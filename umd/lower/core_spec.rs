// SPDX-License-Identifier: MIT OR Apache-2.0
//! Access specs: the string of a CO-RE record ("0:1:2"), walked through the
//! local types.

use crate::btf::{Btf, kind};
use crate::error::{LowerError, Result};

/// Most numbers in an access string; libbpf's limit.
const MAX_STEPS: usize = 64;

/// One step that has a meaning of its own in another BTF: anonymous members
/// are not such steps, they only add to the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Element `index` of an array of `element`. The first step of a field is one,
    /// too: the root is reached through a pointer, as if into an array.
    Array { index: u32, element: u32 },
    /// Member `index` of the struct or union `of`.
    Member {
        name: u32,
        index: u32,
        of: u32,
        type_id: u32,
    },
    /// Enumerator `index` of the enum `of`.
    Enumerator { name: u32, index: u32, of: u32 },
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Spec {
    pub(crate) steps: Vec<Step>,
    /// Offset of the field from the root, in bits.
    pub(crate) bit_offset: u32,
}

fn numbers(access: &[u8]) -> Option<Vec<u32>> {
    let access = std::str::from_utf8(access).ok()?;
    let number = |s: &str| {
        // libbpf reads them as int.
        let digits = s.bytes().all(|b| b.is_ascii_digit());
        s.parse().ok().filter(|n| digits && *n <= i32::MAX as u32)
    };
    // One more than allowed is enough to see that there are too many.
    let numbers: Vec<u32> = access
        .split(':')
        .take(MAX_STEPS + 1)
        .map(number)
        .collect::<Option<_>>()?;
    (numbers.len() <= MAX_STEPS).then_some(numbers)
}

fn bad(what: &str) -> LowerError {
    LowerError::new(what)
}

fn parse(access: &[u8]) -> Result<Vec<u32>> {
    numbers(access).ok_or_else(|| bad("malformed access string"))
}

/// Spec of a relocation of an enumerator.
pub(crate) fn enumerator(btf: &Btf, root: u32, access: &[u8]) -> Result<Spec> {
    let of = skip_mods(btf, root)?;
    let ty = btf.ty(of);
    let [index] = parse(access)?[..] else {
        return Err(bad("access string is no enumerator"));
    };
    let words_each = if ty.is(kind::ENUM) { 2 } else { 3 };
    let name = ty.rest.get(words_each * index as usize);
    match name {
        Some(&name) if ty.is_any_enum() => Ok(Spec {
            steps: vec![Step::Enumerator { name, index, of }],
            bit_offset: 0,
        }),
        _ => Err(bad("no such enumerator")),
    }
}

/// Spec of a relocation of a field.
pub(crate) fn field(btf: &Btf, root: u32, access: &[u8]) -> Result<Spec> {
    let numbers = parse(access)?;
    let Some((&first, rest)) = numbers.split_first() else {
        return Err(bad("empty access string"));
    };
    let mut id = skip_mods(btf, root)?;
    let mut bits = element_bits(btf, id, first)?;
    let mut steps = vec![Step::Array {
        index: first,
        element: id,
    }];
    for &index in rest {
        id = skip_mods(btf, id)?;
        let ty = btf.ty(id);
        // Numbers of members count anonymous ones, which have no name to go by.
        if ty.is_composite() {
            let member = ty.member(index as usize);
            let [name, type_id, offset] = member.ok_or_else(|| bad("no such member"))?;
            bits = bits.saturating_add(u64::from(member_bits(ty.kind_flag(), offset).0));
            if name != 0 {
                if btf.str(name).is_empty() {
                    return Err(bad("member with an empty name"));
                }
                steps.push(Step::Member {
                    name,
                    index,
                    of: id,
                    type_id,
                });
            }
            id = type_id;
        } else if ty.is(kind::ARRAY) {
            let (element, count) = ty.array();
            if index >= count && !is_flexible(btf, steps.last(), count) {
                return Err(bad("index beyond the end of an array"));
            }
            id = skip_mods(btf, element)?;
            steps.push(Step::Array { index, element: id });
            bits = bits.saturating_add(element_bits(btf, id, index)?);
        } else {
            return Err(bad("access into something that has no members"));
        }
    }
    let bit_offset = u32::try_from(bits).map_err(|_| bad("field lies beyond 512 MiB"))?;
    Ok(Spec { steps, bit_offset })
}

/// Bit offset and size of a bit-field (0: none) of a member's offset word.
pub(crate) fn member_bits(kind_flag: bool, offset: u32) -> (u32, u32) {
    if kind_flag {
        (offset & 0x00ff_ffff, offset >> 24)
    } else {
        (offset, 0)
    }
}

/// An array without elements that ends a struct holds as many as there are.
fn is_flexible(btf: &Btf, last: Option<&Step>, count: u32) -> bool {
    match last {
        Some(Step::Member { of, index, .. }) => {
            count == 0 && *index as usize + 1 == btf.ty(*of).vlen()
        }
        _ => false,
    }
}

/// Offset in bits of element `index` of an array of type `id`.
fn element_bits(btf: &Btf, id: u32, index: u32) -> Result<u64> {
    let size = btf.size(id).ok_or_else(|| bad("type without a size"))?;
    Ok((u64::from(size) * u64::from(index)).saturating_mul(8))
}

pub(crate) fn skip_mods(btf: &Btf, id: u32) -> Result<u32> {
    btf.skip_mods(id)
        .ok_or_else(|| bad("chain of types is too long"))
}
