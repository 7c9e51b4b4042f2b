// SPDX-License-Identifier: MIT OR Apache-2.0
//! Arguments that are described to the parser when their command is called, or shown: to
//! describe those of all commands would take as long as a small load.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Subcommand};

/// Arguments, or the commands below a command.
#[derive(Debug)]
pub(crate) struct Lazy<T>(T);

impl<T> Deref for Lazy<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Lazy<T> {
    fn from(args: T) -> Self {
        Lazy(args)
    }
}

impl<T: FromArgMatches> FromArgMatches for Lazy<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Lazy)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// Is all to be described at once?
static AT_ONCE: AtomicBool = AtomicBool::new(false);

/// From here on all is described at once: for who shows it.
pub(crate) fn describe_all() {
    AT_ONCE.store(true, Ordering::Relaxed);
}

fn describe(command: Command, how: fn(Command) -> Command) -> Command {
    match AT_ONCE.load(Ordering::Relaxed) {
        true => how(command),
        false => command.defer(how),
    }
}

/// What is said of the command outlasts what is said of groups of its arguments.
fn keep_about(command: Command, describe: impl FnOnce(Command) -> Command) -> Command {
    let about = command.get_about().cloned();
    let long_about = command.get_long_about().cloned();
    let none = None::<&'static str>;
    let command = describe(command);
    let command = match about {
        Some(about) => command.about(about),
        None => command.about(none),
    };
    match long_about {
        Some(long_about) => command.long_about(long_about),
        None => command.long_about(none),
    }
}

impl<T: Args> Args for Lazy<T> {
    fn augment_args(command: Command) -> Command {
        describe(command, |command| keep_about(command, T::augment_args))
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: Subcommand> Subcommand for Lazy<T> {
    fn augment_subcommands(command: Command) -> Command {
        describe(command, |command| {
            keep_about(command, T::augment_subcommands)
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        T::augment_subcommands_for_update(command)
    }

    fn has_subcommand(name: &str) -> bool {
        T::has_subcommand(name)
    }
}
