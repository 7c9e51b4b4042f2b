// SPDX-License-Identifier: MIT OR Apache-2.0
//! `tcx`: ordered programs at a network device. What the words of the command line mean
//! is here; each command has a module.

mod attach;
mod change;
mod show;
mod verify;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use bpf_preload_umd::sys::linux::Linux;
use clap::{Args, Subcommand, ValueEnum};
use preload_loader::failure::{Failure, line};
use preload_loader::netdev::{self, Device};
use preload_loader::prog_name;
use preload_loader::tcx::{Anchor, Chain, Direction, Entry, Hook, Link, Revision};

use crate::interrupt::Interrupt;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Tcx {
    /// Attach a program of an object file
    ///
    /// A link holds it: pinned, or held by this command, which then stays until a signal
    /// ends it. So nobody detaches or replaces it by mistake, and it goes with its owner.
    Attach(Attach),
    /// Show what is attached, in the order in which it is asked
    ///
    /// Behind it stand the filters of classic tc, which are asked about those packets for
    /// which tcx has no verdict.
    Show {
        /// One device; otherwise all of this network namespace
        interface: Option<String>,
    },
    /// Put a program of an object file in the place of one that is attached
    ///
    /// If a link holds that one, the link must be named (link:ID, or the path of a pin), and
    /// must still run the program that it ran just before.
    Replace {
        #[command(flatten)]
        at: At,
        /// What to replace: a program (ID or NAME), link:ID, or the path of a pinned link
        target: Target,
        #[command(flatten)]
        object: Object,
        /// Only if the list has this revision; for programs that no link holds
        #[arg(long, value_name = "N")]
        revision: Option<Revision>,
    },
    /// Detach what is attached
    ///
    /// If a link holds it, the link must be named. By the path of its pin, that goes, too.
    Detach {
        #[command(flatten)]
        at: At,
        /// What to detach: a program (ID or NAME), link:ID, or the path of a pinned link
        target: Target,
        /// Only if the list has this revision; for programs that no link holds
        #[arg(long, value_name = "N")]
        revision: Option<Revision>,
    },
    /// Compare a list with the one wished for: exit status 0 if it is that, 1 if not
    Verify {
        #[command(flatten)]
        at: At,
        /// What is to be attached, in this order: ID, NAME, link:ID, or the path of a pinned link
        wish: Vec<Target>,
        /// The list must have this revision, too
        #[arg(long, value_name = "N")]
        revision: Option<Revision>,
    },
}

/// A list of a device.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The device, by its name in this network namespace
    interface: String,
    /// Which of its lists
    direction: Side,
}

#[derive(Debug, Args)]
pub(crate) struct Attach {
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    object: Object,
    #[command(flatten)]
    place: Place,
    /// Only if the list has this revision: so nothing has changed since it was looked at
    #[arg(long, value_name = "N")]
    revision: Option<Revision>,
    /// Pin the link at this path in a bpffs, instead of staying
    #[arg(long, value_name = "PATH")]
    pin: Option<PathBuf>,
    /// Without a link: it stays until anybody detaches it, or the device goes
    #[arg(long, conflicts_with = "pin")]
    no_link: bool,
}

/// Where in the list; last if nothing is said.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Place {
    /// Directly before this one: ID, NAME, link:ID, or the path of a pinned link
    #[arg(long, value_name = "ONE")]
    before: Option<Target>,
    /// Directly after this one
    #[arg(long, value_name = "ONE")]
    after: Option<Target>,
    /// Before all others
    #[arg(long)]
    first: bool,
    /// After all others
    #[arg(long)]
    last: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Object {
    /// The object file
    file: PathBuf,
    /// Which of its programs, if it has several for this list
    ///
    /// Those are in sections tcx/ingress or tcx/egress, as the direction is, tc or classifier.
    program: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Side {
    /// What the device has received
    Ingress,
    /// What it is about to send
    Egress,
}

/// What is attached already, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Prog(u32),
    Link(u32),
    Name(String),
    Pin(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let number = |digits: &str| match digits.parse() {
            Ok(id) if id > 0 => Ok(id),
            _ => Err(format!("{digits}: not an id")),
        };
        if let Some(id) = word.strip_prefix("link:") {
            return number(id).map(Target::Link);
        }
        if word.contains('/') {
            return Ok(Target::Pin(word.into()));
        }
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return number(word).map(Target::Prog);
        }
        match word {
            "" => Err("empty".into()),
            word => Ok(Target::Name(word.into())),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Prog(id) => write!(f, "prog {id}"),
            Target::Link(id) => write!(f, "link {id}"),
            Target::Name(name) => write!(f, "prog {}", line(name)),
            Target::Pin(path) => write!(f, "link {}", line(path.display())),
        }
    }
}

