// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/proc/kallsyms`: addresses of kernel symbols.

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use crate::failure::Failure;

const PATH: &str = "/proc/kallsyms";

/// What the kernel says of some symbols.
pub(crate) struct Addresses {
    /// The address of each; none for those that the kernel has not.
    pub(crate) found: Vec<Option<u64>>,
    /// All that it says are 0, because we may not see them.
    pub(crate) hidden: bool,
}

/// The addresses of these symbols.
pub(crate) fn addresses(names: &[&[u8]]) -> Result<Addresses, Failure> {
    let mut found = vec![None; names.len()];
    let mut hidden = true;
    each(|address, name| {
        hidden &= address == 0;
        if let Some(index) = names.iter().position(|wanted| *wanted == name)
            && let Some(place) = found.get_mut(index)
        {
            match *place {
                // Two of a name: nobody could say which one is meant, as in libbpf.
                Some(other) if other != address => {
                    let name = String::from_utf8_lossy(name);
                    let what = format!("resolve ksym {name}: two symbols of that name in {PATH}");
                    return Err(Failure::new(what));
                }
                _ => *place = Some(address),
            }
        }
        Ok(())
    })?;
    Ok(Addresses { found, hidden })
}

/// Calls `see` with address and name of each symbol.
pub(crate) fn each(mut see: impl FnMut(u64, &[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    let io = |error| Failure::io("read", PATH.as_ref(), &error);
    let mut lines = BufReader::with_capacity(1 << 16, File::open(PATH).map_err(io)?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(io)? > 0 {
        if let Some((address, name)) = parse(&line) {
            see(address, name)?;
        }
        line.clear();
    }
    Ok(())
}

/// Address and name of a line like `ffffffff81000000 T _text`, or with a module behind it.
fn parse(line: &[u8]) -> Option<(u64, &[u8])> {
    let mut words = line.trim_ascii().split(|b| b.is_ascii_whitespace());
    let address = std::str::from_utf8(words.next()?).ok()?;
    let kind = words.next()?;
    let name = words.next()?;
    // Clang's LTO renames static data: `name.llvm.<hash>`.
    let renamed = name.windows(6).position(|w| w == b".llvm.");
    let end = renamed.filter(|_| kind == b"d").unwrap_or(name.len());
    Some((u64::from_str_radix(address, 16).ok()?, name.get(..end)?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn symbol_is_taken_for_another() {
        let line = |text: &'static str| parse(text.as_bytes());
        assert_eq!(
            line("ffffffff81000000 T _text\n"),
            Some((0xffff_ffff_8100_0000, b"_text".as_slice()))
        );
        assert_eq!(
            line("0000000000000010 d x.llvm.123\t[mod]\n"),
            Some((16, b"x".as_slice()))
        );
        assert_eq!(
            line("10 t f.llvm.123\n"),
            Some((16, b"f.llvm.123".as_slice()))
        );
        assert_eq!(line("10 t\n"), None);
        assert_eq!(line("no T x\n"), None);
    }
}
