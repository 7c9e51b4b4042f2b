// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel that is none: descriptors, kernel BTF and the pipes of the driver as
//! a table, with faults on order. It checks what it is given as strictly as the
//! real one does, and panics where that would answer something no test wants.

mod bpf;
mod user;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use bpf_preload_umd::sys::{Errno, Sys};

pub(crate) use bpf::{Loaded, Verifier, unknown_calls};

/// A call repeated so often with the same error is over it then, which nobody
/// should wait for.
pub(crate) const ALWAYS: usize = 1000;
/// More system calls than any load makes: an endless loop.
const CALLS_MAX: usize = 100_000;
/// What a process may map, so that a hostile length is an error, not a slow test.
const MAP_MAX: usize = 64 << 20;

/// Name of a system call or bpf() command, and what it was about.
pub(crate) type Call = (&'static str, String);

/// A system call that fails: the one of this number, and the same call again.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    /// Number of the call, counted from 0, without close(2), which cannot fail.
    pub(crate) at: usize,
    pub(crate) errno: i32,
    /// 1: once; [`ALWAYS`].
    pub(crate) times: usize,
}

/// How `/sys/kernel/btf/vmlinux` answers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Sysfs {
    /// It can be mapped: 6.16 and later.
    Mapped,
    /// It can be read, at most so many bytes a call.
    Read(usize),
    /// open(2) fails.
    Absent(i32),
}

/// A BTF that has an id.
#[derive(Clone)]
pub(crate) struct BtfById {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) kernel: bool,
    pub(crate) data: Vec<u8>,
    /// It goes away between being listed and being opened.
    pub(crate) vanishes: bool,
}

/// What a descriptor is of.
pub(crate) enum File {
    Vmlinux,
    /// What the shim passed as fd 3.
    Passed,
    ById(usize),
    Btf,
    Map {
        name: String,
        key_size: usize,
        value_size: usize,
        frozen: bool,
    },
    Prog {
        name: String,
        attach_type: u32,
    },
    Link {
        prog: String,
        id: u32,
    },
}

#[derive(Default)]
struct State {
    trace: Vec<Call>,
    files: BTreeMap<i32, File>,
    input: Vec<u8>,
    consumed: usize,
    output: Vec<u8>,
    log: Vec<Vec<u8>>,
    loads: Vec<Loaded>,
    links: u32,
}

/// The kernel; the public fields are set before the load.
pub(crate) struct FakeKernel {
    pub(crate) kernel_btf: Vec<u8>,
    pub(crate) sysfs: Sysfs,
    /// Size of the file, where that is not the truth.
    pub(crate) file_len: Option<usize>,
    pub(crate) by_id: Vec<BtfById>,
    /// What fd 3 is of when the driver starts, and how it can be read.
    passed: Option<(Vec<u8>, Sysfs)>,
    fault: Option<Fault>,
    /// Bytes that read(2) of fd 0 and write(2) to fd 1 move at most.
    pub(crate) read_max: usize,
    pub(crate) write_max: usize,
    /// fd 1 has no reader.
    pub(crate) closed_output: bool,
    pub(crate) verifier: Verifier,
    mapped: Rc<Cell<usize>>,
    state: RefCell<State>,
}

/// Memory of the fake process; knows how much of it there is.
pub(crate) struct Memory {
    bytes: Vec<u8>,
    mapped: Rc<Cell<usize>>,
}

impl Deref for Memory {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.mapped.set(self.mapped.get() - 1);
    }
}

/// What the shim says to the driver that works.
pub(crate) const WORDS: [u8; 8] = [0x55, 0x55, 0, 0, 0xaa, 0xaa, 0, 0];
/// The same in a kernel whose core takes more than two links.
pub(crate) const WORDS_ALL: [u8; 8] = [0x56, 0x55, 0, 0, 0xaa, 0xaa, 0, 0];

impl FakeKernel {
    /// A kernel of 6.16 or later with this BTF, and a shim that is content.
    pub(crate) fn new(kernel_btf: &[u8]) -> Self {
        let fake = FakeKernel {
            kernel_btf: kernel_btf.to_vec(),
            sysfs: Sysfs::Mapped,
            file_len: None,
            by_id: Vec::new(),
            passed: None,
            fault: None,
            read_max: usize::MAX,
            write_max: usize::MAX,
            closed_output: false,
            verifier: Box::new(|_| Ok(())),
            mapped: Rc::default(),
            state: RefCell::default(),
        };
        fake.say(&WORDS);
        fake
    }

