// SPDX-License-Identifier: MIT OR Apache-2.0
//! What went wrong, as one line: step, object, errno, and the cause where it is known.

use std::fmt::{self, Display};
use std::path::Path;

use bpf_preload_umd::error::{self, Error};
use bpf_preload_umd::sys::Errno;

use crate::explain::Explanation;

/// One line, without the program's name and a newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    line: String,
    /// All that the verifier said, if it was the verifier.
    log: Vec<u8>,
    /// What the kernel answered, if it was the kernel that refused.
    errno: Option<i32>,
    /// What else is known, of a load.
    explanation: Option<Box<Explanation>>,
}

impl Failure {
    /// A line as it is to be read; control characters in it become `?`.
    pub fn new(text: impl Into<String>) -> Self {
        // Paths may hold anything.
        Failure {
            line: line(text.into()),
            log: Vec::new(),
            errno: None,
            explanation: None,
        }
    }

    /// The kernel refused a step.
    pub fn errno(step: &str, errno: impl Into<i32>) -> Self {
        Failure::bare_errno(errno.into()).during(step)
    }

    /// The kernel refused, for whoever knows [the step](Failure::during).
    pub(crate) fn bare_errno(errno: i32) -> Self {
        let name = match errno {
            // What only hosts see has no place among the driver's own.
            39 => "ENOTEMPTY".into(),
            40 => "ELOOP".into(),
            61 => "ENODATA".into(),
            67 => "ENOLINK".into(),
            75 => "EOVERFLOW".into(),
            90 => "EMSGSIZE".into(),
            98 => "EADDRINUSE".into(),
            99 => "EADDRNOTAVAIL".into(),
            110 => "ETIMEDOUT".into(),
            116 => "ESTALE".into(),
            122 => "EDQUOT".into(),
            125 => "ECANCELED".into(),
            errno => String::from_utf8_lossy(error::errno_name(errno)),
        };
        let mut failure = Failure::new(match &*name {
            "" => format!("errno {errno}"),
            name => format!("{name} ({errno})"),
        });
        failure.errno = Some(errno);
        failure
    }

    /// A file could not be read or written.
    pub fn io(step: &str, path: &Path, error: &std::io::Error) -> Self {
        let step = format!("{step} {}", path.display());
        match error.raw_os_error() {
            Some(errno) => Failure::errno(&step, errno),
            None => Failure::new(format!("{step}: {error}")),
        }
    }

    /// With the file that it is about.
    pub fn within(mut self, file: &Path) -> Self {
        self.line = line(format!("{}: {}", file.display(), self.line));
        self
    }

    /// With what is known of the cause.
    pub fn because(mut self, cause: &str) -> Self {
        self.line = line(format!("{}: {cause}", self.line));
        self
    }

    /// With the step that it ended.
    pub fn during(mut self, step: &str) -> Self {
        self.line = line(format!("{step}: {}", self.line));
        self
    }

    /// With the verifier's log.
    pub fn with_log(mut self, log: &[u8]) -> Self {
        self.log = log.to_vec();
        self
    }

    /// With what else is known.
    pub(crate) fn explained(mut self, explanation: Explanation) -> Self {
        self.explanation = Some(Box::new(explanation));
        self
    }

    /// What else is known, of a load that failed.
    pub fn explanation(&self) -> Option<&Explanation> {
        self.explanation.as_deref()
    }

    /// All that the verifier said; empty if it was not the verifier.
    pub fn log(&self) -> &[u8] {
        &self.log
    }

    /// What the kernel answered, if it was the kernel that refused.
    pub fn os_error(&self) -> Option<i32> {
        self.errno
    }

    /// The executor's line, which begins with the driver's name.
    pub fn of(error: &Error) -> Self {
        let line = String::from_utf8_lossy(error.line());
        let mut failure = Failure::new(line.strip_prefix("bpf_preload: ").unwrap_or(&line));
        failure.errno = error.errno().map(number);
        failure
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// Of an [`Errno`], for [`Failure::errno`].
pub fn number(Errno(errno): Errno) -> i32 {
    errno
}

/// Text from outside, on one line whatever is in it.
pub fn line(text: impl Display) -> String {
    let text = text.to_string();
    let shown = text.chars().map(|c| if c.is_control() { '?' } else { c });
    shown.collect()
}
