// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types by choice of bytes, what a kernel has made of them, and both as BTF.

use arbitrary::{Result, Unstructured};

use crate::btf_builder::{self as kind, Btf};

/// Names of types, members and enumerators: few, so that they meet, some of them
/// flavors of others, and some that are nearly flavors.
const NAMES: [&str; 16] = [
    "",
    "a",
    "b",
    "c",
    "task",
    "task___x",
    "task___",
    "___x",
    "a___b",
    "a___b___c",
    "b___",
    "pid",
    "inner",
    "list",
    "ops",
    "x_y",
];

/// A type; others are named by their number in the list + 1, void is 0.
#[derive(Clone, Debug)]
pub(crate) enum Type {
    Int {
        name: u8,
        bytes: u32,
        encoding: u32,
    },
    Ptr(u32),
    /// const, volatile, restrict, type tag.
    Mod(u32, u32),
    Typedef(u8, u32),
    Array(u32, u32),
    Composite {
        kind: u32,
        name: u8,
        bytes: u32,
        flag: bool,
        members: Vec<(u8, u32, u32)>,
    },
    Enum {
        name: u8,
        bytes: u32,
        flag: bool,
        values: Vec<(u8, u32)>,
    },
    Enum64 {
        name: u8,
        flag: bool,
        values: Vec<(u8, u64)>,
    },
    Fwd(u8, bool),
    Proto(u32, Vec<u32>),
    Float(u8, u32),
}

fn name(u: &mut Unstructured<'_>) -> Result<u8> {
    u.int_in_range(0..=NAMES.len() as u8 - 1)
}

pub(crate) fn count(u: &mut Unstructured<'_>, most: u32) -> Result<u32> {
    u.int_in_range(0..=most)
}

/// Type number `number`: structs may hold pointers to any, all else what is before it.
pub(crate) fn a_type(u: &mut Unstructured<'_>, number: u32, total: u32) -> Result<Type> {
    let before = |u: &mut Unstructured<'_>| u.int_in_range(0..=number);
    Ok(match u.int_in_range(0..=15u8)? {
        0 => Type::Int {
            name: name(u)?,
            bytes: *u.choose(&[1, 2, 4, 8, 16])?,
            encoding: *u.choose(&[0, 1, 2, 4])?,
        },
        1 | 2 => Type::Ptr(u.int_in_range(0..=total)?),
        3 => Type::Mod(*u.choose(&[9, 10, 11, 18])?, before(u)?),
        4 => Type::Typedef(name(u)?, before(u)?),
        5 | 6 => Type::Array(before(u)?, *u.choose(&[0, 1, 2, 4, 7])?),
        7..=11 => {
            let flag = u.ratio(1, 3)?;
            let mut members = Vec::new();
            let mut bits = 0;
            for _ in 0..count(u, 4)? {
                bits += *u.choose(&[0, 8, 32, 64, 3])?;
                let at = if flag { bits } else { bits / 8 * 8 };
                let width = if flag {
                    *u.choose(&[0, 0, 1, 5, 31, 33])?
                } else {
                    0
                };
                members.push((name(u)?, before(u)?, width << 24 | at));
            }
            let kind = *u.choose(&[kind::STRUCT, kind::STRUCT, kind::UNION])?;
            Type::Composite {
                kind,
                name: name(u)?,
                bytes: bits / 8 + 8,
                flag,
                members,
            }
        }
        12 => {
            let mut values = Vec::new();
            for _ in 0..count(u, 3)? {
                values.push((name(u)?, u.arbitrary()?));
            }
            Type::Enum {
                name: name(u)?,
                bytes: *u.choose(&[4, 1, 8])?,
                flag: u.arbitrary()?,
                values,
            }
        }
        13 => {
            let mut values = Vec::new();
            for _ in 0..count(u, 3)? {
                values.push((name(u)?, u.arbitrary()?));
            }
            Type::Enum64 {
                name: name(u)?,
                flag: u.arbitrary()?,
                values,
            }
        }
        14 => Type::Fwd(name(u)?, u.arbitrary()?),
        _ => {
            if u.arbitrary()? {
                return Ok(Type::Float(name(u)?, *u.choose(&[4, 8])?));
            }
            let mut params = Vec::new();
            for _ in 0..count(u, 2)? {
                params.push(before(u)?);
            }
            Type::Proto(before(u)?, params)
        }
    })
}