    /// The same that asks for all links.
    pub(crate) fn asking_for_all(self) -> Self {
        self.say(&WORDS_ALL);
        self
    }

    /// Whether it does.
    pub(crate) fn asks_for_all(&self) -> bool {
        self.state.borrow().input.starts_with(&WORDS_ALL[..4])
    }

    /// The same with a fault.
    pub(crate) fn failing(self, fault: Fault) -> Self {
        FakeKernel {
            fault: Some(fault),
            ..self
        }
    }

    /// The same, started with a fd 3.
    pub(crate) fn passing(self, btf: &[u8], how: Sysfs) -> Self {
        self.state.borrow_mut().files.insert(3, File::Passed);
        FakeKernel {
            passed: Some((btf.to_vec(), how)),
            ..self
        }
    }

    /// Whether it was started with one.
    pub(crate) fn passes(&self) -> bool {
        self.passed.is_some()
    }

    /// What stands in the pipe of fd 0, before its end.
    pub(crate) fn say(&self, input: &[u8]) {
        self.state.borrow_mut().input = input.to_vec();
    }

    /// The system calls so far, without close(2).
    pub(crate) fn trace(&self) -> Vec<Call> {
        self.state.borrow().trace.clone()
    }

    /// Just the names of them.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        self.trace().into_iter().map(|call| call.0).collect()
    }

    /// What came out of fd 1.
    pub(crate) fn output(&self) -> Vec<u8> {
        self.state.borrow().output.clone()
    }

    /// What came out of fd 2, by write(2).
    pub(crate) fn log(&self) -> Vec<Vec<u8>> {
        self.state.borrow().log.clone()
    }

    /// The programs that were loaded, and with which instructions.
    pub(crate) fn loads(&self) -> Vec<Loaded> {
        self.state.borrow().loads.clone()
    }

    /// Bytes of fd 0 that were read.
    pub(crate) fn consumed(&self) -> usize {
        self.state.borrow().consumed
    }

    /// Descriptors that are open, beyond 0 to 2 and what was passed.
    pub(crate) fn open_fds(&self) -> Vec<i32> {
        let files = &self.state.borrow().files;
        let own = files
            .iter()
            .filter(|(_, file)| !matches!(file, File::Passed));
        own.map(|(fd, _)| *fd).collect()
    }

    /// Pieces of memory that are mapped.
    pub(crate) fn mapped(&self) -> usize {
        self.mapped.get()
    }

    /// Counts a call, and makes it fail if that is on order.
    fn enter(&self, name: &'static str, about: &str) -> Result<(), Errno> {
        let mut state = self.state.borrow_mut();
        let call = (name, about.to_string());
        state.trace.push(call.clone());
        assert!(state.trace.len() < CALLS_MAX, "endless loop of {call:?}");
        let Some(fault) = self.fault else {
            return Ok(());
        };
        let Some(faulty) = state.trace.get(fault.at) else {
            return Ok(());
        };
        let same = state.trace[fault.at..].iter().filter(|c| **c == call);
        if *faulty == call && same.count() <= fault.times {
            return Err(Errno(fault.errno));
        }
        Ok(())
    }

    /// The lowest free descriptor.
    fn install(&self, file: File) -> i32 {
        let files = &mut self.state.borrow_mut().files;
        let fd = (3..).find(|fd| !files.contains_key(fd)).unwrap();
        files.insert(fd, file);
        fd
    }

    fn map(&self, bytes: Vec<u8>) -> Memory {
        self.mapped.set(self.mapped.get() + 1);
        let mapped = Rc::clone(&self.mapped);
        Memory { bytes, mapped }
    }

    /// What a descriptor of a file is of, for the trace: "" or "passed", which
    /// it may be without being open.
    fn about_file(&self, fd: i32) -> &'static str {
        match self.state.borrow().files.get(&fd) {
            Some(File::Vmlinux) => "",
            Some(File::Passed) => "passed",
            None if fd == 3 => "passed",
            _ => panic!("fd {fd} is not a file"),
        }
    }

    /// Its bytes, how they can be read, and what it says to be its size.
    fn file(&self, fd: i32) -> Result<(&[u8], Sysfs, usize), Errno> {
        let passed = match self.state.borrow().files.get(&fd) {
            Some(File::Passed) => self.passed.as_ref(),
            Some(_) => None,
            None => return Err(Errno(libc::EBADF)),
        };
        Ok(match passed {
            Some((bytes, how)) => (bytes, *how, bytes.len()),
            None => {
                let len = self.file_len.unwrap_or(self.kernel_btf.len());
                (&self.kernel_btf, self.sysfs, len)
            }
        })
    }
}

