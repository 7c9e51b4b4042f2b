// SPDX-License-Identifier: MIT OR Apache-2.0
//! `tcx replace` and `tcx detach`: of what a link holds only by that link.

use std::fmt;
use std::fs;

use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::sys::{Sys as _, bpf, tcx};
use preload_loader::failure::{Failure, line, number};
use preload_loader::tcx::{Detach, Entry, Link, Revision};
use serde::Serialize;

use super::attach::with_program;
use super::{At, List, Object, Target};

/// What was done.
#[derive(Debug, Serialize)]
pub(crate) struct Changed {
    interface: String,
    direction: &'static str,
    prog_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_id: Option<u32>,
    /// Id and name of what is there instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_by: Option<(u32, String)>,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Changed {
            interface,
            direction,
            prog_id,
            ..
        } = self;
        write!(f, "{interface} {direction}: prog {prog_id} ")?;
        match &self.replaced_by {
            Some((id, name)) => write!(f, "replaced by prog {id} {}", line(name))?,
            None => f.write_str("detached")?,
        }
        match self.link_id {
            Some(id) => writeln!(f, ", link {id}"),
            None => writeln!(f),
        }
    }
}

/// Opens the link that holds an entry, if one does: only if that is what was named.
fn owner(
    list: &List,
    entry: Entry,
    target: &Target,
    revision: Option<Revision>,
) -> Result<Option<Link<'static, Linux>>, Failure> {
    let Some(id) = entry.link_id else {
        return Ok(None);
    };
    let refuse = |what: String| Err(Failure::new(format!("{list}: {what}")));
    if !matches!(target, Target::Link(_) | Target::Pin(_)) {
        return refuse(format!("link {id} holds {target}: name it, as link:{id}"));
    }
    if revision.is_some() {
        return refuse(format!("{target}: --revision is for what no link holds"));
    }
    Ok(Some(Link::by_id(&Linux, id.get())?))
}

/// Does something with the program of an entry; its fd is closed then.
fn with_old<T>(entry: Entry, then: impl FnOnce(i32) -> T) -> Result<T, Failure> {
    let fd = tcx::prog_fd_by_id(&Linux, entry.prog_id).map_err(|errno| {
        let step = format!("open prog {}", entry.prog_id);
        Failure::errno(&step, number(errno))
    })?;
    let done = then(fd);
    Linux.close(fd);
    Ok(done)
}

fn changed(list: &List, entry: Entry, replaced_by: Option<(u32, String)>) -> Changed {
    Changed {
        interface: list.device.name.clone(),
        direction: list.hook.direction.name(),
        prog_id: entry.prog_id,
        link_id: entry.link_id.map(std::num::NonZeroU32::get),
        replaced_by,
    }
}

pub(super) fn replace(
    at: &At,
    target: &Target,
    object: &Object,
    revision: Option<Revision>,
) -> Result<Changed, Failure> {
    let list = List::find(at)?;
    let entry = list.entry(&list.query()?, target)?;
    let link = owner(&list, entry, target, revision)?;
    let by = with_program(object, list.hook.direction, |program, fd| {
        let replaced = with_old(entry, |old| match &link {
            Some(link) => link.update(fd, Some(old)),
            None => list.hook.replace(&Linux, old, fd, None, revision),
        })?;
        let step = format!("replace {target} at {list} by prog {program}");
        replaced.map_err(|error| error.with_step(step))?;
        let id = bpf::obj_id(&Linux, fd);
        let id = id.map_err(|errno| Failure::errno("get id of a prog", number(errno)))?;
        Ok((id, program.to_owned()))
    })?;
    Ok(changed(&list, entry, Some(by)))
}

pub(super) fn detach(
    at: &At,
    target: &Target,
    revision: Option<Revision>,
) -> Result<Changed, Failure> {
    let list = List::find(at)?;
    let entry = list.entry(&list.query()?, target)?;
    let detached = match owner(&list, entry, target, revision)? {
        Some(link) => link.detach(),
        None => with_old(entry, |old| {
            list.hook.detach(&Linux, Detach::Prog(old), revision)
        })?,
    };
    detached.map_err(|error| error.with_step(format!("detach {target} from {list}")))?;
    if let Target::Pin(path) = target {
        fs::remove_file(path).map_err(|error| Failure::io("remove", path, &error))?;
    }
    Ok(changed(&list, entry, None))
}
