// SPDX-License-Identifier: MIT OR Apache-2.0
//! All memory of a load: one fixed piece, handed out from the front, given
//! back as a whole. Pages that nobody asks for are never touched.

use crate::sys::pod::{Pod, values_of_mut};

/// What is left of the memory.
#[derive(Debug)]
pub struct Arena<'a> {
    free: &'a mut [u8],
}

impl<'a> Arena<'a> {
    /// An arena of these bytes.
    pub fn new(memory: &'a mut [u8]) -> Self {
        Arena { free: memory }
    }

    /// `n` values, zeroed; none if they do not fit.
    #[inline(never)]
    pub fn alloc<T: Pod + Default>(&mut self, n: usize) -> Option<&'a mut [T]> {
        // One more than needed, for what alignment leaves out.
        let bytes = n.checked_add(1)?.checked_mul(size_of::<T>())?;
        if bytes > self.free.len() {
            return None;
        }
        let (bytes, rest) = core::mem::take(&mut self.free).split_at_mut_checked(bytes)?;
        self.free = rest;
        let values = values_of_mut(bytes).get_mut(..n)?;
        values.fill(T::default());
        Some(values)
    }

    /// All that is left, as it is.
    pub fn rest(&mut self) -> &'a mut [u8] {
        core::mem::take(&mut self.free)
    }
}
