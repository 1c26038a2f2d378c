//! Where things are: the checkout, cargo's output, and what is kept between checkouts.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The checkout that the chores work on.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// Finds the checkout this program was built from.
    ///
    /// # Errors
    /// When cargo did not start this program, so that nothing says where the checkout is.
    pub(crate) fn locate() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .context("start this program as `cargo xtask`, from inside the checkout")?;
        let root = Path::new(&manifest)
            .parent()
            .context("xtask/ lies directly in the checkout")?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where cargo puts what it builds. In CI it lies outside the checkout, so that the next run finds it again.
    pub(crate) fn target_dir(&self) -> Result<PathBuf> {
        match env::var_os("CARGO_TARGET_DIR") {
            Some(directory) => Ok(self.root.join(directory)),
            None if is_ci() => Ok(cache_dir()?.join("target")),
            None => Ok(self.root.join("target")),
        }
    }

    /// `cargo`, the same one that started this program, in the checkout.
    pub(crate) fn cargo(&self, subcommand: &str) -> Result<Command> {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.arg(subcommand).current_dir(&self.root);
        command.env("CARGO_TARGET_DIR", self.target_dir()?);
        // What cargo told this program about itself must not reach the builds that it starts: build scripts, ring's for one,
        // watch these variables, so that half of the workspace would compile anew on each change between xtask and cargo.
        for (name, _value) in env::vars_os() {
            let text = name.to_string_lossy();
            if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
                .iter()
                .any(|own| text.starts_with(own))
            {
                command.env_remove(&name);
            }
        }
        if is_ci() {
            command.env("CARGO_INCREMENTAL", "0");
        }
        Ok(command)
    }
}

/// `$XDG_CACHE_HOME/jetway`, or `~/.cache/jetway`: shared by all checkouts, safe to delete.
///
/// # Errors
/// When neither `XDG_CACHE_HOME` nor `HOME` is set.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    if let Some(cache) = env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(cache).join("jetway"));
    }
    let home = env::var_os("HOME").context("set HOME (or XDG_CACHE_HOME): the Python environments are kept there")?;
    Ok(PathBuf::from(home).join(".cache").join("jetway"))
}

fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|value| !value.is_empty())
}
