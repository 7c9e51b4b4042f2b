// SPDX-License-Identifier: MIT OR Apache-2.0
//! `tcx attach`, and the program that is loaded for it or for `tcx replace`.

use std::fmt;
use std::path::PathBuf;

use bpf_preload_umd::exec::Loaded;
use bpf_preload_umd::sys::bpf;
use bpf_preload_umd::sys::linux::Linux;
use bpf_preload_umd::targets::Search;
use preload_image::{Image, Prog};
use preload_loader::failure::{Failure, line, number};
use preload_loader::pins::{Pins, is_bpffs};
use preload_loader::tcx::{Direction, Position};
use preload_loader::{by_name, complete, kernel, object};
use serde::Serialize;

use super::{Attach, List, Object};

/// `enum bpf_prog_type`.
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;

/// What was attached.
#[derive(Debug, Serialize)]
pub(crate) struct Attached {
    interface: String,
    ifindex: u32,
    direction: &'static str,
    program: String,
    prog_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<PathBuf>,
    /// Is it attached only as long as this process lives?
    held: bool,
}

impl fmt::Display for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Attached {
            interface,
            direction,
            program,
            prog_id,
            ..
        } = self;
        write!(
            f,
            "{interface} {direction}: prog {prog_id} {}",
            line(program)
        )?;
        if let Some(id) = self.link_id {
            write!(f, ", link {id}")?;
        }
        match &self.pinned {
            Some(path) => writeln!(f, ", pinned at {}", line(path.display())),
            None if self.held => writeln!(f, ", held until a signal ends this command"),
            None => writeln!(f, ", no link"),
        }
    }
}

/// Loads an object and hands on the one program that is meant, with its name. All that
/// nothing refers to by then is unloaded again.
pub(super) fn with_program<T>(
    object: &Object,
    direction: Direction,
    then: impl FnOnce(&str, i32) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let file = &object.file;
    let within = |failure: Failure| failure.within(file);
    let bytes = object::lower(file)?;
    // Before anything is loaded.
    let place = choose(&object::parse(&bytes)?, object, direction).map_err(within)?;
    let bytes = complete::complete(bytes).map_err(within)?;
    let image = object::parse(&bytes)?;
    let mut memory = kernel::memory();
    let pinned = by_name::find(&image).map_err(within)?;
    let loaded = kernel::load(&Linux, &image, &pinned, Search::All, &mut memory).map_err(within)?;
    let mut pins = Pins::default();
    for (name, path, fd) in by_name::missing(&image, &pinned, loaded.maps()) {
        pins.pin(&format!("map {name}"), fd, path)?;
    }
    let done = then_with(&loaded, place, then)?;
    pins.keep();
    Ok(done)
}

fn then_with<T>(
    loaded: &Loaded<'_, Linux>,
    place: usize,
    then: impl FnOnce(&str, i32) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let prog = loaded.progs().nth(place);
    let prog = prog.ok_or_else(|| Failure::new("the program was not loaded"))?;
    then(&String::from_utf8_lossy(prog.name), prog.fd)
}

/// Which of the programs of an object is meant.
fn choose(image: &Image<'_>, object: &Object, direction: Direction) -> Result<usize, Failure> {
    let name = |prog: &Prog| String::from_utf8_lossy(image.str(prog.name)).into_owned();
    let fits = |prog: &Prog| {
        prog.prog_type == BPF_PROG_TYPE_SCHED_CLS
            && [0, direction.attach_type()].contains(&prog.attach_type)
    };
    let progs: Vec<Prog> = image.progs().iter().collect();
    if let Some(wanted) = &object.program {
        let shown = line(wanted);
        let Some(place) = progs.iter().position(|prog| &name(prog) == wanted) else {
            return Err(Failure::new(format!("no program {shown} in it")));
        };
        return match progs.get(place) {
            Some(prog) if fits(prog) => Ok(place),
            _ => Err(Failure::new(format!(
                "prog {shown}: its section is not one for tcx {}",
                direction.name()
            ))),
        };
    }
    let candidates: Vec<usize> = (0..)
        .zip(&progs)
        .filter(|(_, p)| fits(p))
        .map(|(n, _)| n)
        .collect();
    match candidates[..] {
        [place] => Ok(place),
        [] => Err(Failure::new(format!(
            "no program in it is in a section for tcx {}",
            direction.name()
        ))),
        _ => {
            let names: Vec<String> = progs.iter().filter(|prog| fits(prog)).map(name).collect();
            let names = names.join(", ");
            Err(Failure::new(format!("which program? there are {names}")))
        }
    }
}

/// Attaches; pins the link, or keeps it until a signal comes. Nothing stays attached of
/// which nobody could be told.
pub(super) fn attach(
    wanted: &Attach,
    tell: impl FnOnce(&Attached) -> Result<(), Failure>,
    hold: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let list = List::find(&wanted.at)?;
    // A kernel without tcx says so here, before anything is loaded.
    let chain = list.query()?;
    let place = &wanted.place;
    let position = match (&place.before, &place.after, place.first) {
        (Some(target), _, _) => Position::Before(list.anchor(&chain, target)?),
        (_, Some(target), _) => Position::After(list.anchor(&chain, target)?),
        (_, _, true) => Position::First,
        _ => Position::Last,
    };
    if let Some(path) = &wanted.pin {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(".".as_ref());
        if !is_bpffs(dir)? {
            let what = format!("pin link at {}: not in a bpffs", path.display());
            return Err(Failure::new(what));
        }
    }
    let hook = list.hook;
    with_program(&wanted.object, hook.direction, |program, fd| {
        let step = format!("attach prog {program} to {list}");
        let prog_id = bpf::obj_id(&Linux, fd);
        let prog_id = prog_id.map_err(|errno| Failure::errno(&step, number(errno)))?;
        let mut said = Attached {
            interface: list.device.name.clone(),
            ifindex: hook.ifindex.get(),
            direction: hook.direction.name(),
            program: program.into(),
            prog_id,
            link_id: None,
            pinned: None,
            held: !wanted.no_link && wanted.pin.is_none(),
        };
        if wanted.no_link {
            let attached = hook.attach(&Linux, fd, position, wanted.revision);
            attached.map_err(|error| error.with_step(&step))?;
            return tell(&said).inspect_err(|_| {
                let _ = hook.detach(&Linux, preload_loader::tcx::Detach::Prog(fd), None);
            });
        }
        let link = hook.link(&Linux, fd, position, wanted.revision);
        let link = link.map_err(|error| error.with_step(&step))?;
        said.link_id = Some(link.info()?.id);
        let mut pins = Pins::default();
        if let Some(path) = &wanted.pin {
            said.pinned = Some(pins.pin("link", link.fd(), path.clone())?);
        }
        tell(&said)?;
        pins.keep();
        match wanted.pin {
            Some(_) => Ok(()),
            None => hold(),
        }
    })
}