/// A list, and how people call it.
struct List {
    device: Device,
    hook: Hook,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.device.name, self.hook.direction.name())
    }
}

impl List {
    fn of(device: Device, direction: Direction) -> Self {
        let ifindex = device.ifindex;
        List {
            device,
            hook: Hook { ifindex, direction },
        }
    }

    fn find(at: &At) -> Result<Self, Failure> {
        let direction = match at.direction {
            Side::Ingress => Direction::Ingress,
            Side::Egress => Direction::Egress,
        };
        Ok(Self::of(netdev::device(&at.interface)?, direction))
    }

    fn query(&self) -> Result<Chain, Failure> {
        let queried = self.hook.query(&Linux);
        queried.map_err(|error| error.with_step(format!("query {self}")).into())
    }

    /// The one entry that is meant.
    fn entry(&self, chain: &Chain, target: &Target) -> Result<Entry, Failure> {
        let absent = || Failure::new(format!("{self}: {target} is not attached there"));
        let by_link = |id: u32| {
            let is = |entry: &&Entry| entry.link_id.is_some_and(|link| link.get() == id);
            chain.entries.iter().find(is).copied().ok_or_else(absent)
        };
        match target {
            Target::Prog(id) => {
                let found = chain.entries.iter().find(|entry| entry.prog_id == *id);
                found.copied().ok_or_else(absent)
            }
            Target::Link(id) => by_link(*id),
            Target::Pin(path) => by_link(Link::pinned(&Linux, path)?.info()?.id),
            Target::Name(name) => {
                let called =
                    |entry: &&Entry| prog_name::of_id(&Linux, entry.prog_id).as_ref() == Some(name);
                let found: Vec<&Entry> = chain.entries.iter().filter(called).collect();
                match found[..] {
                    [entry] => Ok(*entry),
                    [] => Err(absent()),
                    _ => {
                        let what = "is the name of several that are attached there: name an id";
                        Err(Failure::new(format!("{self}: {} {what}", line(name))))
                    }
                }
            }
        }
    }

    /// The same, as an anchor: by the link, if that was named.
    fn anchor(&self, chain: &Chain, target: &Target) -> Result<Anchor, Failure> {
        let entry = self.entry(chain, target)?;
        Ok(match (target, entry.link_id) {
            (Target::Link(_) | Target::Pin(_), Some(id)) => Anchor::LinkId(id.get()),
            _ => Anchor::ProgId(entry.prog_id),
        })
    }
}

pub(crate) fn run(command: &Tcx, json: bool) -> Result<(), Failure> {
    match command {
        Tcx::Attach(wanted) => {
            let interrupt = Interrupt::hold_back()?;
            let tell = |said: &_| interrupt.print(output::text(said, json)?.as_bytes());
            attach::attach(wanted, tell, || interrupt.wait())
        }
        Tcx::Show { interface } => output::print(&show::show(interface.as_deref())?, json),
        Tcx::Replace {
            at,
            target,
            object,
            revision,
        } => output::print(&change::replace(at, target, object, *revision)?, json),
        Tcx::Detach {
            at,
            target,
            revision,
        } => output::print(&change::detach(at, target, *revision)?, json),
        Tcx::Verify { at, wish, revision } => {
            output::print(&verify::verify(at, wish, *revision)?, json)
        }
    }
}
