// SPDX-License-Identifier: MIT OR Apache-2.0
//! Completes an image with what only this machine knows: values of its kernel's
//! configuration, addresses of kernel symbols, the number of CPUs, structs of struct_ops.

use preload_image::{Image, Writer, extern_flags, map_flags, object_flags};

use crate::failure::Failure;
use crate::kallsyms::Addresses;
use crate::kconfig::Config;
use crate::{kallsyms, object, struct_ops};

/// The image as it is if nothing is missing, else a completed one.
///
/// # Errors
/// The configuration, the symbols or the kernel BTF cannot be read, or lack what the object needs.
pub fn complete(bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let image = object::parse(&bytes)?;
    let mut object = image.object();
    if object.flags & object_flags::INCOMPLETE == 0 {
        return Ok(bytes);
    }
    let mut writer = Writer::of(&image);
    entries_per_cpu(&image, &mut writer)?;
    addresses(&image, &mut writer)?;
    struct_ops::complete(&image, &mut writer)?;
    if !image.kconfigs().is_empty() {
        let config = Config::read(&image)?;
        for variable in image.kconfigs().iter() {
            let value = config.value(image.str(variable.name), &variable)?;
            writer.replace_data(variable.value, &value);
        }
    }
    object.flags &= !object_flags::INCOMPLETE;
    writer.object(object);
    writer.finish().map_err(|wrong| {
        let what = format!("complete image: {} at offset {}", wrong.what, wrong.offset);
        Failure::new(what)
    })
}

/// Maps that are to have an entry for each CPU that there may be.
fn entries_per_cpu(image: &Image<'_>, writer: &mut Writer) -> Result<(), Failure> {
    const PATH: &str = "/sys/devices/system/cpu/possible";
    let mut count = None;
    for (index, mut map) in (0..).zip(image.maps().iter()) {
        if map.flags & map_flags::ENTRY_PER_CPU == 0 {
            continue;
        }
        let known = match count {
            Some(count) => count,
            None => {
                let list = std::fs::read_to_string(PATH)
                    .map_err(|error| Failure::io("read", PATH.as_ref(), &error))?;
                let what = format!("read {PATH}: not a list of CPUs");
                cpus(&list).ok_or_else(|| Failure::new(what))?
            }
        };
        count = Some(known);
        map.max_entries = known;
        writer.replace_map(index, map);
    }
    Ok(())
}

/// Number of CPUs in a list like `0-3,8`.
fn cpus(list: &str) -> Option<u32> {
    let mut count = 0u32;
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count = count.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(count)
}

/// Ksyms without a type; the executor says if a strong one is missing.
fn addresses(image: &Image<'_>, writer: &mut Writer) -> Result<(), Failure> {
    let wanted = || {
        (0..)
            .zip(image.externs().iter())
            .filter(|(_, e)| e.target == 0)
    };
    if wanted().next().is_none() {
        return Ok(());
    }
    let names: Vec<&[u8]> = wanted().map(|(_, e)| image.str(e.name)).collect();
    let Addresses { found, hidden } = kallsyms::addresses(&names)?;
    for ((index, mut ksym), address) in wanted().zip(found) {
        // Hidden from us (kernel.kptr_restrict): a program would read what it does not mean.
        if address == Some(0) && hidden && ksym.flags & extern_flags::WEAK == 0 {
            let name = String::from_utf8_lossy(image.str(ksym.name));
            let what = format!("resolve ksym {name}: /proc/kallsyms hides addresses");
            return Err(Failure::new(what));
        }
        if let Some(address) = address {
            ksym.address = address;
            ksym.flags |= extern_flags::KNOWN;
        }
        writer.replace_extern(index, ksym);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::cpus;

    #[test]
    fn cpus_are_miscounted() {
        assert_eq!(cpus("0\n"), Some(1));
        assert_eq!(cpus("0-127\n"), Some(128));
        assert_eq!(cpus("0-3,8,16-17\n"), Some(7));
        for bad in ["", "a", "3-1", "0-", "0-4294967295", "0,,1"] {
            assert_eq!(cpus(bad), None, "{bad}");
        }
    }
}
