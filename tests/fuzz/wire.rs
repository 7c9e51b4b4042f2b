// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver's life with any shim: words in any pieces, pipes that close, kernel
//! BTF served in any way, and a system call that fails.

use arbitrary::{Result, Unstructured};
use bpf_preload_umd::driver;

use crate::fake_kernel::{BtfById, FakeKernel, Fault, Sysfs, WORDS, WORDS_ALL};
use crate::{IMAGES, KERNEL, is_line};

/// Bytes to choose by.
pub fn run(data: &[u8]) {
    // Too few bytes: nothing chosen.
    let _ = chosen(&mut Unstructured::new(data));
}

/// Kernel BTF: whole, of another kernel, cut off, or changed.
fn kernel(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut btf = KERNEL.clone();
    match u.int_in_range(0..=3u8)? {
        0 => btf.truncate(u.int_in_range(0..=btf.len())?),
        1 => {
            for _ in 0..u.int_in_range(1..=8u8)? {
                let at = u.choose_index(btf.len())?;
                btf[at] = u.arbitrary()?;
            }
        }
        _ => {}
    }
    Ok(btf)
}

fn sysfs(u: &mut Unstructured<'_>) -> Result<Sysfs> {
    Ok(match u.int_in_range(0..=3u8)? {
        0 => Sysfs::Absent(u.int_in_range(1..=133)?),
        1 => Sysfs::Read(u.int_in_range(1..=1 << 16)?),
        2 => Sysfs::Absent(libc::ENOENT),
        _ => Sysfs::Mapped,
    })
}

fn chosen(u: &mut Unstructured<'_>) -> Result<()> {
    let btf = kernel(u)?;
    let mut fake = FakeKernel::new(&btf);
    fake.sysfs = sysfs(u)?;
    if u.ratio(1, 8)? {
        fake.file_len = Some(u.int_in_range(0..=1 << 20)?);
    }
    for id in 0..u.int_in_range(0..=3u32)? {
        fake.by_id.push(BtfById {
            id: 1 + 2 * id,
            name: u
                .choose(&["vmlinux", "nf_tables", "", "vmlinux2"])?
                .to_string(),
            kernel: u.arbitrary()?,
            data: kernel(u)?,
            vanishes: u.ratio(1, 4)?,
        });
    }
    if u.ratio(1, 4)? {
        let (btf, how) = (kernel(u)?, sysfs(u)?);
        fake = fake.passing(&btf, how);
    }
    if u.ratio(1, 2)? {
        fake = fake.failing(Fault {
            at: u.int_in_range(0..=60)?,
            errno: u.int_in_range(1..=133)?,
            times: *u.choose(&[1, 2, 1000])?,
        });
    }
    fake.read_max = *u.choose(&[usize::MAX, 1, 2, 3])?;
    fake.write_max = *u.choose(&[usize::MAX, 1, 19, 0])?;
    fake.closed_output = u.ratio(1, 8)?;
    let words: &[u8] = match u.int_in_range(0..=3u8)? {
        0 => u.bytes(u.len().min(12))?,
        1 => &WORDS,
        _ => &WORDS_ALL,
    };
    fake.say(words);
    let records = if words.starts_with(&WORDS_ALL[..4]) {
        3
    } else {
        2
    };

    let mut memory = vec![0; *u.choose(&[1 << 15, 1 << 15, 1 << 12, 64, 0])?];
    let status = driver::run(&fake, &IMAGES.concat(), &mut memory);
    let output = fake.output();
    if status == 0 {
        assert_eq!(output.len(), 20 * records);
        assert_eq!(
            fake.consumed(),
            8,
            "the end word is read, and nothing behind it"
        );
        assert!(fake.log().is_empty());
    } else {
        assert_eq!(status, 1);
        assert_eq!(fake.open_fds(), []);
        assert_eq!(fake.mapped(), 0);
        let log = fake.log();
        assert!(log.len() <= 1, "{log:?}");
        if let Some(line) = log.first() {
            let line = line.strip_suffix(b"\n").expect("the line ends");
            assert!(line.starts_with(b"bpf_preload: ") && line.len() <= 120);
            is_line(line);
        }
    }
    Ok(())
}
