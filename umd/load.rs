// SPDX-License-Identifier: MIT OR Apache-2.0
//! A load in progress: what every step of it needs.

use preload_image::{Image, Str};

use crate::arena::Arena;
use crate::error::{Error, Failed};
use crate::sys::Errno;

/// A load in progress.
#[derive(Debug)]
pub struct Load<'a, 'm, S> {
    /// The kernel.
    pub sys: &'a S,
    /// The image.
    pub image: &'a Image<'a>,
    /// Memory.
    pub arena: &'m mut Arena<'a>,
    /// Where a step that fails says so.
    pub error: &'m mut Error,
}

impl<S> Load<'_, '_, S> {
    /// The kernel refused a step.
    #[cold]
    #[inline(never)]
    pub fn refused(&mut self, step: &'static str, object: Str, errno: Errno) -> Failed {
        self.error.refused(step, self.image.str(object), errno)
    }

    /// The arena is too small.
    #[cold]
    #[inline(never)]
    pub fn out_of_memory(&mut self, step: &'static str, object: Str) -> Failed {
        self.refused(step, object, Errno(libc::ENOMEM))
    }
}
