// SPDX-License-Identifier: MIT OR Apache-2.0
//! CO-RE relocations. Expected offsets and sizes are computed by the compiler
//! from types without CO-RE; bit-fields are checked by reading real ones.

mod common;

use common::{at, compile, core_relos, insns, lower, map, parse, prog, types};
use object::{Object as _, ObjectSection as _};
use preload_image::{CoreRelo, Image, core_flags, core_kind, target_kind};

/// `N(x)` is the same declaration twice: tracked by CO-RE, and plain for offsetof().
const SOURCE: &str = r#"
#define off(type, field) __builtin_offsetof(struct plain_##type, field)
#define BODY_inner { char c; int deep[5]; struct { u64 anon; }; }
#define BODY_outer { short s; union { struct { int a, b; }; u64 whole; }; \
	struct N(inner) in[3]; void *ptr; const char *const names[4]; u32 flex[]; }
#define N(x) plain_##x
struct plain_inner BODY_inner;
struct plain_outer BODY_outer;
#undef N
#define N(x) x
struct tracked inner BODY_inner;
struct tracked outer BODY_outer;
enum colour { RED = 3, GREEN = -5 };
enum colour___flavored { BLUE = 9 };
enum big { HUGE = 0x123456789abcdefULL };
typedef struct outer outer_t;
struct task___v2 { u64 x; } tracked;

const u64 expected[] SEC(".rodata.expected") = {
	off(outer, s), off(outer, b), off(outer, whole), off(outer, in[2].deep[3]),
	off(outer, in[1].anon), off(outer, ptr), off(outer, names[1]), off(outer, flex[6]),
	sizeof(struct plain_outer) + off(outer, ptr),
};

#define offset(e) __builtin_preserve_field_info(e, 0)
SEC("iter/bpf_map") int offsets(struct outer *o)
{
	volatile u64 sum = 0;
	sum += offset(o->s); sum += offset(o->b); sum += offset(o->whole);
	sum += offset(o->in[2].deep[3]); sum += offset(o->in[1].anon); sum += offset(o->ptr);
	sum += offset(o->names[1]); sum += offset(o->flex[6]); sum += offset(o[1].ptr);
	return sum;
}
SEC("iter/bpf_map") int loads(struct outer *o)
{
	volatile u64 sum = 0;
	sum += (u64)o->ptr; sum += o->whole; sum += o->b; sum += o->in[0].deep[1]; sum += o->flex[0];
	return sum;
}
SEC("iter/bpf_map") int others(outer_t *o)
{
	volatile u64 sum = 0;
	sum += __builtin_preserve_field_info(o->in[0].deep, 1);
	sum += __builtin_preserve_field_info(o->ptr, 2);
	sum += __builtin_preserve_field_info(o->b, 3);
	sum += __builtin_preserve_field_info(o->whole, 3);
	sum += __builtin_btf_type_id(*(struct inner *)0, 0);
	sum += __builtin_btf_type_id(*(struct inner *)0, 1);
	sum += __builtin_preserve_type_info(*(outer_t *)0, 0);
	sum += __builtin_preserve_type_info(*(struct task___v2 *)0, 1);
	sum += __builtin_preserve_enum_value(*(enum colour *)GREEN, 0);
	sum += __builtin_preserve_enum_value(*(enum colour *)GREEN, 1);
	sum += __builtin_preserve_enum_value(*(enum colour___flavored *)BLUE, 1);
	return sum;
}
"#;

fn spec(image: &Image<'_>, relo: &CoreRelo) -> Vec<(String, u32)> {
    let accessors = image.accessors(relo.accessors);
    let name = |a| String::from_utf8_lossy(image.str(a)).into_owned();
    accessors.iter().map(|a| (name(a.name), a.index)).collect()
}

fn target(image: &Image<'_>, relo: &CoreRelo) -> (String, u32) {
    let target = image.targets().get(relo.target - 1).expect("target");
    let name = String::from_utf8_lossy(image.str(target.name)).into_owned();
    assert_eq!(target.kind & !target_kind::BTF_KIND_MASK, target_kind::CORE);
    (name, target.kind & target_kind::BTF_KIND_MASK)
}