impl Sys for FakeKernel {
    type Mapping = Memory;
    type Buffer = Memory;

    #[allow(unsafe_code, reason = "as the trait has it")]
    unsafe fn bpf(&self, cmd: u32, attr: &mut [u8]) -> Result<i32, Errno> {
        self.command(cmd, attr)
    }

    fn open(&self, path: &CStr) -> Result<i32, Errno> {
        assert_eq!(path, c"/sys/kernel/btf/vmlinux");
        self.enter("open", "")?;
        match self.sysfs {
            Sysfs::Absent(errno) => Err(Errno(errno)),
            _ => Ok(self.install(File::Vmlinux)),
        }
    }

    fn size(&self, fd: i32) -> Result<usize, Errno> {
        self.enter("size", self.about_file(fd))?;
        Ok(self.file(fd)?.2)
    }

    fn read(&self, fd: i32, buf: &mut [u8]) -> Result<usize, Errno> {
        assert_eq!(fd, 0, "read(2) is of the pipe");
        let word = if self.consumed() < 4 { "start" } else { "end" };
        self.enter("read", word)?;
        let mut state = self.state.borrow_mut();
        let left = &state.input[state.consumed..];
        let len = left.len().min(buf.len()).min(self.read_max);
        buf[..len].copy_from_slice(&left[..len]);
        state.consumed += len;
        Ok(len)
    }

    fn pread(&self, fd: i32, buf: &mut [u8], offset: usize) -> Result<usize, Errno> {
        self.enter("pread", self.about_file(fd))?;
        let (bytes, how, _) = self.file(fd)?;
        // What can be mapped can be read, too; kernfs gives a page at most.
        let max = match how {
            Sysfs::Read(max) => max,
            _ => 4096,
        };
        let left = bytes.get(offset..).unwrap_or_default();
        let len = left.len().min(buf.len()).min(max);
        buf[..len].copy_from_slice(&left[..len]);
        Ok(len)
    }

    fn write(&self, fd: i32, buf: &[u8]) -> Result<usize, Errno> {
        if fd == 2 {
            self.enter("write", "log")?;
            self.state.borrow_mut().log.push(buf.to_vec());
            return Ok(buf.len());
        }
        assert_eq!(fd, 1, "write(2) is to the pipes");
        let record = self.state.borrow().output.len() / 20;
        self.enter("write", &format!("record {record}"))?;
        if self.closed_output {
            return Err(Errno(libc::EPIPE));
        }
        let len = buf.len().min(self.write_max);
        self.state.borrow_mut().output.extend(&buf[..len]);
        Ok(len)
    }

    fn close(&self, fd: i32) {
        match self.state.borrow_mut().files.remove(&fd) {
            Some(File::Passed) => panic!("close of fd {fd}, which is the shim's"),
            Some(_) => {}
            None => panic!("close of fd {fd}, which is not open"),
        }
    }

    fn map_file(&self, fd: i32, len: usize) -> Result<Memory, Errno> {
        self.enter("map_file", self.about_file(fd))?;
        let (bytes, how, _) = self.file(fd)?;
        match (how, bytes.get(..len)) {
            (Sysfs::Mapped, Some([])) => Err(Errno(libc::EINVAL)),
            (Sysfs::Mapped, Some(bytes)) => Ok(self.map(bytes.to_vec())),
            _ => Err(Errno(libc::ENODEV)),
        }
    }

    fn map_anonymous(&self, len: usize) -> Result<Memory, Errno> {
        self.enter("map_anonymous", "")?;
        match len {
            0 => Err(Errno(libc::EINVAL)),
            1..=MAP_MAX => Ok(self.map(vec![0; len])),
            _ => Err(Errno(libc::ENOMEM)),
        }
    }

    fn raise_memlock(&self) -> Result<(), Errno> {
        self.enter("raise_memlock", "")
    }

    fn block_sigpipe(&self) -> Result<(), Errno> {
        self.enter("block_sigpipe", "")
    }
}
