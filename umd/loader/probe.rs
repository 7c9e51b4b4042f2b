// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel can do, and why not: the program and map types, link types and
//! attach types that its BTF knows. Types are asked for by making one, as libbpf does.

use bpf_preload_umd::sys::attr::{MapCreate, ProgLoad};
use bpf_preload_umd::sys::bpf::{ProgAttr, ProgBytes};
use bpf_preload_umd::sys::{Errno, Sys, bpf};

use crate::btf::assemble;
use crate::failure::{Failure, number};
use crate::kernel::Kernel;

/// One question, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Name, as in the kernel's enum, without its prefix and in lower case.
    pub name: String,
    /// Why not; none: it can.
    pub why_not: Option<String>,
}

/// All answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// Types of programs.
    pub prog_types: Vec<Answer>,
    /// Types of maps.
    pub map_types: Vec<Answer>,
    /// What this project attaches and uses, by what kernel BTF says of it.
    pub uses: Vec<Answer>,
}

/// What is known by its enumerator: enum, enumerator, its name here, the first kernel.
const USES: &[(&[u8], &[u8], &str, &str)] = &[
    (b"bpf_link_type", b"BPF_LINK_TYPE_ITER", "iter links", "5.8"),
    (
        b"bpf_link_type",
        b"BPF_LINK_TYPE_PERF_EVENT",
        "perf_event links",
        "5.15",
    ),
    (
        b"bpf_attach_type",
        b"BPF_TRACE_KPROBE_MULTI",
        "kprobe_multi links",
        "5.18",
    ),
    (
        b"bpf_attach_type",
        b"BPF_TRACE_KPROBE_SESSION",
        "kprobe_session links",
        "6.10",
    ),
    (
        b"bpf_attach_type",
        b"BPF_STRUCT_OPS",
        "struct_ops links",
        "6.4",
    ),
    (b"bpf_attach_type", b"BPF_TCX_INGRESS", "tcx links", "6.6"),
    (b"bpf_cmd", b"BPF_TOKEN_CREATE", "tokens", "6.9"),
];

/// Asks the kernel.
///
/// # Errors
/// It has no BTF, which knows the names of all there is.
pub fn probe<S: Sys>(sys: &S) -> Result<Answers, Failure> {
    let kernel = Kernel::read()?;
    let mut uses = Vec::new();
    for (of, enumerator, name, since) in USES {
        let has = kernel.has_enumerator(of, enumerator)?;
        uses.push(Answer {
            name: (*name).to_owned(),
            why_not: (!has).then(|| format!("not in kernel BTF (since {since})")),
        });
    }
    for (iterator, since) in [
        ("bpf_map", "5.8"),
        ("bpf_prog", "5.9"),
        ("bpf_link", "5.19"),
    ] {
        let func = format!("bpf_iter_{iterator}");
        let has = kernel.has(bpf_preload_umd::btf::kind::FUNC, func.as_bytes())?;
        uses.push(Answer {
            name: format!("iterator {iterator}"),
            why_not: (!has).then(|| format!("no {func} in kernel BTF (since {since})")),
        });
    }
    Ok(Answers {
        prog_types: types(&kernel, b"bpf_prog_type", "BPF_PROG_TYPE_", |ty| {
            prog(sys, ty)
        })?,
        map_types: types(&kernel, b"bpf_map_type", "BPF_MAP_TYPE_", |ty| map(sys, ty))?,
        uses,
    })
}

/// Asks for each value of an enum but the first, that is for none.
fn types(
    kernel: &Kernel,
    of: &[u8],
    prefix: &str,
    mut ask: impl FnMut(u32) -> Result<(), Errno>,
) -> Result<Vec<Answer>, Failure> {
    let mut answers: Vec<Answer> = Vec::new();
    let mut last = 0;
    for (name, value) in kernel.enumerators(of)? {
        let name = name.strip_prefix(prefix).unwrap_or_default().to_lowercase();
        // Of two names for one type the first may say that there is a better one.
        let name = name.strip_suffix("_deprecated").unwrap_or(&name).to_owned();
        // `__MAX_...`, or the other name.
        if name.is_empty() || value <= last {
            continue;
        }
        last = value;
        let why_not = ask(value as u32).err().map(|errno| {
            let refused = Failure::errno("the kernel refuses one", number(errno));
            refused.to_string()
        });
        answers.push(Answer { name, why_not });
    }
    Ok(answers)
}