#[test]
fn field_offset_is_the_compilers() {
    let image = lower("core", SOURCE);
    let image = parse(&image);
    let expected: Vec<u64> = image
        .data(map(&image, ".rodata.expecte").data)
        .as_chunks::<8>()
        .0
        .iter()
        .map(|b| u64::from_le_bytes(*b))
        .collect();
    assert_eq!(expected.len(), 9);
    let prog = prog(&image, "offsets");
    let code = insns(&image, &prog);
    let relos = core_relos(&image, &prog);
    let values: Vec<u64> = relos.iter().map(|r| r.local_value).collect();
    assert_eq!(values, expected);
    for relo in &relos {
        assert_eq!(
            (relo.kind, relo.flags & core_flags::VALIDATE),
            (0, core_flags::VALIDATE)
        );
        assert_eq!(u64::from(relo.local_bit_offset), 8 * relo.local_value);
        assert_eq!(at(&code, relo.insn as usize).imm as u64, relo.local_value);
        assert_eq!(target(&image, relo), ("outer".into(), 4));
    }
    let specs: Vec<_> = relos.iter().map(|r| spec(&image, r)).collect();
    let step = |name: &str, index| (name.to_string(), index);
    // Anonymous members leave no step; array steps have no name.
    assert_eq!(at_ref(&specs, 1), &[step("", 0), step("b", 1)]);
    let deep = [
        step("", 0),
        step("in", 2),
        step("", 2),
        step("deep", 1),
        step("", 3),
    ];
    assert_eq!(at_ref(&specs, 3), &deep);
    let anon = [step("", 0), step("in", 2), step("", 1), step("anon", 0)];
    assert_eq!(at_ref(&specs, 4), &anon);
    assert_eq!(
        at_ref(&specs, 7),
        &[step("", 0), step("flex", 5), step("", 6)]
    );
    assert_eq!(at_ref(&specs, 8), &[step("", 1), step("ptr", 3)]);
}

fn at_ref<T>(list: &[Vec<T>], index: usize) -> &[T] {
    list.get(index).expect("index in range")
}

#[test]
fn load_of_a_field_knows_what_it_may_become() {
    let image = lower("core", SOURCE);
    let image = parse(&image);
    let prog = prog(&image, "loads");
    let relos = core_relos(&image, &prog);
    let seen: Vec<(u32, u32)> = relos
        .iter()
        .filter(|r| r.local_size != 0)
        .map(|r| (r.local_size, r.flags & !core_flags::VALIDATE))
        .collect();
    let (ptr, unsigned) = (core_flags::LOCAL_PTR, core_flags::LOCAL_UNSIGNED);
    assert_eq!(
        seen,
        [(8, ptr), (8, unsigned), (4, 0), (4, 0), (4, unsigned)]
    );
}

#[test]
fn other_kinds_hold_what_the_compiler_wrote() {
    let image = lower("core", SOURCE);
    let image = parse(&image);
    let types = types(&image);
    let prog = prog(&image, "others");
    let code = insns(&image, &prog);
    let relos = core_relos(&image, &prog);
    let held = |relo: &CoreRelo| {
        let (a, b) = (
            at(&code, relo.insn as usize),
            at(&code, relo.insn as usize + 1),
        );
        match a.code {
            0x18 => u64::from(a.imm as u32) | u64::from(b.imm as u32) << 32,
            _ => a.imm as u64,
        }
    };
    let inner = types.iter().position(|t| t.kind == 4 && t.name == "inner");
    let inner = inner.expect("struct inner") as u64;
    let expect: [(u32, u64, &str, u32); 11] = [
        (core_kind::FIELD_BYTE_SIZE, 20, "outer_t", 8),
        (core_kind::FIELD_EXISTS, 1, "outer_t", 8),
        (core_kind::FIELD_SIGNED, 1, "outer_t", 8),
        (core_kind::FIELD_SIGNED, 0, "outer_t", 8),
        (core_kind::TYPE_ID_LOCAL, inner, "", 0),
        (core_kind::TYPE_ID_TARGET, inner, "inner", 4),
        (core_kind::TYPE_EXISTS, 1, "outer_t", 8),
        (core_kind::TYPE_SIZE, 8, "task", 4),
        (core_kind::ENUMVAL_EXISTS, 1, "colour", 6),
        (core_kind::ENUMVAL_VALUE, (-5i64) as u64, "colour", 6),
        (core_kind::ENUMVAL_VALUE, 9, "colour", 6),
    ];
    assert_eq!(relos.len(), expect.len());
    for (relo, (kind, value, name, name_kind)) in relos.iter().zip(expect) {
        assert_eq!((relo.kind, relo.local_value), (kind, value), "{relo:?}");
        assert_eq!(held(relo), value, "{relo:?}");
        if kind != core_kind::TYPE_ID_LOCAL {
            assert_eq!(target(&image, relo), (name.to_string(), name_kind));
        }
        let type_id = matches!(kind, core_kind::TYPE_ID_LOCAL | core_kind::TYPE_ID_TARGET);
        assert_eq!(relo.flags & core_flags::VALIDATE != 0, !type_id, "{relo:?}");
    }
    assert_eq!(
        spec(&image, &relos.last().copied().expect("relo")),
        [("BLUE".to_string(), 0)]
    );
}

