// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bpf() commands. Numbers, offsets and lengths are written out from the
//! uapi `linux/bpf.h`, not taken from the code under test.

use bpf_preload_umd::sys::Errno;

use super::{BtfById, FakeKernel, File, user};

/// `BPF_MAP_TYPE_ARRAY`.
const ARRAY: u32 = 2;
/// `BPF_TRACE_ITER`.
const TRACE_ITER: u32 = 28;
/// `BPF_PROG_TYPE_TRACING`.
const TRACING: u32 = 26;

/// A program as it was loaded.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) insns: Vec<[u8; 8]>,
    pub(crate) attach_btf_id: u32,
}

/// Errno and log with which a program is refused.
pub(crate) type Verifier = Box<dyn Fn(&Loaded) -> Result<(), (i32, Vec<u8>)>>;

fn word(attr: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(attr[at..at + 4].try_into().unwrap())
}

fn quad(attr: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(attr[at..at + 8].try_into().unwrap())
}

/// An object name: letters, digits, `_` and `.`, then NULs, the last byte one of them.
fn name(bytes: &[u8]) -> Result<String, Errno> {
    let len = bytes.iter().position(|b| *b == 0);
    let (name, rest) = bytes.split_at(len.expect("name ends"));
    assert!(rest.iter().all(|b| *b == 0), "bytes behind the name's NUL");
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'.';
    if !name.iter().all(allowed) {
        return Err(Errno(libc::EINVAL));
    }
    Ok(String::from_utf8(name.to_vec()).unwrap())
}

/// The command's name, its length to the last field in use, and the words of it
/// that nobody here has any business with.
fn command(cmd: u32) -> (&'static str, usize, &'static [usize]) {
    match cmd {
        // inner_map_fd, numa_node, map_ifindex, btf_vmlinux_value_type_id, map_extra
        0 => ("MAP_CREATE", 72, &[20, 24, 44, 60, 64, 68]),
        // the hole behind map_fd; flags
        2 => ("MAP_UPDATE_ELEM", 32, &[4, 24, 28]),
        // kern_version, prog_ifindex, attach_prog_fd, core_relo_cnt, fd_array
        5 => ("PROG_LOAD", 128, &[40, 64, 112, 116, 120, 124]),
        15 => ("OBJ_GET_INFO_BY_FD", 16, &[]),
        // the log
        18 => ("BTF_LOAD", 28, &[8, 12, 20, 24]),
        // next_id, open_flags
        19 => ("BTF_GET_FD_BY_ID", 12, &[4, 8]),
        22 => ("MAP_FREEZE", 4, &[]),
        23 => ("BTF_GET_NEXT_ID", 12, &[4, 8]),
        // target_fd, flags
        28 => ("LINK_CREATE", 16, &[4, 12]),
        _ => panic!("bpf() command {cmd}"),
    }
}

impl FakeKernel {
    pub(super) fn command(&self, cmd: u32, attr: &mut [u8]) -> Result<i32, Errno> {
        let (command, len, unused) = command(cmd);
        // A longer attr is refused by a kernel that knows no more: E2BIG.
        assert_eq!(attr.len(), len, "length of {command}");
        for at in unused {
            assert_eq!(word(attr, *at), 0, "{command}: offset {at} is set");
        }
        self.enter(command, &self.about(cmd, attr))?;
        match cmd {
            0 => self.map_create(attr),
            2 => self.map_update(attr),
            5 => self.prog_load(attr),
            15 => self.get_info(attr),
            18 => self.btf_load(attr),
            19 => self.fd_by_id(word(attr, 0)),
            22 => self.map_freeze(attr),
            23 => self.next_id(attr),
            _ => self.link_create(attr),
        }
    }

    /// The object of a command, for the trace.
    fn about(&self, cmd: u32, attr: &[u8]) -> String {
        match cmd {
            0 => name(&attr[28..44]).unwrap_or_default(),
            5 => name(&attr[48..64]).unwrap_or_default(),
            18 => {
                let state = self.state.borrow();
                let btfs = state.files.values().filter(|f| matches!(f, File::Btf));
                format!("BTF {}", btfs.count())
            }
            19 | 23 => String::new(),
            _ => match self.state.borrow().files.get(&(word(attr, 0) as i32)) {
                Some(File::Map { name, .. } | File::Prog { name, .. }) => name.clone(),
                Some(File::Link { prog, .. }) => prog.clone(),
                Some(File::ById(_)) => "BTF".to_string(),
                _ => panic!("command {cmd} on fd {}", word(attr, 0) as i32),
            },
        }
    }

