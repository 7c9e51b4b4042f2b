// SPDX-License-Identifier: MIT OR Apache-2.0
//! The walk over all types, at several places at once: for a host, which searches to the end
//! and has memory to spare. The blob has none of this.
//!
//! A record's length says where the next one is, and a processor waits for each length in turn.
//! So a piece of the types is cut into lanes, and a step looks at one record of each: what one
//! lane waits for, the others do not. Where a lane begins is a guess, and known to be right only
//! when the lane before it has ended just there; if one has not, the piece is walked over again
//! in one lane. What makes no sense is left to [`Btf::index`], which says so.

use super::walk::{Filter, TYPE_BYTES, WORDS};
use super::{Btf, Type, word};
use crate::arena::Arena;

/// Lanes of a piece.
const LANES: usize = 6;
/// Bytes of a piece: it stays in the processor's caches until its marks are set.
const PIECE: usize = 256 << 10;
/// Records of a lane that are looked at before the names of those that are wanted; the place of
/// every one of so many is remembered.
const ROUND: usize = 16;
/// Room for all records of a round.
const WANTED: usize = (ROUND * LANES).next_power_of_two();
/// A guess is this many records of known kinds: what else there is in BTF, names, ids and sizes,
/// is hardly ever as large as a kind in its place.
const PLAUSIBLE: usize = 8;
/// Records that pass the filter, at most.
const HITS: usize = 32768;

/// Length of a record by kind: of the header with what is there once, and of what is there for
/// each of vlen. 0: not of a kind that is known.
#[expect(clippy::indexing_slicing, reason = "when it is compiled")]
const BYTES: [[u8; 2]; 128] = {
    let mut bytes = [[0; 2]; 128];
    let mut at = 0;
    while at < WORDS.len() {
        let (once, each) = (WORDS[at] & 15, WORDS[at] >> 4);
        bytes[at + 1] = [TYPE_BYTES as u8 + 4 * once, 4 * each];
        at += 1;
    }
    bytes
};

/// Type and length of the record at a place; none if it is of no known kind, or not there.
#[inline(always)]
fn record(types: &[u8], at: usize) -> Option<(Type, usize)> {
    let info = word(types, at + 4)?;
    let t = Type {
        at: at as u32,
        info,
    };
    let [once, each] = *BYTES.get(t.kind() as usize)?;
    let bytes = usize::from(once) + usize::from(each) * t.vlen() as usize;
    (once != 0).then_some((t, bytes))
}

/// A lane: where it is, where it is to end, and what it has seen.
#[derive(Clone, Copy, Default)]
struct Lane {
    start: usize,
    at: usize,
    end: usize,
    /// Number of its records, once it has ended.
    count: u32,
}

/// Places of every [`ROUND`]th record of each lane of a piece, side by side.
type Near = [u32; PIECE / TYPE_BYTES / ROUND + 2 * (LANES + 1)];

/// Place and number of what passes the filter; the number is a lane's, then an id.
struct Hits<'a> {
    room: &'a mut [[u32; 2]],
    len: usize,
}

impl<'b> Btf<'b> {
    /// [`Btf::index`], for who wants all that passes the filter, to the end.
    pub fn index_all<'a: 'b>(
        data: &'b [u8],
        arena: &mut Arena<'a>,
        filter: &Filter,
        visit: &mut dyn FnMut(&Btf<'b>, u32, Type) -> Option<u32>,
    ) -> Self {
        let mut btf = Btf::default();
        btf.find_sections(data);
        let Some(hits) = btf.walk_lanes(arena, filter) else {
            return Btf::index(data, arena, filter, visit);
        };
        for [at, id] in hits {
            let info = word(btf.types, *at as usize + 4).unwrap_or(0);
            if visit(&btf, *id, Type { at: *at, info }).is_none() {
                btf.fault("number of candidates", *id);
            }
        }
        btf
    }

    /// Sets the marks; gives place and id of what passes the filter.
    fn walk_lanes<'a: 'b>(
        &mut self,
        arena: &mut Arena<'a>,
        filter: &Filter,
    ) -> Option<&'a [[u32; 2]]> {
        let types = self.types;
        let marks = self.room_for_marks(arena)?;
        let mut hits = Hits {
            room: arena.alloc(HITS)?,
            len: 0,
        };
        let mut near = [0; size_of::<Near>() / 4];
        // Place and id of the piece, and how many marks are set.
        let (mut at, mut first, mut marked) = (0, 1u32, 0u32);
        while at < types.len() {
            let before = hits.len;
            let mut lanes = cut(types, at, LANES);
            if !self.walk_piece(&mut lanes, filter, &mut near, &mut hits)? {
                hits.len = before;
                lanes = cut(types, at, 1);
                self.walk_piece(&mut lanes, filter, &mut near, &mut hits)?;
            }
            let mut ids = [first; LANES];
            for ((index, lane), id) in lanes.iter().enumerate().zip(&mut ids) {
                *id = first;
                let near = near.get(near_at(&lanes, index)..)?;
                // Of each mark's type the place is some records behind one remembered.
                while let Some(number) = (1 + (marked << self.shift)).checked_sub(first)
                    && number < lane.count
                {
                    let number = number as usize;
                    let mut at = *near.get(number / ROUND)? as usize;
                    for _ in 0..number % ROUND {
                        at += record(types, at)?.1;
                    }
                    *marks.get_mut(marked as usize)? = at as u32;
                    marked += 1;
                }
                first += lane.count;
                if lane.start < lane.end {
                    at = lane.at;
                }
            }
            let new = hits.room.get_mut(before..hits.len)?;
            new.sort_unstable();
            for [at, number] in new {
                // Not more than the lanes that there are.
                let lane = lanes
                    .iter()
                    .rposition(|lane| lane.start < lane.end && lane.start <= *at as usize)?;
                *number += ids.get(lane)?;
            }
        }
        self.marks = marks.get(..marked as usize)?;
        if at != types.len() {
            return None;
        }
        let Hits { room, len } = hits;
        room.get(..len)
    }

