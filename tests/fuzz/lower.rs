// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lowering: any bytes as an object file give an image or one line.

use preload_image::Image;

/// Bytes of an object file.
pub fn run(data: &[u8]) {
    let lowered = preload_lower::lower(data, "fuzz");
    match &lowered {
        Ok(bytes) => {
            let image = Image::parse(bytes).expect("an image");
            image.check().expect("a sound image");
            // A pure function of the object.
            assert_eq!(preload_lower::lower(data, "fuzz").as_ref(), Ok(bytes));
        }
        Err(error) => {
            let line = error.to_string();
            assert!(
                !line.is_empty() && !line.contains(char::is_control),
                "{line:?}"
            );
            assert!(line.len() < 1000, "{line}");
        }
    }
    // What is left out for the driver decides about nothing.
    assert_eq!(
        preload_lower::lower_bare(data, "fuzz").is_ok(),
        lowered.is_ok()
    );
    let _ = preload_lower::btf(data);
}
