// SPDX-License-Identifier: MIT OR Apache-2.0
//! `BPF_PROG_QUERY` of a list.

use std::num::NonZeroU32;

use bpf_preload_umd::sys::tcx::{QueryRoom, prog_query};
use bpf_preload_umd::sys::{Errno, Sys};

use super::{Hook, Revision};

/// What a list holds, in the order in which its programs run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Of this list: 1 as long as nothing was attached.
    pub revision: Revision,
    /// First to last.
    pub entries: Vec<Entry>,
}

/// One place of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Id of the program.
    pub prog_id: u32,
    /// Id of the link that holds it, if one does.
    pub link_id: Option<NonZeroU32>,
    /// Flags of the program: 0 in all kernels up to 7.3.
    pub prog_flags: u32,
    /// Flags of the link: 0 in all kernels up to 7.3.
    pub link_flags: u32,
}

/// Programs that there is room for at first: few lists have more.
const ROOM: usize = 8;
/// Calls after which a list that grows and grows is left alone.
const TRIES: u32 = 8;
const ENOSPC: Errno = Errno(28);

impl Chain {
    pub(super) fn query<S: Sys>(sys: &S, hook: Hook) -> Result<Self, Errno> {
        let mut len = ROOM;
        let (ifindex, attach_type) = (hook.ifindex.get(), hook.direction.attach_type());
        for _ in 0..TRIES {
            let [mut prog_ids, mut prog_flags, mut link_ids, mut link_flags] =
                [(); 4].map(|()| vec![0; len]);
            let mut room = QueryRoom {
                prog_ids: &mut prog_ids,
                prog_flags: &mut prog_flags,
                link_ids: &mut link_ids,
                link_flags: &mut link_flags,
            };
            let (attr, done) = prog_query(sys, ifindex, attach_type, &mut room);
            match done {
                Ok(()) => {}
                Err(ENOSPC) => {
                    len = len.max(attr.count as usize);
                    continue;
                }
                Err(errno) => return Err(errno),
            }
            let ids = prog_ids.iter().zip(&link_ids);
            let flags = prog_flags.iter().zip(&link_flags);
            let entries = ids.zip(flags).take(attr.count as usize);
            return Ok(Chain {
                // Never 0: that of an empty list is 1.
                revision: Revision::new(attr.revision).unwrap_or(Revision::MIN),
                entries: entries
                    .map(|((prog_id, link_id), (prog_flags, link_flags))| Entry {
                        prog_id: *prog_id,
                        link_id: NonZeroU32::new(*link_id),
                        prog_flags: *prog_flags,
                        link_flags: *link_flags,
                    })
                    .collect(),
            });
        }
        Err(ENOSPC)
    }
}
