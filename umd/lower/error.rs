// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one error of the front end: what is wrong, and where in the object.

use std::fmt;

/// Why an object cannot be lowered, as one line.
///
/// The object file is not named: the caller knows its path and puts it in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LowerError {
    section: String,
    offset: Option<u64>,
    symbol: String,
    what: String,
}

pub(crate) type Result<T> = std::result::Result<T, LowerError>;

/// Characters of a name that a message shows; the object decides how long names are.
const NAME_CHARS: usize = 64;

impl LowerError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        LowerError {
            section: String::new(),
            offset: None,
            symbol: String::new(),
            what: what.into(),
        }
    }

    /// Adds the section, unless a place closer to the fault has named one.
    pub(crate) fn section(mut self, name: impl AsRef<[u8]>) -> Self {
        if self.section.is_empty() {
            self.section = printable(name);
        }
        self
    }

    /// Says what the fault is a fault of.
    pub(crate) fn about(mut self, what: impl fmt::Display) -> Self {
        self.what = format!("{what}: {}", self.what);
        self
    }

    /// Adds the offset in bytes from the start of the section.
    pub(crate) fn at(mut self, offset: impl Into<u64>) -> Self {
        self.offset.get_or_insert(offset.into());
        self
    }

    /// Adds the symbol: function, variable, map or type.
    pub(crate) fn symbol(mut self, name: impl AsRef<[u8]>) -> Self {
        if self.symbol.is_empty() {
            self.symbol = printable(name);
        }
        self
    }
}

/// A name from the object, cut and escaped so that the message stays one line.
pub(crate) fn printable(name: impl AsRef<[u8]>) -> String {
    let name = String::from_utf8_lossy(name.as_ref());
    let mut shown: String = name.chars().take(NAME_CHARS).collect();
    if shown.len() < name.len() {
        shown.push_str("...");
    }
    shown.escape_debug().to_string()
}

impl fmt::Display for LowerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = Vec::new();
        if !self.section.is_empty() {
            place.push(format!("section {}", self.section));
        }
        if let Some(offset) = self.offset {
            place.push(format!("offset {offset:#x}"));
        }
        if !self.symbol.is_empty() {
            place.push(format!("symbol {}", self.symbol));
        }
        if place.is_empty() {
            f.write_str(&self.what)
        } else {
            write!(f, "{}: {}", place.join(" "), self.what)
        }
    }
}

impl std::error::Error for LowerError {}
