// SPDX-License-Identifier: MIT OR Apache-2.0
//! The value of a CO-RE relocation in the object's own types: what the compiler
//! has put into the instruction.
//!
//! The executor computes the same from the kernel's types. It needs this side to
//! tell a relocation from a misplaced record (the instruction must hold the
//! value), and to see whether a load has to change its size.

use preload_image::core_kind;

use crate::btf::{Btf, MAX_DEPTH, kind};
use crate::core_spec::{Spec, Step, member_bits, skip_mods};
use crate::error::{LowerError, Result};

/// `BTF_INT_SIGNED` of the encoding, which is the top byte of an INT's word.
const INT_SIGNED: u32 = 1;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Value {
    pub(crate) value: u64,
    /// The compiler cannot disagree: the instruction must hold the value.
    pub(crate) exact: bool,
    /// Bytes that a load of the field reads, and its type; 0 where that has no meaning.
    pub(crate) load_size: u32,
    pub(crate) load_type: u32,
}

/// A value about which compiler and front end must agree.
fn exact(value: impl Into<u64>) -> Value {
    Value {
        value: value.into(),
        exact: true,
        ..Value::default()
    }
}

fn bad(what: &str) -> LowerError {
    LowerError::new(what)
}

/// Value of a relocation of a type.
pub(crate) fn of_type(btf: &Btf, kind: u32, root: u32) -> Result<Value> {
    match kind {
        core_kind::TYPE_EXISTS | core_kind::TYPE_MATCHES => Ok(exact(1u32)),
        core_kind::TYPE_SIZE => {
            let size = btf.size(root).ok_or_else(|| bad("type without a size"))?;
            Ok(exact(size))
        }
        // A static link changes ids, but not those in instructions.
        _ => Ok(Value {
            value: u64::from(root),
            ..Value::default()
        }),
    }
}

/// Value of a relocation of an enumerator.
pub(crate) fn of_enumerator(btf: &Btf, kind: u32, spec: &Spec) -> Result<Value> {
    let Some(&Step::Enumerator { index, of, .. }) = spec.steps.first() else {
        return Err(bad("no enumerator"));
    };
    if kind == core_kind::ENUMVAL_EXISTS {
        return Ok(exact(1u32));
    }
    let ty = btf.ty(of);
    // Enumerators are name and value; the value of ENUM64 is two words.
    let word = |i: usize| ty.rest.get(i).copied().unwrap_or(0);
    let index = index as usize;
    Ok(if ty.is(kind::ENUM) {
        exact(i64::from(word(2 * index + 1) as i32) as u64)
    } else {
        exact(u64::from(word(3 * index + 1)) | u64::from(word(3 * index + 2)) << 32)
    })
}

/// Value of a relocation of a field.
pub(crate) fn of_field(btf: &Btf, kind: u32, spec: &Spec) -> Result<Value> {
    if kind == core_kind::FIELD_EXISTS {
        return Ok(exact(1u32));
    }
    match spec.steps.last() {
        Some(&Step::Member {
            index, of, type_id, ..
        }) => {
            let member = btf.ty(of).member(index as usize);
            let [_, _, offset] = member.ok_or_else(|| bad("no such member"))?;
            // The spec has added up the offset already, through anonymous members.
            let (_, bits) = member_bits(btf.ty(of).kind_flag(), offset);
            of_member(btf, kind, spec.bit_offset, bits, type_id)
        }
        Some(&Step::Array { element, .. }) => match kind {
            core_kind::FIELD_BYTE_OFFSET => loaded(btf, spec.bit_offset / 8, element),
            core_kind::FIELD_BYTE_SIZE => Ok(exact(size(btf, element)?)),
            _ => Err(bad("relocation kind does not apply to an array element")),
        },
        _ => Err(bad("no field")),
    }
}

/// Where and how wide a member is read.
struct Window {
    byte_offset: u32,
    byte_size: u32,
    bit_size: u32,
}

