// SPDX-License-Identifier: MIT OR Apache-2.0
//! `tcx verify`: is a list the one wished for?

use std::fmt;

use bpf_preload_umd::sys::linux::Linux;
use preload_loader::failure::{Failure, line};
use preload_loader::prog_name;
use preload_loader::tcx::{Chain, Entry, Link, Revision};
use serde::Serialize;

use super::{At, List, Target};

/// It is.
#[derive(Debug, Serialize)]
pub(crate) struct Verified {
    interface: String,
    direction: &'static str,
    revision: u64,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verified {
            interface,
            direction,
            revision,
        } = self;
        writeln!(f, "{interface} {direction}: as wished, revision {revision}")
    }
}

pub(super) fn verify(
    at: &At,
    wish: &[Target],
    revision: Option<Revision>,
) -> Result<Verified, Failure> {
    let list = List::find(at)?;
    let chain = list.query()?;
    if let Some(wanted) = revision.filter(|wanted| *wanted != chain.revision) {
        let what = format!("revision is {}, you expected {wanted}", chain.revision);
        return Err(Failure::new(format!("{list}: {what}")));
    }
    let same = chain.entries.len() == wish.len();
    let mut pairs = chain.entries.iter().zip(wish);
    if same && pairs.all(|(entry, target)| is(entry, target)) {
        return Ok(Verified {
            interface: list.device.name.clone(),
            direction: list.hook.direction.name(),
            revision: chain.revision.get(),
        });
    }
    let wish: Vec<String> = wish.iter().map(Target::to_string).collect();
    let (is, wished) = (words(&chain), listed(&wish));
    Err(Failure::new(format!("{list} is {is}, not {wished}")))
}

fn is(entry: &Entry, target: &Target) -> bool {
    let by_link = |id: u32| entry.link_id.is_some_and(|link| link.get() == id);
    match target {
        Target::Prog(id) => entry.prog_id == *id,
        Target::Link(id) => by_link(*id),
        // A pin that is not there, or is of another kind, is not this link's.
        Target::Pin(path) => Link::pinned(&Linux, path)
            .and_then(|link| link.info())
            .is_ok_and(|info| by_link(info.id)),
        Target::Name(name) => prog_name::of_id(&Linux, entry.prog_id).as_ref() == Some(name),
    }
}

fn words(chain: &Chain) -> String {
    let words = chain.entries.iter().map(|entry| {
        let name = prog_name::of_id(&Linux, entry.prog_id).unwrap_or_default();
        let link = entry
            .link_id
            .map_or(String::new(), |id| format!(" link {id}"));
        line(format!("prog {} {name}{link}", entry.prog_id))
    });
    listed(&words.collect::<Vec<_>>())
}

fn listed(all: &[String]) -> String {
    match all {
        [] => "empty".into(),
        all => all.join(", "),
    }
}
