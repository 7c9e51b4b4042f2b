// SPDX-License-Identifier: MIT OR Apache-2.0
//! A load in progress: what every step of it needs, and where its error is kept.
//!
//! Steps return [`Failed`], which is nothing but the fact, so that a result fits
//! into a register; what failed, and why, waits here for whoever reports it.

use preload_image::{Image, Str};

use crate::arena::Arena;
use crate::btf::BtfError;
use crate::error::{Error, Line};
use crate::sys::Errno;

/// A step failed; [`Load::error`] says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// A load in progress.
#[derive(Debug)]
pub struct Load<'a, 'm, S> {
    /// The kernel.
    pub sys: &'a S,
    /// The image.
    pub image: Image<'a>,
    /// Memory.
    pub arena: &'m mut Arena<'a>,
    /// What failed.
    pub error: Error<'a>,
}

impl<S> Load<'_, '_, S> {
    /// The kernel refused a step.
    #[cold]
    #[inline(never)]
    pub fn refused(&mut self, step: &'static str, object: Str, errno: Errno) -> Failed {
        self.error = Error::errno(step, self.image.str(object), errno);
        Failed
    }

    /// A step failed for a reason of its own.
    #[cold]
    #[inline(never)]
    pub fn failed(&mut self, step: &'static str, object: Str, reason: &Line) -> Failed {
        self.error = Error {
            step,
            object: self.image.str(object),
            detail: reason.keep(self.arena),
            ..Error::default()
        };
        Failed
    }

    /// Fails if BTF made no sense.
    ///
    /// # Errors
    /// With what was wrong.
    #[inline(never)]
    pub fn check(
        &mut self,
        step: &'static str,
        object: Str,
        checked: Result<(), BtfError>,
    ) -> Result<(), Failed> {
        let Err(error) = checked else { return Ok(()) };
        let mut text = Line::new();
        text.put(b"bad BTF ").put(error.what.as_bytes());
        text.put(b" ").put_dec(error.value);
        Err(self.failed(step, object, &text))
    }

    /// The arena is too small.
    #[cold]
    #[inline(never)]
    pub fn out_of_memory(&mut self, step: &'static str, object: Str) -> Failed {
        self.refused(step, object, Errno(libc::ENOMEM))
    }
}
