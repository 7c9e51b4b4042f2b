// SPDX-License-Identifier: MIT OR Apache-2.0
//! `tcx show`.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;

use bpf_preload_umd::sys::linux::Linux;
use preload_loader::failure::{Failure, line};
use preload_loader::netdev::{self, Classic};
use preload_loader::tcx::{Cause, Chain, Direction, Entry};
use preload_loader::{link_pins, prog_name};
use serde::Serialize;

use super::List;

/// Lists that have something, or that were asked for.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    lists: Vec<Hook>,
}

#[derive(Debug, Serialize)]
struct Hook {
    interface: String,
    ifindex: u32,
    direction: &'static str,
    revision: u64,
    programs: Vec<Program>,
    /// What classic tc has there.
    #[serde(skip_serializing_if = "Option::is_none")]
    qdisc: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    filters: Vec<Filter>,
}

#[derive(Debug, Serialize)]
struct Program {
    prog_id: u32,
    /// None if nobody may ask, or it is gone meanwhile.
    name: Option<String>,
    link_id: Option<u32>,
    pinned: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Filter {
    kind: String,
    pref: u32,
    handle: u32,
    chain: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    prog_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    direct_action: bool,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lists.iter().try_for_each(|list| list.fmt(f))
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hook {
            interface,
            ifindex,
            direction,
            revision,
            ..
        } = self;
        let interface = line(interface);
        writeln!(
            f,
            "{interface} ifindex {ifindex} {direction} revision {revision}"
        )?;
        for program in &self.programs {
            let Program { prog_id, name, .. } = program;
            write!(f, "  prog {prog_id} {}", shown(name.as_deref()))?;
            match program.link_id {
                Some(id) => write!(f, " link {id}")?,
                None => write!(f, " no link")?,
            }
            for path in &program.pinned {
                write!(f, " pinned {}", line(path.display()))?;
            }
            writeln!(f)?;
        }
        if let Some(kind) = &self.qdisc {
            writeln!(f, "  qdisc {}", line(kind))?;
        }
        for filter in &self.filters {
            let Filter {
                kind,
                pref,
                handle,
                chain,
                ..
            } = filter;
            let kind = line(kind);
            write!(
                f,
                "  filter {kind} pref {pref} chain {chain} handle {handle:#x}"
            )?;
            if let Some(id) = filter.prog_id {
                write!(f, " prog {id} {}", shown(filter.name.as_deref()))?;
            }
            writeln!(
                f,
                "{}",
                if filter.direct_action {
                    " direct-action"
                } else {
                    ""
                }
            )?;
        }
        Ok(())
    }
}

/// A name, or that there is none.
fn shown(name: Option<&str>) -> String {
    line(name.filter(|name| !name.is_empty()).unwrap_or("-"))
}

pub(super) fn show(interface: Option<&str>) -> Result<Shown, Failure> {
    let devices = match interface {
        Some(name) => vec![netdev::device(name)?],
        None => netdev::devices()?,
    };
    let mut seen = Vec::new();
    for device in devices {
        for direction in Direction::BOTH {
            let list = List::of(device.clone(), direction);
            let chain = match list.hook.query(&Linux) {
                Ok(chain) => chain,
                // It went after the devices were listed.
                Err(error) if error.cause == Cause::NoDevice && interface.is_none() => continue,
                Err(error) => return Err(error.with_step(format!("query {list}")).into()),
            };
            let classic = netdev::classic(device.ifindex, direction)?;
            let something = !chain.entries.is_empty() || classic.qdisc.is_some();
            if something || interface.is_some() {
                seen.push((list, chain, classic));
            }
        }
    }
    // Only where there is a link to look for.
    let mut entries = seen.iter().flat_map(|(_, chain, _)| &chain.entries);
    let pins = match entries.any(|entry| entry.link_id.is_some()) {
        true => link_pins::find(),
        false => BTreeMap::new(),
    };
    let lists = seen.into_iter();
    Ok(Shown {
        lists: lists
            .map(|(list, chain, classic)| hook(list, chain, classic, &pins))
            .collect(),
    })
}

fn hook(list: List, chain: Chain, classic: Classic, pins: &BTreeMap<u32, Vec<PathBuf>>) -> Hook {
    let program = |entry: &Entry| {
        let link_id = entry.link_id.map(NonZeroU32::get);
        Program {
            prog_id: entry.prog_id,
            name: prog_name::of_id(&Linux, entry.prog_id),
            link_id,
            pinned: link_id
                .and_then(|id| pins.get(&id).cloned())
                .unwrap_or_default(),
        }
    };
    let filter = |filter: netdev::Filter| Filter {
        name: filter.prog_id.and_then(|id| prog_name::of_id(&Linux, id)),
        kind: filter.kind,
        pref: filter.pref,
        handle: filter.handle,
        chain: filter.chain,
        prog_id: filter.prog_id,
        direct_action: filter.direct_action,
    };
    Hook {
        ifindex: list.hook.ifindex.get(),
        direction: list.hook.direction.name(),
        interface: list.device.name,
        revision: chain.revision.get(),
        programs: chain.entries.iter().map(program).collect(),
        qdisc: classic.qdisc,
        filters: classic.filters.into_iter().map(filter).collect(),
    }
}
