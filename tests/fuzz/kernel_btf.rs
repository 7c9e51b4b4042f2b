// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reader of kernel BTF: any bytes walked over, every type looked at in every
//! way, and the names found that the driver's images need.

use bpf_preload_umd::arena::Arena;
use bpf_preload_umd::btf::{Btf, Filter, kind};
use bpf_preload_umd::targets::{self, Search};
use preload_image::Image;

use crate::IMAGES;

/// Types that are looked at: the marks for a walk to one are every 2^n-th.
const MOST: u32 = 1 << 12;

/// Bytes of BTF.
pub fn run(data: &[u8]) {
    let mut memory = vec![0; 1 << 15];
    let mut seen = 0;
    let mut all = Filter::default();
    (kind::INT..kind::KNOWN).for_each(|kind| all.add(kind, b"x"));
    let btf = Btf::index(
        data,
        &mut Arena::new(&mut memory),
        &all,
        &mut |btf, id, t| {
            assert!(id > seen && t.kind() != kind::UNKN);
            seen = id;
            let _ = btf.name(t);
            Some(u32::MAX)
        },
    );
    for id in 0..MOST {
        let t = btf.type_by_id(id);
        if id > 0 && t.kind() == kind::UNKN {
            // The end, or a kind that nothing is known of.
            break;
        }
        let skipped = btf.skip_mods_and_typedefs(id);
        let _ = btf.resolve_size(skipped);
        let _ = (btf.is_modifier(id), btf.str(btf.size_or_type(t)));
        for index in 0..t.vlen().min(16) {
            let (name, of) = btf.member(t, index);
            let _ = (btf.str(name), btf.type_by_id(of), btf.member_bits(t, index));
            let _ = (btf.enumerator(t, index), btf.param(t, index), btf.array(t));
        }
        let _ = (
            btf.is_signed_int(t),
            btf.is_offset_int(t),
            btf.letter(btf.size_or_type(t)),
        );
    }
    for image in IMAGES {
        let image = Image::parse(image).expect("an image");
        for search in [Search::First, Search::All] {
            let mut memory = vec![0; 1 << 15];
            let found = targets::find(&image, data, search, &mut Arena::new(&mut memory));
            let (btf, found) = found.expect("memory");
            for target in 0..image.targets().len() as u32 {
                assert!(found.candidates(target).count() <= 8 * image.targets().len() + 64);
                let first = found.first(target);
                assert!(first == 0 || btf.check().is_err() || btf.type_by_id(first).kind() != 0);
            }
        }
    }
}