    /// Walks the lanes of a piece to their ends; false if one of them does not end where the
    /// next one begins, none if there is anything that is not known.
    #[inline(never)]
    fn walk_piece(
        &self,
        lanes: &mut [Lane; LANES],
        filter: &Filter,
        near: &mut Near,
        hits: &mut Hits<'_>,
    ) -> Option<bool> {
        let mut number = 0;
        while lanes.iter().any(|lane| lane.at < lane.end) {
            for index in 0..LANES {
                let lane = lanes.get(index)?;
                if lane.at < lane.end {
                    *near.get_mut(near_at(lanes, index) + number / ROUND)? = lane.at as u32;
                }
            }
            // All are noted, and those that are not wanted overwritten: a branch that cannot be
            // predicted would stop all lanes.
            let mut wanted = [0u64; WANTED];
            let mut count = 0;
            for number in number as u32..number as u32 + ROUND as u32 {
                for lane in &mut *lanes {
                    if lane.at >= lane.end {
                        continue;
                    }
                    let (t, bytes) = record(self.types, lane.at)?;
                    *wanted.get_mut(count % WANTED)? = u64::from(number) << 32 | u64::from(t.at);
                    count += usize::from(filter.wants(t.kind()));
                    lane.at += bytes;
                    lane.count = number + 1;
                }
            }
            for note in wanted.iter().take(count) {
                let (at, number) = (*note as u32, (*note >> 32) as u32);
                let name_off = word(self.types, at as usize)?;
                if filter.first(self.letter(name_off)) && filter.second(self.strings, name_off) {
                    *hits.room.get_mut(hits.len)? = [at, number];
                    hits.len += 1;
                }
            }
            number += ROUND;
        }
        let lanes = || lanes.iter().filter(|lane| lane.start < lane.end);
        Some(
            lanes()
                .zip(lanes().skip(1))
                .all(|(lane, next)| lane.at == next.start),
        )
    }
}

/// Cuts the piece that begins at a record into as many lanes as can be found.
fn cut(types: &[u8], start: usize, count: usize) -> [Lane; LANES] {
    let mut lanes = [Lane::default(); LANES];
    let mut end = types.len().min(start + PIECE);
    let bytes = end - start;
    for (index, lane) in lanes.iter_mut().enumerate().take(count).rev() {
        let from = start + bytes / count * index / 4 * 4;
        let plausible = |at: &usize| {
            let mut at = *at;
            (0..PLAUSIBLE).all(|_| match record(types, at) {
                Some((_, bytes)) => {
                    at += bytes;
                    true
                }
                None => false,
            })
        };
        let guess = match index {
            0 => Some(start),
            _ => (from..end).step_by(4).find(plausible),
        };
        if let Some(guess) = guess {
            *lane = Lane {
                start: guess,
                at: guess,
                end,
                count: 0,
            };
            end = guess;
        }
    }
    lanes
}

/// Where in [`Near`] that of a lane begins: behind as much as those before it can have.
fn near_at(lanes: &[Lane; LANES], index: usize) -> usize {
    let start = |index: usize| lanes.get(index).map_or(0, |lane| lane.start);
    start(index).saturating_sub(start(0)) / TYPE_BYTES / ROUND + 2 * index
}
