// SPDX-License-Identifier: MIT OR Apache-2.0
//! Printing: for people, or as JSON. A reader who goes away is a failure like
//! another, not a panic.

use std::fmt::Display;
use std::io::Write as _;

use preload_loader::failure::Failure;
use serde::Serialize;

use crate::explain::Explained;

/// Prints what a command has to say.
pub(crate) fn print<T: Display + Serialize>(said: &T, json: bool) -> Result<(), Failure> {
    bytes(text(said, json)?.as_bytes())
}

/// What a command has to say: lines for people, one JSON object for others.
pub(crate) fn text<T: Display + Serialize>(said: &T, json: bool) -> Result<String, Failure> {
    if !json {
        return Ok(said.to_string());
    }
    let json = serde_json::to_string(said);
    Ok(json.map_err(|error| Failure::new(format!("write JSON: {error}")))? + "\n")
}

/// Prints bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.flush());
    written.map_err(|error| Failure::io("write", "standard output".as_ref(), &error))
}

/// Says what went wrong. Where even that cannot be written the exit status must do.
/// The line comes first, behind all of the verifier's log if that is wanted.
pub(crate) fn failed(failure: &Failure, json: bool, debug: bool) {
    if debug {
        let _ = std::io::stderr().write_all(failure.log());
    }
    let explained = Explained::of(failure, debug);
    if json {
        let error = text(&explained, true).unwrap_or_default();
        let _ = bytes(error.as_bytes());
    }
    let _ = write!(std::io::stderr(), "bpf-preload: {explained}");
}
