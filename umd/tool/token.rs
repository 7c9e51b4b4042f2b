// SPDX-License-Identifier: MIT OR Apache-2.0
//! `token show DIR`, `token needs FILE.o...` and `mount DIR --userns`: what is delegated to
//! containers, what they can use of it, and what they need.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use preload_loader::delegate::Container;
use preload_loader::failure::Failure;
use preload_loader::grants::Grants;
use preload_loader::token;
use serde::Serialize;

/// Mount options, by name.
type Options = BTreeMap<&'static str, String>;

fn options(grants: &Grants) -> Options {
    grants.options().into_iter().collect()
}

/// A bpffs and its token.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    dir: PathBuf,
    delegates: Options,
    /// What a token allows to this process, if it gets one.
    #[serde(skip_serializing_if = "Option::is_none")]
    allows: Option<Options>,
    /// Why it gets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_token: Option<String>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.delegates.is_empty() {
            writeln!(f, "delegates nothing")?;
        }
        for (option, list) in &self.delegates {
            writeln!(f, "{option}={list}")?;
        }
        match (&self.allows, &self.no_token) {
            (Some(allows), _) if *allows == self.delegates => {
                writeln!(f, "token: allows this process all of it")
            }
            (Some(allows), _) => allows
                .iter()
                .try_for_each(|(option, list)| writeln!(f, "token: {option}={list}")),
            (None, why) => writeln!(f, "no token: {}", why.as_deref().unwrap_or_default()),
        }
    }
}

/// Shows what the bpffs that is mounted on a directory delegates.
pub(crate) fn show(dir: &Path) -> Result<Shown, Failure> {
    let dir = dir
        .canonicalize()
        .map_err(|error| Failure::io("look at", dir, &error))?;
    let delegates = token::delegated(&dir)?;
    let token = token::grants_of(&dir);
    Ok(Shown {
        delegates: options(&delegates),
        allows: token.as_ref().ok().map(options),
        no_token: token.err().map(|failure| failure.to_string()),
        dir,
    })
}

/// What objects need.
#[derive(Debug, Serialize)]
pub(crate) struct Needs {
    #[serde(flatten)]
    options: Options,
    #[serde(skip)]
    grants: Grants,
    #[serde(skip)]
    systemd: bool,
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.systemd {
            return writeln!(f, "{}", self.grants);
        }
        let (lines, unsaid) = self.grants.systemd();
        lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        unsaid
            .iter()
            .try_for_each(|option| writeln!(f, "# systemd has no word for {option}"))
    }
}

/// The least that object files need.
pub(crate) fn needs(files: &[PathBuf], systemd: bool) -> Result<Needs, Failure> {
    let grants = Grants::needed_by(files)?;
    Ok(Needs {
        options: options(&grants),
        grants,
        systemd,
    })
}

/// A bpffs mounted for a container.
#[derive(Debug, Serialize)]
pub(crate) struct Delegated {
    dir: PathBuf,
    container: String,
    delegates: Options,
}

impl fmt::Display for Delegated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.delegates
            .iter()
            .try_for_each(|(option, list)| writeln!(f, "{option}={list}"))
    }
}

/// Mounts a bpffs that delegates to a container.
pub(crate) fn delegate(
    dir: &Path,
    container: &str,
    grants: &Grants,
    tell: impl FnOnce(&Delegated) -> Result<(), Failure>,
) -> Result<(), Failure> {
    Container::open(container)?.mount(dir, grants)?;
    let told = tell(&Delegated {
        dir: dir.to_owned(),
        container: container.to_owned(),
        delegates: options(grants),
    });
    // In the container nobody here can unmount it.
    told.map_err(|failure| failure.because("the bpffs is mounted all the same"))
}
