// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs of `tests/bpf/tcx.bpf.c`, loaded with the library, and what they have
//! seen.
#![allow(unsafe_code, reason = "reads a map")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bpf_preload_umd::sys::attr::MapElem;
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::pod::attr_bytes;
use bpf_preload_umd::sys::{Sys as _, bpf};
use bpf_preload_umd::targets::Search;
use preload_loader::{complete, kernel, object};

const PROGS: usize = 8;
const TURNS: usize = 16;
const STATE_BYTES: usize = 4 * (PROGS + 2 + PROGS + 1 + TURNS);
const BPF_MAP_LOOKUP_ELEM: u32 = 1;

/// What `enum tcx_action_base` is.
pub(crate) const NEXT: i32 = -1;
pub(crate) const PASS: i32 = 0;
pub(crate) const DROP: i32 = 2;
pub(crate) const REDIRECT: i32 = 7;

/// The object file: that of `TCX_OBJECT`, or compiled here.
fn object_file() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        if let Some(file) = std::env::var_os("TCX_OBJECT") {
            return file.into();
        }
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tcx.bpf.o");
        let arch = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
        let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".into());
        let output = Command::new(clang)
            .args([
                "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror", &arch, "-c", "-o",
            ])
            .args([&out, &top.join("tests/bpf/tcx.bpf.c")])
            .output()
            .expect("clang cannot be run: install it with tests/setup, or set CLANG");
        let messages = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "clang: {messages}");
        out
    })
}

/// Loaded once for each value; all stays until the process ends.
pub(crate) struct Progs {
    /// tc1 to tc8.
    pub(crate) fds: [i32; PROGS],
    pub(crate) ids: [u32; PROGS],
    /// One of type XDP.
    pub(crate) xdp: i32,
    data: i32,
}

impl Progs {
    pub(crate) fn load() -> Self {
        let bytes = complete::complete(object::lower(object_file()).unwrap()).unwrap();
        let image = object::parse(bytes.leak()).unwrap();
        let memory = vec![0; 1 << 20].leak();
        let loaded = kernel::load(&Linux, &image, &[], Search::All, memory);
        let loaded = loaded.unwrap_or_else(|failure| panic!("{failure}"));
        let all: Vec<i32> = loaded.progs().map(|prog| prog.fd).collect();
        let data = loaded.maps().find(|map| map.name.ends_with(b".data"));
        let data = data.expect("a map .data").fd;
        std::mem::forget(loaded);
        let fds: [i32; PROGS] = all[..PROGS].try_into().unwrap();
        Progs {
            ids: fds.map(|fd| bpf::obj_id(&Linux, fd).unwrap()),
            fds,
            xdp: all[PROGS],
            data,
        }
    }

    fn read(&self) -> [u32; STATE_BYTES / 4] {
        let (key, mut state) = (0u32, [0u32; STATE_BYTES / 4]);
        let mut attr = MapElem {
            map_fd: self.data as u32,
            key: std::ptr::from_ref(&key) as u64,
            value: state.as_mut_ptr() as u64,
            ..MapElem::default()
        };
        // SAFETY: the map's values have STATE_BYTES: all of `state` is written, and no more.
        unsafe { Linux.bpf(BPF_MAP_LOOKUP_ELEM, attr_bytes(&mut attr)) }.unwrap();
        state
    }

    fn write(&self, state: &[u32]) {
        let bytes: Vec<u8> = state.iter().flat_map(|word| word.to_ne_bytes()).collect();
        bpf::map_update_elem(&Linux, self.data, &[0; 4], &bytes).unwrap();
    }

    /// What program number `prog`, from 0 on, says of the test's packets.
    pub(crate) fn says(&self, prog: usize, verdict: i32) {
        let mut state = self.read();
        state[prog] = verdict as u32;
        self.write(&state);
    }

    /// Where to redirect: by which device, and with which flags.
    pub(crate) fn redirect_to(&self, ifindex: u32, flags: u32) {
        let mut state = self.read();
        state[PROGS] = ifindex;
        state[PROGS + 1] = flags;
        self.write(&state);
    }

    /// The programs, by number, in the order of their turns since the last call; each
    /// turn is counted, too.
    pub(crate) fn turns(&self) -> Vec<usize> {
        let mut state = self.read();
        let counts = PROGS + 2..PROGS + 2 + PROGS;
        let turns = counts.end;
        let order: Vec<usize> = state[turns + 1..]
            .iter()
            .take(state[turns] as usize)
            .map(|turn| *turn as usize)
            .collect();
        for (prog, count) in state[counts.clone()].iter().enumerate() {
            let seen = order.iter().filter(|turn| **turn == prog).count();
            assert_eq!(*count as usize, seen, "turns of program {prog}");
        }
        state[counts.start..].fill(0);
        self.write(&state);
        order
    }
}
