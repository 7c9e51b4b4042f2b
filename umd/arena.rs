// SPDX-License-Identifier: MIT OR Apache-2.0
//! All memory of a load: one fixed piece, handed out from the front, given
//! back as a whole. Pages that nobody asks for are never touched.

use crate::sys::pod::{Pod, values_of_mut};

/// What is left of the memory.
#[derive(Debug)]
pub struct Arena<'a> {
    free: &'a mut [u64],
}

impl<'a> Arena<'a> {
    /// An arena of this memory.
    pub fn new(memory: &'a mut [u64]) -> Self {
        Arena { free: memory }
    }

    /// `n` values, zeroed; none if they do not fit.
    pub fn alloc_zeroed<T: Pod>(&mut self, n: usize) -> Option<&'a mut [T]> {
        let words = self.words(n.checked_mul(size_of::<T>())?.div_ceil(8))?;
        words.fill(0);
        values_of_mut(words).get_mut(..n)
    }

    /// `n` values, whatever they are; none if they do not fit.
    pub fn alloc<T: Pod>(&mut self, n: usize) -> Option<&'a mut [T]> {
        let words = self.words(n.checked_mul(size_of::<T>())?.div_ceil(8))?;
        values_of_mut(words).get_mut(..n)
    }

    #[inline(never)]
    fn words(&mut self, n: usize) -> Option<&'a mut [u64]> {
        if n > self.free.len() {
            return None;
        }
        let (words, rest) = core::mem::take(&mut self.free).split_at_mut_checked(n)?;
        self.free = rest;
        Some(words)
    }

    /// `n` bytes for now: what is handed out next lies over them.
    pub fn scratch(&mut self, n: usize) -> Option<&mut [u8]> {
        values_of_mut(self.free).get_mut(..n)
    }

    /// All that is left, as it is.
    pub fn rest(&mut self) -> &'a mut [u64] {
        core::mem::take(&mut self.free)
    }
}
