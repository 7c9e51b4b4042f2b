// SPDX-License-Identifier: MIT OR Apache-2.0
//! CO-RE against libbpf: the same outcome, and the same instructions. What is meant to
//! differ, and therefore not compared or not made up:
//!
//! * An instruction that cannot be relocated, or that does not hold the local value, is an
//!   error here; libbpf may poison it for this kernel.
//! * Access strings with negative numbers, or such as no int holds: libbpf takes them.
//! * `TYPE_ID_LOCAL` values: lowering gives types other numbers.
//! * What makes libbpf 1.7 crash: a bit-field whose type has no size, and an enumerator whose
//!   candidate is no enum.

use arbitrary::{Result, Unstructured};
use bpf_preload_umd::arena::Arena;
use bpf_preload_umd::error::Error;
use bpf_preload_umd::relo::{Told, relocate};
use bpf_preload_umd::targets::Search;
use preload_image::{Image, core_kind};

use crate::oracle::Oracle;
use crate::pair::{self, Pair};

/// A poisoned instruction: `call 0xbad2310`.
const POISON: u64 = 0x0bad_2310_0000_0085;

/// Bytes to choose by.
pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    // Too few bytes: nothing chosen.
    let Ok(Some(pair)) = chosen(&mut u) else {
        return;
    };
    // libbpf has no id for a type that lowering gives another number.
    let local_ids: Vec<u32> = pair
        .relos
        .iter()
        .filter(|relo| relo.kind == core_kind::TYPE_ID_LOCAL)
        .map(|relo| relo.insn)
        .collect();
    let theirs = Oracle::new(&pair)
        .expect("the same BTF")
        .relocate(&pair.insns);
    let ours = ours(&pair);
    match (theirs, ours) {
        (Ok(mut theirs), Ok(mut ours)) => {
            for insns in [&mut theirs, &mut ours] {
                local_ids.iter().for_each(|at| pair::place(insns, *at, 0));
            }
            assert!(
                theirs == ours,
                "libbpf {theirs:016x?}, ours {ours:016x?}, of {:#?}",
                pair.relos
            );
        }
        (Err(_), Err(_)) => {}
        // What libbpf poisons for this kernel it does not look at.
        (Ok(theirs), Err(line)) if theirs.contains(&POISON) && line.contains(": instruction ") => {}
        (Ok(_), Err(line)) => panic!("only we refuse: {line}, of {:#?}", pair.relos),
        (Err(index), Ok(_)) => panic!("only libbpf refuses {:#?}", pair.relos[index]),
    }
}

/// The object, its BTF and the kernel's, of an input.
pub fn files(data: &[u8]) -> Option<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let pair = chosen(&mut Unstructured::new(data)).ok()??;
    Some((pair.object(), pair.local, pair.kernel))
}

/// A pair whose instructions hold the local values, most of them; none if libbpf
/// does not take its BTF.
fn chosen(u: &mut Unstructured<'_>) -> Result<Option<Pair>> {
    let pair = pair::pair(u)?;
    let Some(oracle) = Oracle::new(&pair).filter(Oracle::is_safe) else {
        return Ok(None);
    };
    let mut insns = pair.insns.clone();
    for (index, relo) in pair.relos.iter().enumerate() {
        if let (false, Some(value)) = (u.ratio(1, 16)?, oracle.local_value(index)) {
            pair::place(&mut insns, relo.insn, value);
        }
    }
    drop(oracle);
    Ok(Some(pair.holding(insns)))
}

fn ours(pair: &Pair) -> std::result::Result<Vec<u64>, String> {
    let lowered =
        preload_lower::lower(&pair.object(), "fuzz").map_err(|error| error.to_string())?;
    let image = Image::parse(&lowered).expect("an image");
    let mut memory = vec![0; 1 << 15];
    let mut arena = Arena::new(&mut memory);
    let mut error = Error::default();
    let mut relocated = Vec::new();
    let mut tell = |told: Told<'_>| {
        if let Told::Prog { insns, .. } = told {
            relocated = insns.to_vec();
        }
    };
    match relocate(
        &image,
        &pair.kernel,
        None,
        Search::All,
        &mut arena,
        &mut error,
        &mut tell,
    ) {
        Ok(()) => Ok(relocated),
        Err(_) => Err(String::from_utf8_lossy(error.line()).into_owned()),
    }
}