#[test]
fn bit_field_is_read_whole_and_signed() {
    let image = lower(
        "bits",
        r#"
struct bits { u32 a:3; int b:7; u32 c:22; u64 d:5, e:40; int plain; unsigned char f:2, g:6; } tracked;
volatile const struct bits sample SEC(".rodata.sample") =
	{ .a = 5, .b = -33, .c = 0x2abcde, .d = 19, .e = 0x9876543210, .plain = -7, .f = 2, .g = 45 };
#define field(f) ({ volatile u64 sum = 0; \
	sum += __builtin_preserve_field_info(p->f, 0); sum += __builtin_preserve_field_info(p->f, 1); \
	sum += __builtin_preserve_field_info(p->f, 3); sum += __builtin_preserve_field_info(p->f, 4); \
	sum += __builtin_preserve_field_info(p->f, 5); })
SEC("iter/bpf_map") int read(struct bits *p)
{
	field(a); field(b); field(c); field(d); field(e); field(plain); field(f); field(g);
	return sample.a;
}"#,
    );
    let image = parse(&image);
    let sample = image.data(map(&image, ".rodata.sample").data);
    let relos = core_relos(&image, &prog(&image, "read"));
    let values: Vec<i64> = relos
        .as_chunks::<5>()
        .0
        .iter()
        .map(|field| {
            let kinds: Vec<u32> = field.iter().map(|r| r.kind).collect();
            assert_eq!(kinds, [0, 1, 3, 4, 5]);
            let [offset, size, signed, left, right] = field.map(|r| r.local_value);
            // As BPF_CORE_READ_BITFIELD() does: load, shift up, shift down.
            assert!([1, 2, 4, 8].contains(&size) && offset.is_multiple_of(size));
            let bytes = sample.get(offset as usize..(offset + size) as usize);
            let mut word = [0; 8];
            word.iter_mut()
                .zip(bytes.expect("inside"))
                .for_each(|(w, b)| *w = *b);
            let word = u64::from_le_bytes(word) << left;
            if signed == 1 {
                (word as i64) >> right
            } else {
                (word >> right) as i64
            }
        })
        .collect();
    assert_eq!(values, [5, -33, 0x2a_bcde, 19, 0x98_7654_3210, -7, 2, 45]);
}

#[test]
fn relocation_of_an_anonymous_type_is_refused() {
    let source = r#"
typedef struct { int x, y; } tracked pair;
SEC("iter/bpf_map") int dump(pair *p) { return p->y; }
SEC("iter/bpf_map") int dumb(struct { int x, y; } tracked *p) { return p->y; }"#;
    let message = common::refusal("anonymous", source);
    assert!(
        message.contains("anonymous") && message.contains("symbol dum"),
        "{message}"
    );
}

/// gcc asks for the local id of void, which no clang does: so one's is made it.
#[test]
fn local_id_of_void_is_refused() {
    let source = r#"
struct inner { int x; } tracked;
SEC("iter/bpf_map") int dump(struct inner *p) { return __builtin_btf_type_id(*p, 0); }"#;
    let bytes = compile("void", source);
    let elf = object::File::parse(&*bytes).expect("an object");
    let section = elf.section_by_name(".BTF.ext").expect("relocations");
    let (start, _) = section.file_range().expect("bytes");
    let word = |bytes: &[u8], at: usize| {
        let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
        u32::from_le_bytes(*word.expect("a word")) as usize
    };
    let ext = section.data().expect("data");
    // Of core_relo_off, behind the header, the size of a record, and a section's name and count.
    let record = word(ext, 4) + word(ext, 24) + 4 + 8;
    assert_eq!(word(ext, record + 12), core_kind::TYPE_ID_LOCAL as usize);
    let of_kind = |kind: u32| {
        let mut bytes = bytes.clone();
        let at = start as usize + record + 4;
        bytes.splice(at..at + 4, [0; 4]);
        bytes.splice(at + 8..at + 12, kind.to_le_bytes());
        preload_lower::lower(&bytes, "void")
    };
    let image = of_kind(core_kind::TYPE_ID_LOCAL).expect("lower");
    let image = parse(&image);
    let relos = core_relos(&image, &prog(&image, "dump"));
    let [relo] = &*relos else {
        unreachable!("{relos:?}")
    };
    assert_eq!((relo.type_id, relo.local_value), (0, 0));
    // That it is in the kernel, or its id there, cannot be asked for.
    for kind in [core_kind::TYPE_ID_TARGET, core_kind::TYPE_EXISTS] {
        let message = of_kind(kind).expect_err("was lowered").to_string();
        assert!(
            message.contains("type or access string does not exist"),
            "{message}"
        );
    }
}
