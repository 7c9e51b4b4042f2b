// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plain old data: the one place where bytes and values stand for each other.
#![allow(unsafe_code, reason = "views of plain old data as bytes and back")]

/// A type without padding, pointers or invalid bit patterns.
///
/// # Safety
/// Every byte of a value is initialised, and every byte pattern is a value.
pub unsafe trait Pod: Copy + 'static {}

// SAFETY: integers have no padding and no invalid patterns.
unsafe impl Pod for u8 {}
// SAFETY: as above.
unsafe impl Pod for i32 {}
// SAFETY: as above.
unsafe impl Pod for u32 {}
// SAFETY: as above.
unsafe impl Pod for u64 {}
// SAFETY: an array has the properties of its element.
unsafe impl Pod for [u32; 2] {}

/// A struct that is handed to the kernel as its first [`END`](Self::END) bytes.
///
/// # Safety
/// Those bytes have no padding among them, and every byte pattern is a value.
pub unsafe trait Attr: Copy {
    /// Bytes up to the end of the last field.
    const END: usize;
}

/// The bytes of a struct that the kernel reads and may write.
pub fn attr_bytes<T: Attr>(attr: &mut T) -> &mut [u8] {
    const { assert!(T::END <= size_of::<T>()) };
    // SAFETY: the first END bytes are initialised, and any bytes written to
    // them leave a value; the borrow of `attr` covers that of the slice.
    unsafe { core::slice::from_raw_parts_mut(core::ptr::from_mut(attr).cast(), T::END) }
}

/// The values that fit into `words`, from the first one on.
pub fn values_of_mut<T: Pod>(words: &mut [u64]) -> &mut [T] {
    const { assert!(size_of::<T>() <= 8 && align_of::<T>() <= 8) };
    let n = size_of_val(words) / size_of::<T>();
    // SAFETY: T is aligned where a u64 is, n of them lie inside `words`, every
    // byte pattern is a T, and what is written through it is initialised.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), n) }
}
