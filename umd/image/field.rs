// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the records of an image are made of: fields of one or two little-endian
//! `u32`, and what they refer to.

use crate::Section;

/// A record of a table section.
pub trait Record: Copy {
    /// Length in bytes.
    const BYTES: usize;
    /// What each field refers to, in order.
    const REFERS: &'static [Refers];
    /// Decodes a record from the first [`Self::BYTES`] bytes; all 0 if there are fewer.
    fn read(bytes: &[u8]) -> Self;
    /// Calls `put` with each word in order.
    fn words(&self, put: &mut dyn FnMut(u32));
    /// A record where it stands in an image: fields are read one by one.
    type At<'a>: Copy + Default;
    /// The first record of a table, where it stands, and the rest of the table.
    fn split_first(table: &[u8]) -> Option<(Self::At<'_>, &[u8])>;
}

/// Offset of a NUL-terminated string in the string section; 0 is the empty string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Str(pub u32);

/// `len` consecutive elements from index `start` of another section.
///
/// Elements are records, instructions, func_info, line_info, or bytes of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Index of the first element.
    pub start: u32,
    /// Number of elements.
    pub len: u32,
}

/// What a field refers to; [`Image::check`](crate::Image::check) checks that it is there.
#[derive(Clone, Copy, Debug)]
pub enum Refers {
    /// Nothing: so many words of plain value.
    Value(usize),
    /// A string.
    Str,
    /// A span of elements of a section.
    Span(Section),
    /// An element of a section.
    Index(Section),
    /// An element of a section by 1 + index, or none by 0.
    IndexOrNone(Section),
}

/// A field type: one or two words.
pub(crate) trait Field: Copy {
    const WORDS: usize;
    const REFERS: Refers = Refers::Value(Self::WORDS);
    fn read(bytes: &[u8], word: usize) -> Self;
    fn words(self, put: &mut dyn FnMut(u32));
}

impl Field for u32 {
    const WORDS: usize = 1;
    #[inline(always)]
    fn read(bytes: &[u8], word: usize) -> Self {
        match bytes.get(word * 4..).and_then(|b| b.first_chunk::<4>()) {
            Some(b) => u32::from_le_bytes(*b),
            None => 0,
        }
    }
    fn words(self, put: &mut dyn FnMut(u32)) {
        put(self);
    }
}

impl Field for u64 {
    const WORDS: usize = 2;
    #[inline(always)]
    fn read(bytes: &[u8], word: usize) -> Self {
        u64::from(u32::read(bytes, word)) | u64::from(u32::read(bytes, word + 1)) << 32
    }
    fn words(self, put: &mut dyn FnMut(u32)) {
        put(self as u32);
        put((self >> 32) as u32);
    }
}

impl Field for Str {
    const WORDS: usize = 1;
    const REFERS: Refers = Refers::Str;
    #[inline(always)]
    fn read(bytes: &[u8], word: usize) -> Self {
        Str(u32::read(bytes, word))
    }
    fn words(self, put: &mut dyn FnMut(u32)) {
        put(self.0);
    }
}

impl Field for Span {
    const WORDS: usize = 2;
    #[inline(always)]
    fn read(bytes: &[u8], word: usize) -> Self {
        Span {
            start: u32::read(bytes, word),
            len: u32::read(bytes, word + 1),
        }
    }
    fn words(self, put: &mut dyn FnMut(u32)) {
        put(self.start);
        put(self.len);
    }
}