    fn is_btf(&self, fd: u32) -> bool {
        matches!(self.state.borrow().files.get(&(fd as i32)), Some(File::Btf))
    }

    fn btf_load(&self, attr: &[u8]) -> Result<i32, Errno> {
        let btf = user::bytes(quad(attr, 0), word(attr, 16) as usize);
        // The kernel's own check is the kernel's; this is that it gets BTF at all.
        if btf.get(..4) != Some(&[0x9f, 0xeb, 1, 0]) {
            return Err(Errno(libc::EINVAL));
        }
        Ok(self.install(File::Btf))
    }

    fn map_create(&self, attr: &[u8]) -> Result<i32, Errno> {
        // An array's index is an int: of the others nobody here knows better.
        if word(attr, 0) == ARRAY && word(attr, 4) != 4 {
            return Err(Errno(libc::EINVAL));
        }
        let typed = word(attr, 52) != 0 || word(attr, 56) != 0;
        if typed && !self.is_btf(word(attr, 48)) {
            return Err(Errno(libc::EINVAL));
        }
        Ok(self.install(File::Map {
            name: name(&attr[28..44])?,
            key_size: word(attr, 4) as usize,
            value_size: word(attr, 8) as usize,
            frozen: false,
        }))
    }

    fn map_update(&self, attr: &[u8]) -> Result<i32, Errno> {
        let state = self.state.borrow();
        let Some(File::Map {
            key_size,
            value_size,
            frozen,
            ..
        }) = state.files.get(&(word(attr, 0) as i32))
        else {
            panic!("MAP_UPDATE_ELEM of no map");
        };
        assert!(!frozen, "update of a frozen map");
        assert_eq!(user::bytes(quad(attr, 8), *key_size), [0; 4], "key");
        user::bytes(quad(attr, 16), *value_size);
        Ok(0)
    }

    fn map_freeze(&self, attr: &[u8]) -> Result<i32, Errno> {
        match self
            .state
            .borrow_mut()
            .files
            .get_mut(&(word(attr, 0) as i32))
        {
            Some(File::Map { frozen, .. }) => *frozen = true,
            _ => panic!("MAP_FREEZE of no map"),
        }
        Ok(0)
    }

    fn prog_load(&self, attr: &[u8]) -> Result<i32, Errno> {
        match (word(attr, 0), word(attr, 4), word(attr, 68)) {
            (_, 0, _) => return Err(Errno(libc::E2BIG)),
            (TRACING, _, TRACE_ITER) => {}
            _ => return Err(Errno(libc::EINVAL)),
        }
        let insns = user::bytes(quad(attr, 8), 8 * word(attr, 4) as usize);
        let (insns, rest) = insns.as_chunks();
        assert_eq!(rest, [], "insns");
        let loaded = Loaded {
            name: name(&attr[48..64])?,
            insns: insns.to_vec(),
            attach_btf_id: word(attr, 108),
        };
        // strncpy_from_user() of NULL.
        if quad(attr, 16) == 0 {
            return Err(Errno(libc::EFAULT));
        }
        user::string(quad(attr, 16));
        let infos = word(attr, 88) + word(attr, 104);
        assert!(infos == 0 || self.is_btf(word(attr, 72)), "prog_btf_fd");
        for (info, cnt, rec_size, bytes) in [(80, 88, 76, 8), (96, 104, 92, 16)] {
            assert_eq!(word(attr, rec_size), bytes, "size of an info record");
            user::bytes(quad(attr, info), (word(attr, cnt) * bytes) as usize);
        }
        let (level, size, log) = (word(attr, 24), word(attr, 28), quad(attr, 32));
        assert_eq!(level == 0, size == 0, "log_level {level}, log_size {size}");
        assert_eq!(level == 0, log == 0, "log_level {level}, log_buf {log:#x}");
        let verdict = (self.verifier)(&loaded);
        self.state.borrow_mut().loads.push(loaded.clone());
        match verdict {
            Ok(()) => Ok(self.install(File::Prog {
                name: loaded.name,
                attach_type: word(attr, 68),
            })),
            // Who says nothing has not come to the verifier, and leaves the log alone.
            Err((errno, text)) if level == 0 || text.is_empty() => Err(Errno(errno)),
            Err((errno, mut text)) => {
                // The NUL counts. What does not fit is cut off, and the error another.
                text.push(0);
                let fits = text.len() <= size as usize;
                text.truncate(size as usize);
                *text.last_mut().unwrap() = 0;
                user::put(log, &text);
                Err(Errno(if fits { errno } else { libc::ENOSPC }))
            }
        }
    }

