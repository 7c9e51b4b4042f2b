// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is mounted in this mount namespace.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::failure::Failure;

const PATH: &str = "/proc/self/mountinfo";

/// A mount.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where.
    pub(crate) point: PathBuf,
    /// Type of the file system.
    pub(crate) fs_type: String,
    /// The options of the file system, whoever has mounted it where.
    pub(crate) options: String,
}

/// All of them; of several at one place the last one is on top.
pub(crate) fn mounts() -> Result<Vec<Mount>, Failure> {
    let mounts = fs::read_to_string(PATH);
    let mounts = mounts.map_err(|error| Failure::io("read", PATH.as_ref(), &error))?;
    Ok(mounts.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Mount> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut words = file_system.split(' ');
    Some(Mount {
        point: unescape(mount.split(' ').nth(4)?),
        fs_type: words.next()?.to_owned(),
        options: words.nth(1).unwrap_or_default().to_owned(),
    })
}

/// Blanks and the like stand there as a backslash and three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let digits = more
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal.filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = more.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::{Mount, parse};

    #[test]
    fn mount_point_is_misread() {
        let line = |point: &str, fs: &str| {
            format!("36 35 0:34 / {point} rw,nosuid shared:5 master:1 - {fs} bpf rw,mode=700")
        };
        let at = |point: &str, fs: &str| {
            Some(Mount {
                point: point.into(),
                fs_type: fs.into(),
                options: "rw,mode=700".into(),
            })
        };
        for fs in ["bpf", "tmpfs"] {
            let plain = parse(&line("/sys/fs/bpf", fs));
            assert_eq!(plain, at("/sys/fs/bpf", fs));
        }
        let blank = parse(&line(r"/tmp/a\040b\134c\0", "bpf"));
        assert_eq!(blank, at(r"/tmp/a b\c\0", "bpf"));
        assert_eq!(parse("nonsense"), None);
    }
}
