// SPDX-License-Identifier: MIT OR Apache-2.0
//! An image without what only people read loads the same programs.

mod common;

use common::{Type, at, compile, core_relos, functions, insns, parse, prog, relos, types};
use preload_image::{Image, core_kind};

const SOURCE: &str = r#"
struct whole { int member; };
extern int kfunc(struct whole *whole) __attribute__((section(".ksyms")));
enum mode { MODE };
struct tracked leaf { int number; enum mode mode; const char name[16]; };
struct tracked node { struct leaf *leaf; struct leaf inner; struct node *next; };
static const char text[] = "text";
SEC("iter/bpf_map") int first(struct node *n)
{
	volatile u64 sum = n->leaf->number + n->inner.mode + n->next->inner.number;
	sum += n->inner.name[3] + __builtin_preserve_field_info(n->next, 2);
	return sum + (u64)text + kfunc(0);
}
"#;

/// The type behind modifiers and typedefs.
fn skip(types: &[Type], mut id: u32) -> u32 {
    while let Some(ty) = types
        .get(id as usize)
        .filter(|t| [8, 9, 10, 11].contains(&t.kind))
    {
        id = ty.third;
    }
    id
}

/// What a relocation asks of the kernel: kind, target, names, indices and kinds of types.
type Asked = (u32, u32, String, Vec<(String, u32, u32)>);

fn asked(image: &Image<'_>) -> Vec<Asked> {
    let types = types(image);
    let name = |s| String::from_utf8_lossy(image.str(s)).into_owned();
    let each = core_relos(image, &prog(image, "first")).into_iter();
    each.map(|relo| {
        let target = image.targets().get(relo.target - 1).expect("target");
        let steps = image.accessors(relo.accessors).iter().map(|a| {
            let id = skip(&types, a.type_id) as usize;
            (name(a.name), a.index, types.get(id).expect("type").kind)
        });
        (relo.kind, relo.insn, name(target.name), steps.collect())
    })
    .collect()
}

#[test]
fn without_lines_and_members_asks_the_same_of_the_kernel() {
    let object = compile("bare", SOURCE);
    let full = preload_lower::lower(&object, "bare").expect("lower");
    let bare = preload_lower::lower_bare(&object, "bare").expect("lower");
    assert!(bare.len() < full.len());
    let (full, bare) = (parse(&full), parse(&bare));
    bare.check().expect("all there that is referred to");

    let of = |image: &Image<'_>| prog(image, "first");
    assert_eq!(asked(&full), asked(&bare));
    assert!(
        asked(&full)
            .iter()
            .any(|(kind, ..)| *kind == core_kind::FIELD_EXISTS)
    );
    assert_eq!(relos(&full, &of(&full)), relos(&bare, &of(&bare)));
    assert_eq!(functions(&full, &of(&full)), functions(&bare, &of(&bare)));
    let code = |image: &Image<'_>| image.insns(of(image).insns).to_vec();
    assert_eq!(code(&full), code(&bare));
    assert!(!insns(&bare, &of(&bare)).is_empty());

    assert!(!full.line_info(of(&full).line_info).is_empty());
    assert!(bare.line_info(of(&bare).line_info).is_empty());
}

#[test]
fn only_what_the_kernel_compares_keeps_its_members() {
    let object = compile("bare_types", SOURCE);
    let bare = preload_lower::lower_bare(&object, "bare_types").expect("lower");
    let image = parse(&bare);
    let types = types(&image);
    let structs: Vec<&Type> = types.iter().filter(|t| t.kind == 4).collect();
    let members = |name: &str| structs.iter().find(|t| t.name == name).map(|t| t.vlen);
    assert_eq!(members("whole"), Some(1));
    // One empty struct stands for node and leaf.
    assert_eq!((members(""), structs.len()), (Some(0), 2));
    // The enum's name is compared.
    assert!(types.iter().any(|t| t.kind == 6 && t.name == "mode"));
    // The extern's prototype leads to the struct, any other pointer to nothing.
    let ksym = image.externs().get(0).expect("extern");
    let proto = types.get(ksym.type_id as usize).expect("prototype");
    let pointer = types.get(at(&proto.rest, 1) as usize).expect("pointer");
    assert_eq!(
        types.get(pointer.third as usize).expect("struct").name,
        "whole"
    );
    let others = types.iter().filter(|t| t.kind == 2 && t.third == 0).count();
    assert_eq!(others, 1);
    let protos = types.iter().filter(|t| t.kind == 13 && t.vlen == 0);
    assert_eq!(
        protos.count(),
        1,
        "one prototype stands for those of all functions"
    );
    // Constants are without a type.
    assert_eq!(image.maps().get(0).expect("map").btf_value_type_id, 0);
}