/// `ENOTSUPP`, which only the code behind a type gives.
const ENOTSUPP: i32 = 524;
const EINVAL: i32 = 22;

/// Loads the shortest program of a type.
fn prog<S: Sys>(sys: &S, prog_type: u32) -> Result<(), Errno> {
    // r0 = 0; exit
    const INSNS: [u64; 2] = [0xb7, 0x95];
    const SLEEPABLE: u32 = 1 << 4;
    // enum bpf_prog_type; attach types where 0 is none of the type's.
    let (expected_attach_type, prog_flags, attach_btf_id) = match prog_type {
        18 => (10, 0, 0),
        20 => (16, 0, 0),
        25 => (21, 0, 0),
        26 => (24, 0, 1),
        28 => (0, 0, 1),
        29 => (27, 0, 1),
        30 => (36, 0, 0),
        31 => (0, SLEEPABLE, 0),
        32 => (45, 0, 0),
        _ => (0, 0, 0),
    };
    let attr = ProgLoad {
        prog_type,
        prog_flags,
        expected_attach_type,
        attach_btf_id,
        ..ProgLoad::default()
    };
    let bytes = ProgBytes {
        insns: &INSNS,
        func_info: &[],
        line_info: &[],
        license: b"GPL\0",
        name: b"",
        fd_array: &[],
    };
    let mut log = vec![0; 4096];
    match ProgAttr::new(attr, bytes).load(sys, &mut log) {
        Ok(fd) => {
            sys.close(fd);
            Ok(())
        }
        // The verifier has come to what the program is for: type 1 is no function.
        Err(errno)
            if attach_btf_id != 0
                && number(errno) == EINVAL
                && log.starts_with(b"attach_btf_id 1 is not a function") =>
        {
            Ok(())
        }
        // Of struct_ops, in which it is to be (27).
        Err(errno) if prog_type == 27 && number(errno) == ENOTSUPP => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Makes the smallest map of a type.
fn map<S: Sys>(sys: &S, map_type: u32) -> Result<(), Errno> {
    const NO_PREALLOC: u32 = 1;
    const MMAPABLE: u32 = 1 << 10;
    let mut attr = MapCreate {
        map_type,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        ..MapCreate::default()
    };
    let mut others = Vec::new();
    // enum bpf_map_type
    match map_type {
        7 => attr.value_size = 8,
        11 => (attr.key_size, attr.value_size, attr.map_flags) = (8, 8, NO_PREALLOC),
        12 | 13 => {
            let mut inner = MapCreate {
                map_type: 1,
                ..attr
            };
            let fd = bpf::map_create(sys, b"", &mut inner)?;
            attr.inner_map_fd = fd as u32;
            others.push(fd);
        }
        19 | 21 => (attr.key_size, attr.value_size, attr.max_entries) = (16, 8, 0),
        22 | 23 | 30 => attr.key_size = 0,
        // Storage with objects of the kernel wants types: an int of 4 bytes.
        24 | 28 | 29 | 32 => {
            let int = [1, 1 << 24, 4, 32];
            let fd = bpf::btf_load(sys, &assemble(&int, b"\0x\0"))?;
            attr.btf_fd = fd as u32;
            (attr.btf_key_type_id, attr.btf_value_type_id) = (1, 1);
            (attr.max_entries, attr.map_flags) = (0, NO_PREALLOC);
            others.push(fd);
        }
        26 => attr.btf_vmlinux_value_type_id = 1,
        27 | 31 => (attr.key_size, attr.value_size, attr.max_entries) = (0, 0, 4096),
        33 => (attr.key_size, attr.value_size, attr.map_flags) = (0, 0, MMAPABLE),
        // Since 6.19, of places in programs.
        34 => attr.value_size = 16,
        _ => {}
    }
    let made = bpf::map_create(sys, b"", &mut attr);
    others.into_iter().for_each(|fd| sys.close(fd));
    match made {
        Ok(fd) => {
            sys.close(fd);
            Ok(())
        }
        // Type 1 is no struct of struct_ops.
        Err(errno) if map_type == 26 && number(errno) == ENOTSUPP => Ok(()),
        Err(errno) => Err(errno),
    }
}