/// One change to a type, or none.
pub(crate) fn change(
    u: &mut Unstructured<'_>,
    t: &mut Type,
    number: u32,
    total: u32,
) -> Result<()> {
    if u.ratio(2, 3)? {
        return Ok(());
    }
    if u.ratio(1, 6)? {
        *t = a_type(u, number, total)?;
        return Ok(());
    }
    match t {
        Type::Int {
            bytes, encoding, ..
        } => {
            *bytes = *u.choose(&[1, 2, 4, 8])?;
            *encoding = *u.choose(&[0, 1, 4])?;
        }
        Type::Ptr(to) => *to = u.int_in_range(0..=total)?,
        Type::Mod(_, to) | Type::Typedef(_, to) => *to = u.int_in_range(0..=number)?,
        Type::Array(_, n) => *n = count(u, 8)?,
        Type::Composite {
            name,
            members,
            bytes,
            flag,
            ..
        } => match u.int_in_range(0..=5u8)? {
            0 => *name = self::name(u)?,
            1 => members.reverse(),
            2 => {
                members.pop();
            }
            3 => *bytes += 8,
            4 if !*flag => members.iter_mut().for_each(|m| m.2 += 64),
            _ => {
                let at = if *flag { 0 } else { 8 * count(u, 4)? };
                members.insert(0, (self::name(u)?, u.int_in_range(0..=number)?, at));
            }
        },
        Type::Enum { values, .. } => match u.arbitrary()? {
            true => values.reverse(),
            false => values.push((name(u)?, u.arbitrary()?)),
        },
        Type::Enum64 { values, .. } => match u.arbitrary()? {
            true => values.reverse(),
            false => values.push((name(u)?, u.arbitrary()?)),
        },
        Type::Fwd(name, union) => {
            *name = self::name(u)?;
            *union = !*union;
        }
        Type::Proto(returns, params) => {
            *returns = u.int_in_range(0..=number)?;
            params.push(u.int_in_range(0..=number)?);
        }
        Type::Float(_, bytes) => *bytes = 8,
    }
    Ok(())
}

/// Writes types in their order, those with several versions one after the other;
/// a reference is to the first version.
pub(crate) fn write(types: &[Vec<Type>]) -> Btf {
    let mut ids = vec![0];
    let mut next = 1;
    for versions in types {
        ids.push(next);
        next += versions.len() as u32;
    }
    let id = |number: &u32| ids[*number as usize];
    let mut btf = Btf::new();
    let flag = |flag: bool| u32::from(flag) << 31;
    for t in types.iter().flatten() {
        match t {
            Type::Int {
                name,
                bytes,
                encoding,
            } => {
                let word = encoding << 24 | (bytes * 8).min(128);
                // An integer without a name is no type of C.
                btf.raw(
                    if *name == 0 {
                        "int"
                    } else {
                        NAMES[*name as usize]
                    },
                    kind::INT << 24,
                    *bytes,
                    &[word],
                )
            }
            Type::Ptr(to) => btf.ptr(id(to)),
            Type::Mod(kind, to) => btf.raw(
                if *kind == 18 { "tag" } else { "" },
                kind << 24,
                id(to),
                &[],
            ),
            Type::Typedef(name, to) => btf.typedef(named(*name), id(to)),
            Type::Array(of, n) => btf.array(id(of), 1, *n),
            Type::Composite {
                kind,
                name,
                bytes,
                flag: bits,
                members,
            } => {
                let mut tail = Vec::new();
                for (name, of, at) in members {
                    // libbpf divides by the size of a bit-field's type.
                    let at = if is_integer(types, *of) {
                        *at
                    } else {
                        at & 0xff_fff8
                    };
                    tail.extend([btf.str(NAMES[*name as usize]), id(of), at]);
                }
                let info = flag(*bits) | kind << 24 | members.len() as u32;
                btf.raw(NAMES[*name as usize], info, *bytes, &tail)
            }
            Type::Enum {
                name,
                bytes,
                flag: signed,
                values,
            } => {
                let mut tail = Vec::new();
                for (name, value) in values {
                    tail.extend([btf.str(named(*name)), *value]);
                }
                let info = flag(*signed) | kind::ENUM << 24 | values.len() as u32;
                btf.raw(NAMES[*name as usize], info, *bytes, &tail)
            }
            Type::Enum64 {
                name,
                flag: signed,
                values,
            } => {
                let mut tail = Vec::new();
                for (name, value) in values {
                    tail.extend([btf.str(named(*name)), *value as u32, (*value >> 32) as u32]);
                }
                let info = flag(*signed) | kind::ENUM64 << 24 | values.len() as u32;
                btf.raw(NAMES[*name as usize], info, 8, &tail)
            }
            Type::Fwd(name, union) => btf.raw(named(*name), flag(*union) | kind::FWD << 24, 0, &[]),
            Type::Proto(returns, params) => {
                let params: Vec<u32> = params.iter().map(id).collect();
                btf.proto(id(returns), &params)
            }
            Type::Float(name, bytes) => btf.raw(named(*name), 16 << 24, *bytes, &[]),
        };
    }
    btf
}

/// Is a type, behind modifiers, an integer or enum?
fn is_integer(types: &[Vec<Type>], mut number: u32) -> bool {
    loop {
        let t = number
            .checked_sub(1)
            .and_then(|index| types[index as usize].first());
        match t {
            Some(Type::Mod(_, to) | Type::Typedef(_, to)) => number = *to,
            Some(Type::Int { .. } | Type::Enum { .. } | Type::Enum64 { .. }) => return true,
            _ => return false,
        }
    }
}

/// The name of what must have one.
fn named(name: u8) -> &'static str {
    match NAMES[name as usize] {
        "" => "none",
        name => name,
    }
}
