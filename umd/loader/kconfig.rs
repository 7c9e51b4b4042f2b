// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of `.kconfig` variables: the kernel's configuration, and libbpf's
//! virtual options (`LINUX_*`), which say what the kernel can do.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;

use bpf_preload_umd::btf::kind;
use flate2::read::MultiGzDecoder;
use preload_image::{Image, Kconfig, kconfig_flags, kconfig_kind};

use crate::failure::Failure;
use crate::kernel::Kernel;

const CONFIG_GZ: &str = "/proc/config.gz";
/// No kernel's configuration is nearly as long.
const MAX_BYTES: u64 = 16 << 20;

/// The options of the running kernel that are set: the text behind `=` of each.
#[derive(Default)]
pub(crate) struct Options(HashMap<Vec<u8>, Vec<u8>>);

impl Options {
    /// Reads them.
    pub(crate) fn running() -> Result<Self, Failure> {
        Ok(Options(parse(&text()?)))
    }

    /// Is `CONFIG_` and this set, be it as a module?
    pub(crate) fn has(&self, option: &str) -> bool {
        let text = self.0.get(format!("CONFIG_{option}").as_bytes());
        text.is_some_and(|text| text != b"n")
    }
}

/// What an image's variables get their values from.
pub(crate) struct Config(Options);

impl Config {
    /// Reads the configuration, if the image asks for any of it.
    pub(crate) fn read(image: &Image<'_>) -> Result<Self, Failure> {
        let mut names = image.kconfigs().iter().map(|k| image.str(k.name));
        let options = if names.any(|name| name.starts_with(b"CONFIG_")) {
            Options::running()?
        } else {
            Options::default()
        };
        Ok(Config(options))
    }

    /// The value of a variable, as many bytes as it has.
    pub(crate) fn value(&self, name: &[u8], variable: &Kconfig) -> Result<Vec<u8>, Failure> {
        let wrong = |what: String| {
            let name = String::from_utf8_lossy(name);
            Failure::new(format!("resolve kconfig {name}: {what}"))
        };
        let weak = variable.flags & kconfig_flags::WEAK != 0;
        if name.starts_with(b"CONFIG_") {
            let Config(Options(options)) = self;
            return match options.get(name) {
                Some(text) => encode(text, variable).map_err(wrong),
                None if weak => Ok(Vec::new()),
                None => Err(wrong("not in the kernel's configuration".into())),
            };
        }
        let number = match name {
            b"LINUX_KERNEL_VERSION" => kernel_version()?,
            // Since 5.15: bpf_get_attach_cookie().
            b"LINUX_HAS_BPF_COOKIE" => {
                let kernel = Kernel::read()?;
                u64::from(kernel.has_enumerator(b"bpf_func_id", b"BPF_FUNC_get_attach_cookie")?)
            }
            // On x86-64 since 4.17: system calls take their arguments in a struct pt_regs.
            b"LINUX_HAS_SYSCALL_WRAPPER" => {
                u64::from(Kernel::read()?.has(kind::FUNC, b"__x64_sys_bpf")?)
            }
            name if weak && name.starts_with(b"LINUX_") => 0,
            _ => return Err(wrong("no such option".into())),
        };
        number_bytes(number, variable).map_err(wrong)
    }
}

/// The running kernel's configuration, from where libbpf looks for it.
fn text() -> Result<Vec<u8>, Failure> {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let boot = PathBuf::from(format!("/boot/config-{release}"));
    for path in [&boot, &PathBuf::from(CONFIG_GZ)] {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            file => file,
        };
        let mut bytes = Vec::new();
        let read = file.and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
        read.map_err(|error| Failure::io("read", path, &error))?;
        if !bytes.starts_with(&[0x1f, 0x8b]) {
            return Ok(bytes);
        }
        let mut text = Vec::new();
        let unpacked = MultiGzDecoder::new(&*bytes)
            .take(MAX_BYTES)
            .read_to_end(&mut text);
        unpacked.map_err(|error| Failure::io("unpack", path, &error))?;
        return Ok(text);
    }
    let what = format!(
        "read the kernel's configuration: neither {} nor {CONFIG_GZ}",
        boot.display()
    );
    Err(Failure::new(what))
}

/// The options of a configuration. `# CONFIG_X is not set` is as good as nothing.
fn parse(text: &[u8]) -> HashMap<Vec<u8>, Vec<u8>> {
    let lines = text.split(|b| *b == b'\n');
    let option = |line: &[u8]| {
        let at = line.iter().position(|b| *b == b'=')?;
        let (name, value) = line.split_at_checked(at)?;
        let named = name.starts_with(b"CONFIG_");
        named.then(|| (name.to_vec(), value.get(1..).unwrap_or_default().to_vec()))
    };
    lines.filter_map(option).collect()
}

/// An option's value for a variable of this type.
fn encode(text: &[u8], variable: &Kconfig) -> Result<Vec<u8>, String> {
    let shown = String::from_utf8_lossy(text);
    let misfit = || Err(format!("the value {shown} does not fit its type"));
    match (text, variable.kind) {
        (b"y" | b"n", kconfig_kind::BOOL) => Ok(vec![u8::from(text == b"y")]),
        (b"y" | b"n" | b"m", kconfig_kind::TRISTATE) => {
            // enum libbpf_tristate
            let value: u32 = match text {
                b"n" => 0,
                b"y" => 1,
                _ => 2,
            };
            Ok(value.to_le_bytes().to_vec())
        }
        (b"y" | b"n" | b"m", kconfig_kind::CHAR) => Ok(text.to_vec()),
        ([b'"', string @ .., b'"'], kconfig_kind::CHAR_ARRAY) => {
            // What is too long is cut, and ends with a NUL all the same.
            let room = (variable.value.len as usize).saturating_sub(1);
            Ok(string.get(..room).unwrap_or(string).to_vec())
        }
        (_, kconfig_kind::INT | kconfig_kind::CHAR) => match number(&shown) {
            Some(number) => number_bytes(number, variable),
            None => misfit(),
        },
        _ => misfit(),
    }
}