/// A bit-field is read through the smallest aligned integer that holds it.
fn window(bit_offset: u32, bits: u32, storage: u32) -> Result<Window> {
    let mut byte_size = u64::from(storage);
    if byte_size == 0 {
        return Err(bad("bit-field of a type without a size"));
    }
    // Doubled until the field no longer crosses the end of the aligned integer.
    let end = u64::from(bit_offset) + u64::from(bits);
    let start = |size: u64| u64::from(bit_offset / 8) / size * size;
    while end - 8 * start(byte_size) > 8 * byte_size {
        if byte_size >= 8 {
            return Err(bad("bit-field does not fit into 64 bits"));
        }
        byte_size *= 2;
    }
    Ok(Window {
        byte_offset: start(byte_size) as u32,
        byte_size: byte_size as u32,
        bit_size: bits,
    })
}

fn of_member(btf: &Btf, kind: u32, bit_offset: u32, bits: u32, type_id: u32) -> Result<Value> {
    let type_id = skip_mods(btf, type_id)?;
    let ty = btf.ty(type_id);
    let bitfield = bits != 0;
    let window = if bitfield {
        window(bit_offset, bits, ty.third)?
    } else {
        let byte_size = size(btf, type_id)?;
        Window {
            byte_offset: bit_offset / 8,
            byte_size,
            bit_size: byte_size.saturating_mul(8),
        }
    };
    // The compiler may read a bit-field otherwise than we do.
    let ours = |value: u64| Value {
        value,
        exact: !bitfield,
        ..Value::default()
    };
    match kind {
        core_kind::FIELD_BYTE_OFFSET if bitfield => Ok(ours(u64::from(window.byte_offset))),
        core_kind::FIELD_BYTE_OFFSET => loaded(btf, window.byte_offset, type_id),
        core_kind::FIELD_BYTE_SIZE => Ok(ours(u64::from(window.byte_size))),
        core_kind::FIELD_SIGNED => {
            let signed_int = ty.is(kind::INT) && ty.extra() >> 24 & INT_SIGNED != 0;
            let signed_enum = ty.is_any_enum() && ty.kind_flag();
            Ok(exact(signed_int || signed_enum))
        }
        // On little endian; a field wider than 64 bits wraps as in libbpf.
        core_kind::FIELD_LSHIFT_U64 => {
            let end = bit_offset.wrapping_add(window.bit_size);
            let in_window = end.wrapping_sub(window.byte_offset.wrapping_mul(8));
            Ok(ours(u64::from(64u32.wrapping_sub(in_window))))
        }
        core_kind::FIELD_RSHIFT_U64 => Ok(exact(64u32.wrapping_sub(window.bit_size))),
        _ => Err(bad("unknown relocation kind")),
    }
}

/// A byte offset that a load may use: of arrays, one element is loaded.
fn loaded(btf: &Btf, byte_offset: u32, type_id: u32) -> Result<Value> {
    let mut element = skip_mods(btf, type_id)?;
    for _ in 0..MAX_DEPTH {
        if !btf.ty(element).is(kind::ARRAY) {
            return Ok(Value {
                load_size: size(btf, element)?,
                load_type: type_id,
                ..exact(byte_offset)
            });
        }
        element = skip_mods(btf, btf.ty(element).array().0)?;
    }
    Err(bad("chain of types is too long"))
}

/// Size of a type that must have one: functions and forward declarations do not.
fn size(btf: &Btf, id: u32) -> Result<u32> {
    btf.size(id).ok_or_else(|| bad("type without a size"))
}

/// The field is an integer for which the verifier extends loads with zeros.
pub(crate) fn is_unsigned(btf: &Btf, id: u32) -> bool {
    let ty = btf.ty(id);
    ty.is(kind::INT) && (ty.extra() >> 24) & 0xf != INT_SIGNED
}
