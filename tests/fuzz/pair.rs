// SPDX-License-Identifier: MIT OR Apache-2.0
//! A CO-RE pair by choice of bytes: types as an object declares them, a kernel's
//! version of them, and relocations. Both BTFs are sound; the kernel's types are
//! the local ones with changes, so that names meet.
//!
//! Left out is what libbpf (1.7) makes something else of for no good reason: bit-fields
//! of what is no integer, of size 0 (it divides by that), and numbers in access
//! strings that are negative or beyond an int (it takes them modulo 2^32).

use arbitrary::{Result, Unstructured};

use crate::btf_builder::{self as kind, Btf};
use crate::elf::{self, CoreRelo};

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

fn count(u: &mut Unstructured<'_>, most: u32) -> Result<u32> {
    u.int_in_range(0..=most)
}

/// Type number `number`: structs may hold pointers to any, all else what is before it.
fn a_type(u: &mut Unstructured<'_>, number: u32, total: u32) -> Result<Type> {
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
fn change(u: &mut Unstructured<'_>, t: &mut Type, number: u32, total: u32) -> Result<()> {
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
fn write(types: &[Vec<Type>]) -> Btf {
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

/// An access string: mostly one that fits the type.
fn access(u: &mut Unstructured<'_>, types: &[Type], kind: u32, root: u32) -> Result<String> {
    if u.ratio(1, 24)? {
        return Ok(u
            .choose(&["", "0:", ":", "0:9", "x", "0:0:0:0:0:0"])?
            .to_string());
    }
    let skipped = |mut number: u32| loop {
        match number.checked_sub(1).map(|index| &types[index as usize]) {
            Some(Type::Mod(_, to) | Type::Typedef(_, to)) => number = *to,
            other => return other,
        }
    };
    if kind > 5 {
        let values = match skipped(root) {
            Some(Type::Enum { values, .. }) if kind > 9 => values.len(),
            Some(Type::Enum64 { values, .. }) if kind > 9 => values.len(),
            _ => 1,
        };
        return Ok(u.int_in_range(0..=values.max(1) - 1)?.to_string());
    }
    let mut text = u.choose(&["0", "0", "0", "1", "3"])?.to_string();
    let mut at = root;
    for _ in 0..8 {
        let (index, to) = match skipped(at) {
            Some(Type::Composite { members, .. }) if !members.is_empty() => {
                let index = u.int_in_range(0..=members.len() as u32 - 1)?;
                (index, members[index as usize].1)
            }
            Some(Type::Array(of, n)) => (count(u, *n)?, *of),
            _ => break,
        };
        text = format!("{text}:{index}");
        at = to;
        if u.ratio(1, 4)? {
            break;
        }
    }
    Ok(text)
}

/// The code of a load, a store, or another instruction that a relocation may be of:
/// `{code, register}`, and whether a second slot follows.
const FORMS: [(u8, u8, bool); 14] = [
    (0xb7, 1, false),    // r1 = imm
    (0x07, 1, false),    // r1 += imm
    (0xb4, 1, false),    // w1 = imm
    (0x61, 0x11, false), // r1 = *(u32 *)(r1 + off)
    (0x69, 0x11, false),
    (0x71, 0x11, false),
    (0x79, 0x11, false),
    (0x81, 0x11, false), // sign-extending
    (0x63, 0x21, false), // *(u32 *)(r1 + off) = r2
    (0x7b, 0x21, false),
    (0x7a, 0x01, false), // *(u64 *)(r1 + off) = imm
    (0x18, 1, true),     // r1 = imm64
    (0xbf, 0x21, false), // r1 = r2
    (0x05, 0, false),    // goto
];

/// A relocation, and the instruction that it is of.
#[derive(Clone, Debug)]
pub(crate) struct Relo {
    /// Index of the instruction.
    pub(crate) insn: u32,
    pub(crate) kind: u32,
    /// Type id, in the local BTF.
    pub(crate) root: u32,
    /// Place of the access string in the local BTF's strings.
    pub(crate) access: u32,
}

/// An object, and a kernel to relocate it for.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) local: Vec<u8>,
    pub(crate) kernel: Vec<u8>,
    pub(crate) insns: Vec<u64>,
    pub(crate) relos: Vec<Relo>,
    section: u32,
    func: u32,
}

impl Pair {
    /// The same with these instructions.
    pub(crate) fn holding(self, insns: Vec<u64>) -> Self {
        Pair { insns, ..self }
    }

    /// The object file.
    pub(crate) fn object(&self) -> Vec<u8> {
        let relos: Vec<CoreRelo> = self
            .relos
            .iter()
            .map(|r| [8 * r.insn, r.root, r.access, r.kind])
            .collect();
        elf::object(&self.insns, &self.local, self.section, self.func, &relos)
    }
}

/// Places a value where a relocation of an instruction would.
pub(crate) fn place(insns: &mut [u64], at: u32, value: u64) {
    let Some([insn, rest @ ..]) = insns.get_mut(at as usize..) else {
        return;
    };
    match *insn as u8 & 7 {
        1..=3 => *insn = *insn & !0xffff_0000 | (value & 0xffff) << 16,
        _ => *insn = *insn & 0xffff_ffff | value << 32,
    }
    if *insn as u8 == 0x18
        && let Some(second) = rest.first_mut()
    {
        *second = value >> 32 << 32;
    }
}

/// A pair by choice.
pub(crate) fn pair(u: &mut Unstructured<'_>) -> Result<Pair> {
    let total = u.int_in_range(1..=10u32)?;
    let mut types = Vec::new();
    for number in 0..total {
        types.push(a_type(u, number, total)?);
    }
    let mut versions = Vec::new();
    for (number, t) in (0..).zip(&types) {
        let mut some = Vec::new();
        for _ in 0..*u.choose(&[1, 1, 1, 2])? {
            let mut t = t.clone();
            change(u, &mut t, number, total)?;
            some.push(t);
        }
        versions.push(some);
    }
    let kernel = write(&versions);
    let mut local = write(&types.iter().map(|t| vec![t.clone()]).collect::<Vec<_>>());
    let proto = local.proto(0, &[]);
    let func = local.raw("prog", kind::FUNC << 24 | 1, proto, &[]);
    let section = local.str("raw_tp/x");

    let (mut insns, mut relos) = (Vec::new(), Vec::new());
    for _ in 0..u.int_in_range(1..=5u32)? {
        let kind = if u.ratio(1, 40)? {
            u.arbitrary()?
        } else {
            count(u, 12)?
        };
        let root = u.int_in_range(1..=total)?;
        let access = access(u, &types, kind, root)?;
        let access = local.str(&access);
        let (code, registers, second) = *u.choose(&FORMS)?;
        relos.push(Relo {
            insn: insns.len() as u32,
            kind,
            root,
            access,
        });
        insns.push(u64::from(code) | u64::from(registers) << 8);
        if second {
            insns.push(0);
        }
    }
    insns.extend([0xb7, 0x95]);
    Ok(Pair {
        local: local.bytes(),
        kernel: kernel.bytes(),
        insns,
        relos,
        section,
        func,
    })
}