/// A number as the configuration has it: decimal or hexadecimal, maybe negative.
fn number(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let number = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

/// A number for a variable of this type, if it can hold it.
fn number_bytes(number: u64, variable: &Kconfig) -> Result<Vec<u8>, String> {
    let size = variable.value.len;
    let misfit = Err(format!("the value {number} does not fit into {size} bytes"));
    let numeric = [kconfig_kind::INT, kconfig_kind::CHAR, kconfig_kind::BOOL];
    if !numeric.contains(&variable.kind) || variable.kind == kconfig_kind::BOOL && number > 1 {
        return misfit;
    }
    let bits = 8 * size;
    if bits < 64 {
        let fits = if variable.flags & kconfig_flags::SIGNED != 0 {
            number.wrapping_add(1 << (bits - 1)) < 1 << bits
        } else {
            number >> bits == 0
        };
        if !fits {
            return misfit;
        }
    }
    let bytes = number.to_le_bytes();
    Ok(bytes.get(..size as usize).unwrap_or(&bytes).to_vec())
}

/// The version as `KERNEL_VERSION()` puts it together.
pub(crate) fn kernel_version() -> Result<u64, Failure> {
    let uname = rustix::system::uname();
    let (release, version) = (
        uname.release().to_string_lossy(),
        uname.version().to_string_lossy(),
    );
    // Debian's release is that of its ABI; the version proper stands in the version.
    let debian = version.split_once("Debian ").map(|(_, rest)| rest);
    let ubuntu = std::fs::read_to_string("/proc/version_signature").ok();
    let ubuntu = ubuntu.as_deref().and_then(|s| s.rsplit(' ').next());
    let known = [ubuntu, debian, Some(&*release)].into_iter().flatten();
    let what = format!("read the kernel's version: {release} is none");
    known
        .filter_map(version_code)
        .next()
        .ok_or_else(|| Failure::new(what))
}

/// `6.1.94-rc1` as `6 << 16 | 1 << 8 | 94`, the last part at most 255.
fn version_code(text: &str) -> Option<u64> {
    let part = |text: &str| {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        text.get(..end)?.parse::<u64>().ok()
    };
    let mut parts = text.trim().splitn(3, '.');
    let (major, minor) = (part(parts.next()?)?, part(parts.next()?)?);
    let patch = parts.next().and_then(part).unwrap_or(0);
    Some(major << 16 | minor << 8 | patch.min(255))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(kind: u32, len: u32, signed: bool) -> Kconfig {
        Kconfig {
            kind,
            value: preload_image::Span { start: 0, len },
            flags: if signed { kconfig_flags::SIGNED } else { 0 },
            ..Kconfig::default()
        }
    }

    #[test]
    fn option_gets_a_value_of_another_type() {
        let good = |text: &str, kind, len, signed| {
            encode(text.as_bytes(), &variable(kind, len, signed)).expect(text)
        };
        assert_eq!(good("y", kconfig_kind::BOOL, 1, false), [1]);
        assert_eq!(good("m", kconfig_kind::TRISTATE, 4, false), [2, 0, 0, 0]);
        assert_eq!(good("m", kconfig_kind::CHAR, 1, true), b"m");
        assert_eq!(good("1000", kconfig_kind::INT, 4, true), [0xe8, 3, 0, 0]);
        assert_eq!(good("-1", kconfig_kind::INT, 2, true), [0xff, 0xff]);
        assert_eq!(
            good("0xdead000000000000", kconfig_kind::INT, 8, false),
            [0, 0, 0, 0, 0, 0, 0xad, 0xde]
        );
        assert_eq!(
            good("\"(none)\"", kconfig_kind::CHAR_ARRAY, 16, false),
            b"(none)"
        );
        assert_eq!(
            good("\"(none)\"", kconfig_kind::CHAR_ARRAY, 4, false),
            b"(no"
        );
        for (text, kind, len, signed) in [
            ("m", kconfig_kind::BOOL, 1, false),
            ("256", kconfig_kind::INT, 1, false),
            ("128", kconfig_kind::CHAR, 1, true),
            ("-1", kconfig_kind::INT, 4, false),
            ("y", kconfig_kind::INT, 4, false),
            ("1", kconfig_kind::CHAR_ARRAY, 4, false),
            ("\"x\"", kconfig_kind::INT, 4, false),
            ("1x", kconfig_kind::INT, 4, false),
        ] {
            encode(text.as_bytes(), &variable(kind, len, signed)).expect_err(text);
        }
    }

    #[test]
    fn version_is_that_of_the_abi() {
        assert_eq!(version_code("6.1.0-56-cloud-amd64"), Some(0x06_01_00));
        assert_eq!(version_code("6.1.192-2 (2026-01-01)"), Some(0x06_01_c0));
        assert_eq!(version_code("5.10.262"), Some(0x05_0a_ff));
        assert_eq!(version_code("7.3"), Some(0x07_03_00));
        assert_eq!(version_code("x"), None);
    }

    #[test]
    fn option_is_lost() {
        let options = parse(b"# x\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"a=b\"\n");
        assert_eq!(options.len(), 2);
        assert_eq!(
            options.get(b"CONFIG_C".as_slice()).map(Vec::as_slice),
            Some(b"\"a=b\"".as_slice())
        );
    }
}
