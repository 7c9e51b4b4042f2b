// SPDX-License-Identifier: MIT OR Apache-2.0
//! `bpf-preload`, the host tool: the driver's executor, for people.
//!
//! Knows the command line and words; what an object means is lowering's, what
//! the kernel is asked for the executor's. Each command is a module: it returns
//! what to print, or prints it before it keeps what it has made, or fails with one
//! line that says what went wrong.
#![no_main]

mod cli;
mod dump;
mod explain;
mod interrupt;
mod lazy;
mod load;
mod mount;
mod output;
mod pages;
mod probe;
mod relo;
mod start;
mod tcx;
mod token;

use cli::{Cli, Command, TokenCommand};
use interrupt::Interrupt;
use preload_loader::failure::Failure;

/// All of it; the exit status.
fn tool() -> u8 {
    pages::let_go();
    let cli = Cli::read();
    let done = run(&cli);
    let Err(failure) = done else {
        return 0;
    };
    output::failed(&failure, cli.json, cli.debug);
    1
}

fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::Load(args) => {
            let interrupt = Interrupt::hold_back()?;
            let tell = |said: &_| interrupt.print(output::text(said, cli.json)?.as_bytes());
            let hold = || interrupt.wait();
            load::load(
                &args.file,
                args.pin.as_deref(),
                &args.targets,
                args.attach.then_some(hold),
                &args.token.token(),
                tell,
            )
        }
        Command::Mount(args) => match &args.userns {
            Some(container) => {
                let interrupt = Interrupt::hold_back()?;
                let tell = |said: &_| interrupt.print(output::text(said, cli.json)?.as_bytes());
                let grants = args.delegate.grants()?;
                interrupt.check()?;
                token::delegate(&args.dir, container, &grants, tell)
            }
            None => {
                let interrupt = Interrupt::hold_back()?;
                let tell = |said: &_| interrupt.print(output::text(said, cli.json)?.as_bytes());
                mount::mount(&args.dir, tell)
            }
        },
        Command::Token(command) => match &**command {
            TokenCommand::Show { dir } => output::print(&token::show(dir)?, cli.json),
            TokenCommand::Needs { files, systemd } => {
                output::print(&token::needs(files, *systemd)?, cli.json)
            }
        },
        Command::Dump { file } => output::print(&dump::dump(file)?, cli.json),
        Command::Relo(args) => {
            let said = relo::relo(&args.file, &args.btf, args.base_btf.as_deref(), args.raw)?;
            output::print(&said, cli.json)
        }
        Command::Probe { token } => output::print(&probe::probe(&token.token())?, cli.json),
        Command::Tcx(command) => tcx::run(command, cli.json),
        Command::Completion { shell } => output::bytes(&cli::completion(*shell)),
        Command::Man => output::bytes(&cli::man()?),
    }
}
