// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: all that help, manual page and completion are made of.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use preload_loader::failure::Failure;
use preload_loader::grants::{Grants, Set};
use preload_loader::target::Target;
use preload_loader::token::Token;

use crate::lazy::{self, Lazy};
use crate::tcx::Tcx;

/// Loads BPF objects, and fills a bpffs with the listings of the preload driver.
#[derive(Debug, Parser)]
#[command(
    name = "bpf-preload",
    version,
    after_help = "Exit status: 0 if it was done, 1 if it failed (a line on stderr says why, indented ones below what else is known), 2 for wrong usage."
)]
pub(crate) struct Cli {
    /// Print JSON; a failure is {"error": "...", ...}, besides its lines on stderr
    #[arg(short, long, global = true)]
    pub(crate) json: bool,

    /// Print all of the verifier's log if it refuses a program, on stderr before the rest
    #[arg(short, long, global = true)]
    pub(crate) debug: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load all programs and maps of a BPF object file
    ///
    /// Programs in sections whose names begin with `?` are left out. Without --pin or
    /// --attach all is unloaded again at once: it was tried whether it can be loaded. Maps that
    /// declare `pinning` are shared by their names in /sys/fs/bpf, in either case.
    Load(Lazy<Load>),
    /// Mount a bpffs on DIR, unless one is there, and pin maps_debug, progs_debug, links_debug
    ///
    /// These list all BPF maps, programs and links of the machine to who reads
    /// them. No kernel module is needed. Listings that this kernel has no
    /// iterator for are left out, and named. If anything fails, DIR is as before.
    ///
    /// If a bpffs is there and delegates to this user namespace, they are loaded with its BPF
    /// token. With --userns instead, a bpffs that delegates is mounted for a container:
    /// nothing is loaded. That takes CAP_SYS_ADMIN in the initial user namespace.
    Mount(Lazy<Mount>),
    /// What BPF tokens allow, and what objects need of them
    #[command(subcommand)]
    Token(Lazy<TokenCommand>),
    /// Show what is in a BPF object file, or in an image that it was lowered to
    ///
    /// Types and flags are the numbers of linux/bpf.h.
    Dump {
        /// The object file or image
        file: PathBuf,
    },
    /// Show what each CO-RE relocation of a BPF object comes to on a kernel
    ///
    /// Nothing is loaded, and no privilege is needed.
    Relo(Lazy<Relo>),
    /// Say what this kernel can do, and of what it cannot why not
    ///
    /// Program and map types are asked for by making one of each, helpers by programs that call
    /// them; nothing stays. What else there is to attach to and to iterate is told from the
    /// kernel's BTF and configuration. A reason is one that is certain, else the kernel's errno
    /// stands alone. For people it lists the helpers that there are, -j has the others, too, with
    /// the reasons: null is yes, {"unknown": ...} neither yes nor no.
    Probe {
        #[command(flatten)]
        token: TokenArgs,
    },
    /// Attach programs to network devices in order, and see to it that they stay so
    ///
    /// tcx (Linux 6.6 and later) has two lists of programs at each device, ingress and egress.
    /// A program returns TCX_NEXT (-1) to let the next one decide, TCX_PASS (0), TCX_DROP (2) or
    /// TCX_REDIRECT (7); if the last one says TCX_NEXT, or one any other value, classic tc
    /// decides. Each change of a list counts up its revision.
    #[command(subcommand)]
    Tcx(Lazy<Tcx>),
    /// Print a completion script
    Completion {
        /// The shell that it is for
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff
    Man,
}

#[derive(Debug, Default, Args)]
pub(crate) struct Load {
    /// The object file
    pub(crate) file: PathBuf,
    /// Pin programs and maps in this directory of a bpffs, which is made if need be
    ///
    /// Names are those of the object, with `_` for each dot.
    #[arg(long, value_name = "DIR")]
    pub(crate) pin: Option<PathBuf>,
    /// Attach the programs to what the names of their sections say
    ///
    /// With --pin, links are pinned beside the programs, as PROGRAM_link; without,
    /// all stays until SIGINT or SIGTERM, and then goes. Programs that need more
    /// than a name (an interface, a cgroup) are not attached, and named. Maps of struct_ops
    /// are attached, too: by a link (MAP_link) if they are in .struct_ops.link, else as long
    /// as they are held, with --pin until `bpftool struct_ops unregister`.
    #[arg(long)]
    pub(crate) attach: bool,
    /// A function of a loaded program, that PROG is to replace or trace
    ///
    /// For programs of freplace, fentry, fexit, fmod_ret and fsession. Without FUNC
    /// it is the function that the program's section names.
    #[arg(long = "target", value_name = "PROG[:FUNC]=id:N|PATH")]
    pub(crate) targets: Vec<Target>,
    #[command(flatten)]
    pub(crate) token: TokenArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Mount {
    /// An existing directory
    pub(crate) dir: PathBuf,
    /// Mount a bpffs for this container: a process, or a user namespace by its file
    ///
    /// Of a process, DIR is what that process sees; of a user namespace, DIR is here.
    #[arg(long, value_name = "PID|PATH", requires = "delegate")]
    pub(crate) userns: Option<String>,
    #[command(flatten)]
    pub(crate) delegate: DelegateArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Relo {
    /// The object file
    pub(crate) file: PathBuf,
    /// BTF of the kernel: a file of BTF, or an ELF object with a section .BTF
    #[arg(long, value_name = "FILE", default_value = "/sys/kernel/btf/vmlinux")]
    pub(crate) btf: PathBuf,
    /// BTF of the kernel, if that of --btf is a module's (a .ko, or of /sys/kernel/btf)
    ///
    /// What the kernel has is taken from there, and only the rest from the module.
    #[arg(long, value_name = "FILE", requires = "btf")]
    pub(crate) base_btf: Option<PathBuf>,
    /// Print the relocated instructions of each program, in hexadecimal
    ///
    /// Where a map's fd would stand is -1.
    #[arg(long)]
    pub(crate) raw: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Show what the bpffs on DIR delegates, and what a token of it allows
    Show {
        /// The directory that it is mounted on
        dir: PathBuf,
    },
    /// Print the least that has to be delegated for object files to be loaded here
    Needs {
        /// The object files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// As settings of a systemd unit (since 258), not as mount options
        #[arg(long)]
        systemd: bool,
    },
}

/// What is delegated to a container.
#[derive(Debug, Args)]
#[group(id = "delegate", multiple = true, requires = "userns")]
pub(crate) struct DelegateArgs {
    /// Commands of bpf(2): names of linux/bpf.h without their prefix, joined by `:` or `,`; any
    #[arg(long, value_name = "LIST")]
    delegate_cmds: Option<String>,
    /// Types of maps
    #[arg(long, value_name = "LIST")]
    delegate_maps: Option<String>,
    /// Types of programs
    #[arg(long, value_name = "LIST")]
    delegate_progs: Option<String>,
    /// Attach types: what a program is loaded with; 0, that of most, is cgroup_inet_ingress
    #[arg(long, value_name = "LIST")]
    delegate_attachs: Option<String>,
    /// The least that this object file needs to be loaded; may be repeated
    #[arg(long = "for", value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Cli {
    /// The command line. That of a plain load, `load FILE` or `load FILE --pin DIR`, takes no
    /// parser: to describe the command to one costs memory and time, as much as a small object.
    pub(crate) fn read() -> Self {
        let args: Vec<_> = std::env::args_os().skip(1).collect();
        Cli::plain_load(&args).unwrap_or_else(Cli::parsed)
    }

    #[inline(never)]
    fn parsed() -> Self {
        Cli::parse()
    }

    fn plain_load(args: &[OsString]) -> Option<Self> {
        let (file, pin) = match args {
            [load, file] if load == "load" => (file, None),
            [load, file, pin, dir] if load == "load" && pin == "--pin" => (file, Some(dir)),
            _ => return None,
        };
        // An option, or nothing: the parser knows what to say.
        let is_path = |path: &OsString| !matches!(path.as_bytes(), [] | [b'-', ..]);
        let load = Load {
            file: is_path(file).then(|| file.into())?,
            pin: match pin {
                Some(dir) => Some(is_path(dir).then(|| dir.into())?),
                None => None,
            },
            ..Load::default()
        };
        Some(Cli {
            json: false,
            debug: false,
            command: Command::Load(load.into()),
        })
    }
}

impl DelegateArgs {
    /// All together.
    pub(crate) fn grants(&self) -> Result<Grants, Failure> {
        let mut grants = Grants::needed_by(&self.files)?;
        for (set, list) in [
            (Set::Cmds, &self.delegate_cmds),
            (Set::Maps, &self.delegate_maps),
            (Set::Progs, &self.delegate_progs),
            (Set::Attachs, &self.delegate_attachs),
        ] {
            if let Some(list) = list {
                grants.add(set, set.parse(list)?);
            }
        }
        Ok(grants)
    }
}

/// Which BPF token is to be used.
#[derive(Debug, Default, Args)]
pub(crate) struct TokenArgs {
    /// Use the BPF token of the bpffs on DIR; '' for none at all
    ///
    /// Without it, that of /sys/fs/bpf is used if it gives one. LIBBPF_BPF_TOKEN_PATH in the
    /// environment stands for this option.
    #[arg(long, value_name = "DIR")]
    token: Option<OsString>,
    /// Use the BPF token that the caller left open as FD; none if negative
    #[arg(
        long,
        value_name = "FD",
        conflicts_with = "token",
        allow_negative_numbers = true
    )]
    token_fd: Option<i32>,
}

impl TokenArgs {
    /// As the loader has it.
    pub(crate) fn token(&self) -> Token {
        match self.token_fd {
            Some(fd) => Token::Fd(fd),
            None => Token::of(self.token.as_deref().map(Path::new)),
        }
    }
}

/// The completion script for a shell.
pub(crate) fn completion(shell: clap_complete::Shell) -> Vec<u8> {
    lazy::describe_all();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bpf-preload", &mut script);
    script
}

/// The manual page, with that of each command behind it.
pub(crate) fn man() -> Result<Vec<u8>, Failure> {
    lazy::describe_all();
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    let rendered = render(&command, &mut page);
    rendered.map_err(|error| Failure::new(format!("manual page: {error}")))?;
    Ok(page)
}

/// The page of a command, and of those below it.
fn render(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    clap_mangen::Man::new(command.clone()).render(page)?;
    let mut shown = command.get_subcommands().filter(|c| c.get_name() != "help");
    shown.try_for_each(|command| render(command, page))
}
