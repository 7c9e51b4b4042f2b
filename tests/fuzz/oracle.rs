// SPDX-License-Identifier: MIT OR Apache-2.0
//! libbpf's relocation of one instruction, asked for directly: what its loader
//! does around that needs a kernel. The functions are hidden in a shared library,
//! but part of a static one.

use std::collections::HashMap;
use std::ffi::{c_char, c_int, c_void};

use bpf_preload_umd::btf::same_essential;

use crate::btf_reader::{Reader, types};
use crate::pair::Pair;

// For its libbpf alone, which is newer than the machine's.
use libbpf_sys as _;

/// `struct bpf_core_relo` of the uapi `linux/bpf.h`.
#[repr(C)]
struct CoreRelo {
    insn_off: u32,
    type_id: u32,
    access_str_off: u32,
    kind: u32,
}

/// `struct bpf_core_cand` and `struct bpf_core_cand_list` of `relo_core.h`.
#[repr(C)]
struct Cand {
    btf: *const c_void,
    id: u32,
}

#[repr(C)]
struct CandList {
    cands: *mut Cand,
    len: c_int,
}

/// `struct bpf_core_relo_res`: the local value first, of the rest no more than that it fits.
#[repr(C)]
struct Res {
    orig_val: u64,
    rest: [u64; 7],
}

/// Words of room for three `struct bpf_core_spec`, of some 2 KiB each.
const SPECS: usize = 3 * 1024;

unsafe extern "C" {
    fn btf__new(data: *const c_void, size: u32) -> *mut c_void;
    fn btf__free(btf: *mut c_void);
    fn libbpf_set_print(print: Option<extern "C" fn()>) -> Option<extern "C" fn()>;
    fn bpf_core_calc_relo_insn(
        prog_name: *const c_char,
        relo: *const CoreRelo,
        relo_idx: c_int,
        local_btf: *const c_void,
        cands: *mut CandList,
        specs_scratch: *mut u64,
        targ_res: *mut Res,
    ) -> c_int;
    fn bpf_core_patch_insn(
        prog_name: *const c_char,
        insn: *mut u64,
        insn_idx: c_int,
        relo: *const CoreRelo,
        relo_idx: c_int,
        res: *const Res,
    ) -> c_int;
}

struct Btf(*mut c_void);

impl Btf {
    fn new(bytes: &[u8]) -> Option<Self> {
        // SAFETY: the bytes are there, and copied.
        let btf = unsafe { btf__new(bytes.as_ptr().cast(), bytes.len() as u32) };
        // Errors are NULL, or small negative numbers before 1.0.
        (!btf.is_null() && (btf as isize) > 0).then_some(Btf(btf))
    }
}

impl Drop for Btf {
    fn drop(&mut self) {
        // SAFETY: it is ours.
        unsafe { btf__free(self.0) }
    }
}

const ENUM: u32 = 6;
const ENUM64: u32 = 19;
const TYPEDEF: u32 = 8;
const RESTRICT: u32 = 11;
const TYPE_TAG: u32 = 18;

/// What libbpf makes of a pair.
pub(crate) struct Oracle<'p> {
    pair: &'p Pair,
    local: Btf,
    kernel: Btf,
    local_types: Vec<(String, u32)>,
    kernel_types: Vec<(String, u32)>,
    /// By local type, as libbpf keeps them from one relocation to the next.
    cands: HashMap<u32, Vec<u32>>,
}

impl<'p> Oracle<'p> {
    /// None if libbpf does not take the BTF.
    pub(crate) fn new(pair: &'p Pair) -> Option<Self> {
        // SAFETY: no function is given.
        unsafe { libbpf_set_print(None) };
        Some(Oracle {
            pair,
            local: Btf::new(&pair.local)?,
            kernel: Btf::new(&pair.kernel)?,
            local_types: types(&pair.local),
            kernel_types: types(&pair.kernel),
            cands: HashMap::new(),
        })
    }

