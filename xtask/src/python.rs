//! Python environments, one per purpose, made from a requirements file and remade when it changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::{Workspace, cache_dir};

/// What the Arrow packages in `examples/requirements.txt` ask for.
const OLDEST: (u32, u32) = (3, 11);

/// A Python environment that has everything its requirements file names.
#[derive(Debug)]
pub(crate) struct Python {
    home: PathBuf,
}

impl Python {
    /// Makes the environment, or finds it as it was made before.
    ///
    /// # Errors
    /// When there is no usable Python, or a package cannot be installed.
    pub(crate) fn prepare(workspace: &Workspace, name: &str, requirements: &str) -> Result<Self> {
        let python = Self {
            home: cache_dir()?.join(format!("venv-{name}")),
        };
        let system = find()?;
        let wanted = stamp(&system, &workspace.root().join(requirements))?;
        let made = python.home.join("made-from");
        if fs::read_to_string(&made).is_ok_and(|text| text == wanted) {
            return Ok(python);
        }
        process::run(
            Command::new(&system.program)
                .args(["-m", "venv", "--clear"])
                .arg(&python.home),
        )
        .context("Python cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)")?;
        process::run(
            Command::new(python.program("python"))
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
                .arg(workspace.root().join(requirements)),
        )
        .with_context(|| format!("cannot install what {requirements} names; is the Python package index reachable?"))?;
        // Last, so that an interrupted installation is made anew.
        fs::write(&made, wanted)?;
        Ok(python)
    }

    /// The path of a program inside the environment.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }
}

/// A Python that is new enough, somewhere on `PATH`.
#[derive(Debug)]
pub(crate) struct SystemPython {
    program: String,
    version: String,
}

/// Looks for a Python of at least version 3.11.
///
/// # Errors
/// When there is none; the message says what was found instead.
pub(crate) fn find() -> Result<SystemPython> {
    let mut found = Vec::new();
    for program in ["python3", "python3.14", "python3.13", "python3.12", "python3.11"] {
        let Ok(version) =
            process::output(Command::new(program).args(["-c", "import sys; print(*sys.version_info[:3])"]))
        else {
            continue;
        };
        if parse(&version).is_some_and(|version| version >= OLDEST) {
            return Ok(SystemPython {
                program: program.to_owned(),
                version,
            });
        }
        found.push(format!("{program} is {}", version.replace(' ', ".")));
    }
    let (major, minor) = OLDEST;
    let found = if found.is_empty() {
        "none was found".to_owned()
    } else {
        found.join(", ")
    };
    bail!("Python {major}.{minor} or newer is needed ({found}): install it and put it on PATH")
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(' ').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// What the environment depends on: the interpreter, and the requirements with the files that they include.
fn stamp(python: &SystemPython, requirements: &Path) -> Result<String> {
    let text = fs::read_to_string(requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let mut stamp = format!("{} {}\n{text}", python.program, python.version);
    let directory = requirements.parent().context("a requirements file lies in a folder")?;
    for included in text.lines().filter_map(|line| line.strip_prefix("-r ")) {
        let path = directory.join(included.trim());
        stamp += &fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(stamp)
}
