// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever FILE.o is, there is one line that says what is wrong with it, soon and
//! in little memory.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{compile, unshared};

/// With something of each kind in it.
const SOURCE: &str = r#"
struct task_struct { int pid; } __attribute__((preserve_access_index));
struct { __uint(type, 1); __type(key, u32); __type(value, u64); __uint(max_entries, 9); } m SEC(".maps");
extern u64 kfunc(void *t) __attribute__((weak)) SEC(".ksyms");
extern int LINUX_KERNEL_VERSION SEC(".kconfig");
volatile int v = 1;
static noinline int sub(int x) { return x * v + LINUX_KERNEL_VERSION; }
SEC("socket") int prog(void *ctx)
{
	u32 k = ((struct task_struct *)bpf_get_current_task())->pid;
	bpf_map_lookup_elem(&m, &k);
	return kfunc ? 1 : sub(k);
}"#;

const COMMANDS: [&[&str]; 3] = [
    &["load", "FILE"],
    &["dump", "FILE"],
    &["relo", "FILE", "--btf", "/sys/kernel/btf/vmlinux"],
];
/// Most KiB of address space: the arena of a load is 256 MiB of it.
const MEMORY_KIB: u32 = 1 << 20;
const SOON: Duration = Duration::from_secs(10);

/// A directory of this test's own.
fn dir() -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("any_bytes_files");
    fs::create_dir_all(&dir).expect("make a directory");
    dir
}

/// Runs the tool on a file: its status and what it says on stderr.
fn run(command: &[&str], file: &Path, input: Stdio) -> (Option<i32>, String) {
    let start = Instant::now();
    let words = command.iter().map(|word| match *word {
        "FILE" => file.as_os_str(),
        word => word.as_ref(),
    });
    let output = Command::new("sh")
        .args(["-c", "ulimit -v $0; exec timeout 60 \"$@\""])
        .arg(MEMORY_KIB.to_string())
        .arg(env!("CARGO_BIN_EXE_bpf-preload"))
        .args(words)
        .stdin(input)
        .output()
        .expect("run the tool");
    let took = start.elapsed();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(took < SOON, "{command:?} {file:?} takes {took:?}: {said}");
    (output.status.code(), said)
}

/// One line, and status 1; or, of bytes that are an object, nothing and 0.
fn check(command: &[&str], file: &Path, may_succeed: bool, what: &str) {
    let (status, said) = run(command, file, Stdio::null());
    let mut lines = said.lines();
    let first = lines.next().unwrap_or_default();
    // Where in the source the verifier stopped comes indented behind it.
    let more = lines.all(|line| first.contains(": load prog ") && line.starts_with("  "));
    let line = first.starts_with("bpf-preload: ") && said.ends_with('\n') && more;
    let fine = match status {
        Some(0) => may_succeed && said.is_empty(),
        Some(1) => line && first.len() > "bpf-preload: ".len(),
        _ => false,
    };
    assert!(fine, "{command:?} of {what}: {status:?}, {said:?}");
}

