// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel, asked with a token: the commands that take one get it, behind the attr that
//! the caller made; all others, and all without a token, pass as they are. What is refused is
//! remembered.
#![expect(unsafe_code, reason = "passes bpf() on, which takes addresses")]

use std::cell::RefCell;
use std::os::fd::AsRawFd as _;

use bpf_preload_umd::sys::attr::{BPF_F_TOKEN_FD, TOKEN_AT, TokenAt, cmd};
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::{Errno, Sys};

use super::{Open, Refused, Token, VARIABLE};
use crate::errno::{EINVAL, EPERM};
use crate::failure::Failure;
use crate::grants::{self, Grants};
use crate::pass_on::pass_on_but_bpf;

/// The longest attr with a token.
const ATTR_MAX: usize = 256;

/// A kernel that every call for something goes to with a token, if there is one.
#[derive(Debug)]
pub struct WithToken<S = Linux> {
    sys: S,
    token: Option<Open>,
    /// The last call that was refused, if none was granted since.
    refused: RefCell<Option<Refused>>,
    /// BTF was refused: a load goes on without, and would lose its names.
    btf_refused: RefCell<Option<Refused>>,
}

impl<S: Sys> WithToken<S> {
    /// Opens the token that is wanted.
    ///
    /// # Errors
    /// It was asked for, be it by the environment, and is not to be had.
    pub fn new(sys: S, token: &Token) -> Result<Self, Failure> {
        Ok(WithToken {
            sys,
            token: token.open(std::env::var_os(VARIABLE))?,
            refused: RefCell::new(None),
            btf_refused: RefCell::new(None),
        })
    }

    /// Where the token is from, if there is one.
    pub fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| &*token.from)
    }

    /// What became of a load, with what the token lacked if that is what it is about.
    ///
    /// # Errors
    /// As the load's own. BTF that was refused is one, too: without a token a load goes on
    /// then; one with a token keeps types and names, or says what it lacks.
    pub fn judge<T>(&self, loaded: Result<T, Failure>) -> Result<T, Failure> {
        if let Some(why) = self.why(&self.btf_refused) {
            return Err(Failure::errno("load BTF", EPERM).because(&why));
        }
        loaded.map_err(|failure| {
            // What the verifier refuses it says itself.
            if failure.os_error() != Some(EPERM) || !failure.log().is_empty() {
                return failure;
            }
            match self.why_refused() {
                Some(why) => failure.because(&why),
                None => failure,
            }
        })
    }

    /// What the last call that was refused lacked, if that is certain.
    pub(crate) fn why_refused(&self) -> Option<String> {
        self.why(&self.refused).or_else(|| self.why_without())
    }

    /// What the token allows, if there is one and the kernel says so.
    pub(crate) fn allowed(&self) -> Option<Grants> {
        self.token.as_ref()?.grants()
    }

    /// What was refused without a token, if that is certain.
    fn why_without(&self) -> Option<String> {
        let refused = self.refused.borrow();
        refused
            .as_ref()?
            .why_without()
            .filter(|_| self.token.is_none())
    }

    fn why(&self, refused: &RefCell<Option<Refused>>) -> Option<String> {
        let token = self.token.as_ref()?;
        let refused = refused.borrow();
        refused.as_ref()?.why(&token.grants()?, &token.from)
    }

    /// The attr with the token.
    fn extend(&self, at: &TokenAt, attr: &[u8]) -> Option<([u8; ATTR_MAX], usize)> {
        let fd = self.token.as_ref()?.fd.as_raw_fd();
        let mut longer = [0; ATTR_MAX];
        longer.get_mut(..attr.len())?.copy_from_slice(attr);
        let flags = word(&longer, at.flags.1) | BPF_F_TOKEN_FD;
        for (offset, value) in [(at.flags.1, flags), (at.fd.1, fd as u32)] {
            let place = longer.get_mut(offset..offset + 4)?;
            place.copy_from_slice(&value.to_ne_bytes());
        }
        let end = attr.len().max(at.fd.1 + 4).max(at.flags.1 + 4);
        Some((longer, end))
    }

    /// Remembers what was refused.
    fn note(&self, cmd: u32, attr: &[u8], result: &Result<i32, Errno>) {
        // Maps are tried again without types, which fails in other ways.
        if matches!(result, Err(errno) if *errno != Errno(EPERM)) {
            return;
        }
        let refused = result.is_err().then(|| Refused {
            cmd,
            types: match cmd {
                cmd::PROG_LOAD => {
                    let ty = word(attr, 0);
                    (ty, grants::attach_type(ty, word(attr, 68)))
                }
                _ => (word(attr, 0), 0),
            },
            name: name(attr, if cmd == cmd::PROG_LOAD { 48 } else { 28 }),
        });
        if cmd == cmd::BTF_LOAD && self.token.is_some() {
            self.btf_refused.replace(refused.clone());
        }
        self.refused.replace(refused);
    }
}

/// A field of 4 bytes; 0 if the attr ends before it.
fn word(attr: &[u8], offset: usize) -> u32 {
    let bytes = attr.get(offset..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
}

/// The name of a map or program, as far as the kernel gets to see it.
fn name(attr: &[u8], offset: usize) -> String {
    let bytes = attr.get(offset..offset + 16).unwrap_or_default();
    let bytes = bytes.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

impl<S: Sys> Sys for WithToken<S> {
    pass_on_but_bpf!(sys: S);

    unsafe fn bpf(&self, cmd: u32, attr: &mut [u8]) -> Result<i32, Errno> {
        let at = TOKEN_AT.iter().find(|at| at.cmd == cmd);
        let Some((mut longer, end)) = at.and_then(|at| self.extend(at, attr)) else {
            // SAFETY: the caller's contract.
            let result = unsafe { self.sys.bpf(cmd, attr) };
            match at {
                Some(_) => self.note(cmd, attr, &result),
                None => drop(self.refused.replace(None)),
            }
            return result;
        };
        let with = longer.get_mut(..end).unwrap_or_default();
        // SAFETY: the caller's contract; what was added is no pointer.
        let mut result = unsafe { self.sys.bpf(cmd, with) };
        if cmd == cmd::BTF_GET_FD_BY_ID && result == Err(Errno(EINVAL)) {
            // Older kernels take none for this command (6.12; 6.18 and 7.3 do).
            // SAFETY: the caller's contract.
            result = unsafe { self.sys.bpf(cmd, attr) };
        } else if let Some(from) = longer.get(..attr.len()) {
            // What the kernel answers stands in the attr, at most before the token.
            attr.copy_from_slice(from);
            if let Some(flags) = at.map(|at| at.flags.1)
                && let Some(place) = attr.get_mut(flags..flags + 4)
            {
                let without = word(&longer, flags) & !BPF_F_TOKEN_FD;
                place.copy_from_slice(&without.to_ne_bytes());
            }
        }
        self.note(cmd, attr, &result);
        result
    }
}