    /// `bpf_core_find_cands()`: kernel types of that name and kind.
    fn candidates(&self, root: u32) -> Vec<u32> {
        let (name, kind) = &self.local_types[root as usize - 1];
        let is_enum = |kind: u32| kind == ENUM || kind == ENUM64;
        let fits = |(other, k): &(String, u32)| {
            !other.is_empty()
                && (k == kind || is_enum(*k) && is_enum(*kind))
                && same_essential(other.as_bytes(), name.as_bytes())
        };
        let ids = (1..).zip(&self.kernel_types);
        ids.filter(|(_, t)| fits(t)).map(|(id, _)| id).collect()
    }

    fn calculate(&self, index: usize, ids: &mut Vec<u32>) -> Option<(CoreRelo, Res)> {
        let relo = &self.pair.relos[index];
        let relo = CoreRelo {
            insn_off: 8 * relo.insn,
            type_id: relo.root,
            access_str_off: relo.access,
            kind: relo.kind,
        };
        let mut cands: Vec<Cand> = ids
            .iter()
            .map(|id| Cand {
                btf: self.kernel.0,
                id: *id,
            })
            .collect();
        let mut list = CandList {
            cands: cands.as_mut_ptr(),
            len: cands.len() as c_int,
        };
        let mut scratch = vec![0u64; SPECS];
        let mut res = Res {
            orig_val: 0,
            rest: [0; 7],
        };
        // SAFETY: all is as large as libbpf expects it, and outlives the call.
        let err = unsafe {
            bpf_core_calc_relo_insn(
                c"prog".as_ptr(),
                &relo,
                index as c_int,
                self.local.0,
                &mut list,
                scratch.as_mut_ptr(),
                &mut res,
            )
        };
        // It keeps those that fit, in front.
        cands.truncate(list.len as usize);
        *ids = cands.iter().map(|cand| cand.id).collect();
        (err == 0).then_some((relo, res))
    }

    /// The local value of a relocation, for its instruction to hold.
    pub(crate) fn local_value(&self, index: usize) -> Option<u64> {
        self.calculate(index, &mut Vec::new())
            .map(|(_, res)| res.orig_val)
    }

    /// May it be asked? Of a candidate for an enumerator it reads enumerators, for
    /// its log, whatever type that is (1.7).
    pub(crate) fn is_safe(&self) -> bool {
        let records: Vec<(u32, u32)> = Reader::new(&self.pair.kernel)
            .records()
            .map(|t| (t.info >> 24 & 0x1f, t.size_or_type))
            .collect();
        let is_enum = |mut id: u32| loop {
            match id.checked_sub(1).map(|index| records[index as usize]) {
                Some((TYPEDEF..=RESTRICT | TYPE_TAG, of)) => id = of,
                other => return matches!(other, Some((ENUM | ENUM64, _))),
            }
        };
        let asks = |kind: u32| kind == 10 || kind == 11;
        let mut relos = self.pair.relos.iter().filter(|relo| asks(relo.kind));
        relos.all(|relo| self.candidates(relo.root).into_iter().all(is_enum))
    }

    /// The instructions, relocated; the number of the relocation that it refuses.
    pub(crate) fn relocate(&mut self, insns: &[u64]) -> Result<Vec<u64>, usize> {
        let mut insns = insns.to_vec();
        for index in 0..self.pair.relos.len() {
            let root = self.pair.relos[index].root;
            let mut ids = self
                .cands
                .remove(&root)
                .unwrap_or_else(|| self.candidates(root));
            let (relo, res) = self.calculate(index, &mut ids).ok_or(index)?;
            self.cands.insert(root, ids);
            let at = self.pair.relos[index].insn;
            // SAFETY: the instruction is there, and the one behind a load of 64 bits.
            let err = unsafe {
                let insn = insns.as_mut_ptr().add(at as usize);
                bpf_core_patch_insn(
                    c"prog".as_ptr(),
                    insn,
                    at as c_int,
                    &relo,
                    index as c_int,
                    &res,
                )
            };
            if err != 0 {
                return Err(index);
            }
        }
        Ok(insns)
    }
}
