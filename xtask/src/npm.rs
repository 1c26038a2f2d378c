//! Programs from npm, as a lock file says, installed again when that changes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::{Workspace, cache_dir};

/// What the packages ask for.
const OLDEST: u32 = 20;

/// A folder with the packages of one lock file.
#[derive(Debug)]
pub(crate) struct Npm {
    home: PathBuf,
}

impl Npm {
    /// Installs what `folder` of the checkout locks, or finds it as it was installed before.
    ///
    /// # Errors
    /// When there is no Node.js that is new enough, or a package cannot be installed.
    pub(crate) fn prepare(workspace: &Workspace, name: &str, folder: &str) -> Result<Self> {
        let npm = Self {
            home: cache_dir()?.join(format!("npm-{name}")),
        };
        let node = find()?;
        let source = workspace.root().join(folder);
        let read = |file: &str| {
            let path = source.join(file);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let (package, lock) = (read("package.json")?, read("package-lock.json")?);
        let wanted = format!("{node}\n{package}\n{lock}");
        let made = npm.home.join("made-from");
        if fs::read_to_string(&made).is_ok_and(|text| text == wanted) {
            return Ok(npm);
        }
        fs::create_dir_all(&npm.home).with_context(|| format!("cannot create {}", npm.home.display()))?;
        fs::write(npm.home.join("package.json"), package)?;
        fs::write(npm.home.join("package-lock.json"), lock)?;
        process::run(
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
                .current_dir(&npm.home),
        )
        .with_context(|| {
            format!("cannot install what {folder}/package-lock.json names; is the npm registry reachable?")
        })?;
        // Last, so that an interrupted installation is made anew.
        fs::write(&made, wanted)?;
        Ok(npm)
    }

    /// The path of a program that a package brings.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.modules().join(".bin").join(name)
    }

    /// The folder in which Node.js finds the packages.
    pub(crate) fn modules(&self) -> PathBuf {
        self.home.join("node_modules")
    }
}

/// The version of Node.js on `PATH`.
fn find() -> Result<String> {
    let wanted = format!(
        "Node.js {OLDEST} or newer with npm is needed for the tests (Azure's emulator and the JavaScript client)"
    );
    let Ok(version) = process::output(Command::new("node").arg("--version")) else {
        bail!("{wanted}: install it and put it on PATH");
    };
    if major(&version).is_none_or(|major| major < OLDEST) {
        bail!("{wanted}, but `node` is {version}: install a newer one and put it on PATH");
    }
    if process::output(Command::new("npm").arg("--version")).is_err() {
        bail!("{wanted}, but there is no `npm`: install it (on Debian and Ubuntu: apt install npm) and put it on PATH");
    }
    Ok(version)
}

/// Of a version such as `v20.20.2`.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
