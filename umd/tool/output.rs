// SPDX-License-Identifier: MIT OR Apache-2.0
//! Printing: for people, or as JSON. A reader who goes away is a failure like
//! another, not a panic.

use std::fmt::Display;
use std::io::Write as _;

use preload_loader::failure::Failure;
use serde::Serialize;

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
/// The line comes last, behind the verifier's log if that is wanted.
pub(crate) fn failed(failure: &Failure, json: bool, debug: bool) {
    if debug {
        let _ = std::io::stderr().write_all(failure.log());
    }
    if json {
        let error = serde_json::json!({ "error": failure.to_string() });
        let _ = bytes(format!("{error}\n").as_bytes());
    }
    let _ = writeln!(std::io::stderr(), "bpf-preload: {failure}");
}
