// SPDX-License-Identifier: MIT OR Apache-2.0
//! A load in progress: what every step of it needs.

use preload_image::{Image, Str};

use crate::arena::Arena;
use crate::error::Error;

/// A load in progress.
#[derive(Debug)]
pub struct Load<'a, 'm, S> {
    /// The kernel.
    pub sys: &'a S,
    /// The image.
    pub image: Image<'a>,
    /// Memory.
    pub arena: &'m mut Arena<'a>,
    /// Where a step that fails says so.
    pub error: &'m mut Error,
}

impl<S> Load<'_, '_, S> {
    /// Begins a step; what fails from here on is that.
    #[inline(never)]
    pub fn begin(&mut self, step: &'static str, object: Str) {
        self.error.begin(step, self.image.str(object));
    }
}
