// SPDX-License-Identifier: MIT OR Apache-2.0
//! `bpf-preload`, the host tool: the driver's executor, for people.
//!
//! Knows the command line and words; what an object means is lowering's, what
//! the kernel is asked for the executor's. Each command is a module: it returns
//! what to print, or prints it before it keeps what it has made, or fails with one
//! line that says what went wrong.

mod cli;
mod dump;
mod explain;
mod interrupt;
mod load;
mod mount;
mod output;
mod probe;
mod relo;
mod tcx;
mod token;

use std::process::ExitCode;

use clap::Parser as _;

use cli::{Cli, Command, TokenCommand};
use interrupt::Interrupt;
use preload_loader::failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = run(&cli);
    let Err(failure) = done else {
        return ExitCode::SUCCESS;
    };
    output::failed(&failure, cli.json, cli.debug);
    ExitCode::FAILURE
}

fn run(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        Command::Load {
            file,
            pin,
            attach,
            targets,
            token,
        } => {
            let interrupt = Interrupt::hold_back()?;
            let tell = |said: &_| interrupt.print(output::text(said, cli.json)?.as_bytes());
            let hold = || interrupt.wait();
            let token = token.token();
            load::load(
                file,
                pin.as_deref(),
                targets,
                attach.then_some(hold),
                &token,
                tell,
            )
        }
        Command::Mount {
            dir,
            userns: Some(container),
            delegate,
        } => token::delegate(dir, container, &delegate.grants()?, |said| {
            output::print(said, cli.json)
        }),
        Command::Mount { dir, .. } => {
            let interrupt = Interrupt::hold_back()?;
            let tell = |said: &_| interrupt.print(output::text(said, cli.json)?.as_bytes());
            mount::mount(dir, tell)
        }
        Command::Token { command } => match command {
            TokenCommand::Show { dir } => output::print(&token::show(dir)?, cli.json),
            TokenCommand::Needs { files, systemd } => {
                output::print(&token::needs(files, *systemd)?, cli.json)
            }
        },
        Command::Dump { file } => output::print(&dump::dump(file)?, cli.json),
        Command::Relo {
            file,
            btf,
            base_btf,
            raw,
        } => {
            let said = relo::relo(file, btf, base_btf.as_deref(), *raw)?;
            output::print(&said, cli.json)
        }
        Command::Probe => output::print(&probe::probe()?, cli.json),
        Command::Tcx(command) => tcx::run(command, cli.json),
        Command::Completion { shell } => output::bytes(&cli::completion(*shell)),
        Command::Man => output::bytes(&cli::man()?),
    }
}