    fn link_create(&self, attr: &[u8]) -> Result<i32, Errno> {
        let mut state = self.state.borrow_mut();
        let prog = match state.files.get(&(word(attr, 0) as i32)) {
            Some(File::Prog { name, attach_type }) if *attach_type == word(attr, 8) => name.clone(),
            _ => return Err(Errno(libc::EINVAL)),
        };
        // Ids with a 0x0a in them, which a line-buffered stdout would split.
        state.links += 1;
        let id = 0x0a00 + state.links;
        drop(state);
        Ok(self.install(File::Link { prog, id }))
    }

    fn next_id(&self, attr: &mut [u8]) -> Result<i32, Errno> {
        let above = self.by_id.iter().filter(|btf| btf.id > word(attr, 0));
        let next = above.map(|btf| btf.id).min().ok_or(Errno(libc::ENOENT))?;
        attr[4..8].copy_from_slice(&next.to_le_bytes());
        Ok(0)
    }

    fn fd_by_id(&self, id: u32) -> Result<i32, Errno> {
        let index = self
            .by_id
            .iter()
            .position(|btf| btf.id == id && !btf.vanishes);
        Ok(self.install(File::ById(index.ok_or(Errno(libc::ENOENT))?)))
    }

    fn get_info(&self, attr: &[u8]) -> Result<i32, Errno> {
        let (len, addr) = (word(attr, 4) as usize, quad(attr, 8));
        let fd = word(attr, 0) as i32;
        match self.state.borrow().files.get(&fd) {
            Some(File::Link { id, .. }) => {
                // BPF_LINK_TYPE_ITER, and the id.
                let info = [4u32.to_le_bytes(), id.to_le_bytes()].concat();
                assert!(len >= 8, "bpf_link_info of {len} bytes");
                user::put(addr, &info);
                Ok(0)
            }
            Some(File::ById(index)) => btf_info(&self.by_id[*index], addr, len),
            _ => panic!("OBJ_GET_INFO_BY_FD of fd {fd}"),
        }
    }
}

/// `btf_get_info_by_fd()`, as of 5.11.
fn btf_info(btf: &BtfById, addr: u64, len: usize) -> Result<i32, Errno> {
    assert_eq!(len, 32, "bpf_btf_info to its kernel_btf");
    let mut info = user::bytes(addr, len);
    let (data, data_len) = (quad(&info, 0), word(&info, 8) as usize);
    let (name, name_len) = (quad(&info, 16), word(&info, 24) as usize);
    assert_eq!(data == 0, data_len == 0, "btf");
    assert_eq!(name == 0, name_len == 0, "name");
    user::put(data, &btf.data[..data_len.min(btf.data.len())]);
    info[8..12].copy_from_slice(&(btf.data.len() as u32).to_le_bytes());
    info[12..16].copy_from_slice(&btf.id.to_le_bytes());
    info[24..28].copy_from_slice(&(btf.name.len() as u32).to_le_bytes());
    info[28..32].copy_from_slice(&u32::from(btf.kernel).to_le_bytes());
    user::put(addr, &info);
    let mut text = btf.name.clone().into_bytes();
    text.push(0);
    let fits = text.len() <= name_len;
    if !fits && name_len > 0 {
        text.truncate(name_len);
        *text.last_mut().unwrap() = 0;
    }
    if name_len > 0 {
        user::put(name, &text);
    }
    if fits || name_len == 0 {
        Ok(0)
    } else {
        Err(Errno(libc::ENOSPC))
    }
}

/// Refuses as the kernel's verifier does a program that calls what does not
/// exist; `CO-RE` poison is such a call. All else it takes to be reachable.
pub(crate) fn unknown_calls(prog: &Loaded) -> Result<(), (i32, Vec<u8>)> {
    for (i, insn) in prog.insns.iter().enumerate() {
        let imm = word(insn, 4);
        if insn[0] == 0x85 && insn[1] >> 4 == 0 && imm > 1000 {
            let text = format!(
                "0: R1=ctx() R10=fp0\n; return p->x; @ t.bpf.c:9\n{i}: (85) call unknown#{imm}\ninvalid func unknown#{imm}\nprocessed {i} insns \
                 (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n"
            );
            return Err((libc::EINVAL, text.into_bytes()));
        }
    }
    Ok(())
}