/// A generator of its own, so that a failure can be repeated (xorshift).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn any_bytes_give_one_line() {
    let object = fs::read(compile("any_bytes", SOURCE)).expect("read");
    let file = dir().join("mutated.bpf.o");
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for round in 0..300 {
        let mut bytes = object.clone();
        let len = bytes.len() as u64;
        match round % 5 {
            // Cut off, of noise, or with some bytes, bits or words changed.
            0 => bytes.truncate((next(&mut state) % len) as usize),
            1 => {
                let len = next(&mut state) % 4096;
                bytes = (0..len).map(|_| next(&mut state) as u8).collect();
                // Half of them look like an object at first.
                let head = if round % 2 == 0 {
                    0
                } else {
                    64.min(bytes.len())
                };
                let from = object.get(..head).expect("a header");
                bytes
                    .get_mut(..head)
                    .expect("a header")
                    .copy_from_slice(from);
            }
            kind => {
                for _ in 0..=next(&mut state) % 8 {
                    let at = (next(&mut state) % len) as usize;
                    let value = next(&mut state);
                    let place = bytes.get_mut(at..).expect("a place");
                    match kind {
                        2 => place.iter_mut().take(1).for_each(|b| *b = value as u8),
                        3 => place
                            .iter_mut()
                            .take(1)
                            .for_each(|b| *b ^= 1 << (value % 8)),
                        // Lengths and offsets that are a little or much too large.
                        _ => {
                            let word = [0, 1, 0x7fff_ffff, u32::MAX, value as u32];
                            let word = word.get((value >> 32) as usize % 5).expect("a word");
                            place
                                .iter_mut()
                                .zip(word.to_le_bytes())
                                .for_each(|(b, w)| *b = w);
                        }
                    }
                }
            }
        }
        fs::write(&file, &bytes).expect("write");
        let command = COMMANDS.get(round % 3).expect("a command");
        check(
            command,
            &file,
            true,
            &format!("round {round}, kept in {file:?}"),
        );
    }
}

#[test]
fn file_that_is_no_object_is_not_named_for_what_it_is() {
    let object = fs::read(compile("no_object", SOURCE)).expect("read");
    let dir = dir();
    let make = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        fs::write(&path, bytes).expect("write");
        path
    };
    let with = |at: usize, byte: u8| {
        let mut bytes = object.clone();
        *bytes.get_mut(at).expect("a header") = byte;
        bytes
    };
    let huge = make("huge", &object);
    let opened = fs::File::options().write(true).open(&huge).expect("open");
    opened.set_len(1 << 40).expect("make it sparse");
    let fifo = dir.join("fifo");
    let _ = fs::remove_file(&fifo);
    let made = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo");
    assert!(made.success());
    let elf = "/bin/sh";
    for (file, why) in [
        (make("empty", b""), "not an ELF file"),
        (make("text", b"#!/bin/sh\n"), "not an ELF file"),
        (
            make("gzip", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
            "not an ELF file",
        ),
        (
            make("archive", b"!<arch>\nobject.o/       0 "),
            "not an ELF file",
        ),
        (make("elf32", &with(4, 1)), "not a 64-bit ELF object"),
        (make("big-endian", &with(5, 2)), "big-endian"),
        (make("shared", &with(16, 3)), "not a relocatable ELF object"),
        (
            make("executable", &with(16, 2)),
            "not a relocatable ELF object",
        ),
        (make("other-machine", &with(18, 62)), "not a BPF object"),
        (PathBuf::from(elf), "not a relocatable ELF object"),
        (dir.clone(), "EISDIR (21)"),
        (dir.join("not-there"), "ENOENT (2)"),
        (PathBuf::from("/dev/null"), "not an ELF file"),
        (fifo, "not an ELF file"),
        (PathBuf::from("/dev/stdin"), "not an ELF file"),
        (PathBuf::from("-"), "ENOENT (2)"),
        // What has no end, or 1 TiB of nothing: too much, if there is as much memory at all.
        (PathBuf::from("/dev/zero"), ""),
        (huge, ""),
    ] {
        for command in COMMANDS {
            check(command, &file, false, &format!("{file:?}"));
            let (_, said) = run(command, &file, Stdio::null());
            assert!(said.contains(why), "{command:?} {file:?}: {said}");
        }
    }
}

#[test]
fn object_from_a_pipe_is_read_twice() {
    let source = r#"SEC("socket") int prog(void *ctx) { return 0; }"#;
    let object = compile("piped", source);
    for command in COMMANDS {
        let input = fs::File::open(&object).expect("open");
        let (status, said) = run(command, Path::new("/dev/stdin"), input.into());
        assert_eq!((status, said.as_str()), (Some(0), ""), "{command:?}");
    }
    let (ok, said) = unshared(
        "cat $object | $tool load /dev/stdin >/dev/null; cat $object | $tool dump /dev/stdin >/dev/null",
        Some(&object),
    );
    assert!(ok && said.is_empty(), "{said}");
}
