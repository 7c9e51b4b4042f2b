// SPDX-License-Identifier: MIT OR Apache-2.0
//! Object files: read, lowered, and completed with what only this machine knows.

use std::fs;
use std::path::Path;

use preload_image::{Image, ImageError};

use crate::failure::Failure;

/// An object file's image.
pub(crate) fn lower(file: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = fs::read(file).map_err(|error| Failure::io("read", file, &error))?;
    let wrong = |line: String| Failure::new(format!("{}: {line}", file.display()));
    preload_lower::lower(&bytes, &name(file)).map_err(|error| wrong(error.to_string()))
}

/// Opens an image.
pub(crate) fn parse(bytes: &[u8]) -> Result<Image<'_>, Failure> {
    Image::parse(bytes).map_err(|ImageError { what, offset }| {
        Failure::new(format!("read image: bad {what} at offset {offset}"))
    })
}

/// libbpf's object name: the file name up to its first dot.
fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}
