// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reader of images: any bytes as an image, each accessor asked for all that
//! the records say, and for what is not there.

use preload_image::{Image, Span, Str, Writer};

/// Bytes of an image, of some that follow each other, or of packed ones.
pub fn run(data: &[u8]) {
    unpack(data);
    let Ok((image, rest)) = Image::parse_first(data) else {
        assert!(Image::parse(data).is_err());
        return;
    };
    assert_eq!(image.bytes().len() + rest.len(), data.len());
    let checked = image.check();
    walk(&image, checked.is_ok());
    match checked {
        Err(wrong) => assert!(wrong.offset as usize <= image.bytes().len(), "{wrong:?}"),
        // What is sound can be written again, and is the same then.
        Ok(()) => {
            let again = Writer::of(&image).finish();
            assert_eq!(again.as_deref(), Ok(image.bytes()));
        }
    }
}

fn unpack(data: &[u8]) {
    if let Some((first, all)) = preload_image::packed_lens(data) {
        for len in [first, all] {
            // A driver has no more memory than that either.
            let mut room = vec![0; len.min(1 << 18)];
            if let Err(wrong) = preload_image::unpack(data, &mut room) {
                assert!(!wrong.what.is_empty());
            }
        }
    }
}

/// `whole`: all that the records refer to is there.
fn walk(image: &Image<'_>, whole: bool) {
    let len = |found: usize, said: u32, size: usize| {
        assert!(
            found == said as usize * size || found == 0 && !whole,
            "{said} of {size}"
        );
    };
    let object = image.object();
    strings(image, whole, &[object.name, object.license]);
    let _ = image.core_kinds();
    assert!(image.btf().len() <= image.bytes().len());
    for (at, map) in image.maps().each().zip(image.maps().iter()) {
        assert_eq!(
            (at.name(), at.data(), at.flags()),
            (map.name, map.data, map.flags)
        );
        strings(image, whole, &[map.name]);
        len(image.data(map.data).len(), map.data.len, 1);
        let slots = image.slots(map.slots);
        len(slots.len(), map.slots.len, 1);
        assert!(!whole || map.inner == 0 || image.maps().get(map.inner - 1).is_some());
        assert!(
            !whole || map.value_target == 0 || image.targets().get(map.value_target - 1).is_some()
        );
        assert_eq!(slots.iter().count(), slots.len());
    }
    for target in image.targets().iter() {
        strings(image, whole, &[target.name]);
    }
    for ksym in image.externs().iter() {
        strings(image, whole, &[ksym.name]);
        assert!(!whole || ksym.target == 0 || image.targets().get(ksym.target - 1).is_some());
    }
    for kconfig in image.kconfigs().iter() {
        strings(image, whole, &[kconfig.name]);
        len(image.data(kconfig.value).len(), kconfig.value.len, 1);
    }
    for op in image.struct_ops().iter() {
        strings(image, whole, &[op.member]);
        assert!(
            !whole || image.maps().get(op.map).is_some() && image.progs().get(op.prog).is_some()
        );
    }
    for (at, prog) in image.progs().each().zip(image.progs().iter()) {
        assert_eq!(
            (at.name(), at.insns(), at.core_relos()),
            (prog.name, prog.insns, prog.core_relos)
        );
        strings(image, whole, &[prog.name, prog.link_name]);
        len(image.insns(prog.insns).len(), prog.insns.len, 8);
        len(image.func_info(prog.func_info).len(), prog.func_info.len, 8);
        len(
            image.line_info(prog.line_info).len(),
            prog.line_info.len,
            16,
        );
        let relos = image.relos(prog.relos);
        len(relos.len(), prog.relos.len, 1);
        for relo in relos.iter() {
            let known = match relo.kind {
                0 => image.maps().get(relo.index).is_some(),
                _ => image.externs().get(relo.index).is_some(),
            };
            assert!(known || !whole, "{relo:?}");
        }
        let relos = image.core_relos(prog.core_relos);
        len(relos.len(), prog.core_relos.len, 1);
        // Spans may overlap: what they share is walked once for all.
        for relo in relos.iter().take(1024) {
            strings(image, whole, &[relo.access_str]);
            let accessors = image.accessors(relo.accessors);
            len(accessors.len(), relo.accessors.len, 1);
            for accessor in accessors.iter().take(64) {
                strings(image, whole, &[accessor.name]);
            }
            assert!(image.accessor(relo.accessors, relo.accessors.len).is_none());
        }
    }
    let beyond = Span {
        start: u32::MAX,
        len: u32::MAX,
    };
    assert!(image.data(beyond).is_empty() && image.insns(beyond).is_empty());
    assert!(image.relos(beyond).is_empty() && image.maps().get(u32::MAX).is_none());
    assert!(image.maps().at(image.maps().len() as u32).is_none());
}

/// The kernel gets a string with its NUL or not at all.
fn strings(image: &Image<'_>, whole: bool, all: &[Str]) {
    for at in all {
        let c_str = image.c_str(*at);
        match c_str.split_last() {
            Some((nul, string)) => {
                assert_eq!((*nul, image.str(*at)), (0, string));
                assert!(!string.contains(&0));
            }
            None => assert!(!whole),
        }
    }
}
