//! A node of its own for the benches.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::environment::Environment;

/// A running node over an empty folder; both are gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    data: TempDir,
    /// Flight address, as a `grpc://` URL.
    pub(crate) uri: String,
    /// Access token of the administrator.
    pub(crate) token: String,
}

impl Node {
    pub(crate) fn start(environment: &Environment) -> Result<Self> {
        Self::start_with(environment, &[])
    }

    /// A node with settings out of environment variables.
    pub(crate) fn start_with(environment: &Environment, settings: &[(&str, &str)]) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("jetway-bench-").tempdir()?;
        let mut child = Command::new(&environment.jetway)
            .args([
                "serve",
                "--http-address",
                "127.0.0.1:0",
                "--flight-address",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(data.path())
            .env("JETWAY_ADMIN_PASSWORD", "only for this bench")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the node")?;
        let output = child.stdout.take().context("the node has no output")?;
        let mut uri = None;
        for line in BufReader::new(output).lines() {
            if let Some(address) = line?.split_whitespace().find_map(|word| word.strip_prefix("flight=")) {
                uri = Some(address.to_owned());
                break;
            }
        }
        let uri = uri.context("the node ended before it was ready")?;
        let made = Command::new(&environment.jetway)
            .args(["token", "create", "--account", "admin", "--name", "bench", "--data-dir"])
            .arg(data.path())
            .output()?;
        if !made.status.success() {
            bail!("no token: {}", String::from_utf8_lossy(&made.stderr));
        }
        let token = String::from_utf8(made.stdout)?;
        let token = token
            .split_whitespace()
            .find(|word| word.starts_with("jw_"))
            .context("no token was printed")?;
        Ok(Self {
            child,
            token: token.to_owned(),
            data,
            uri,
        })
    }

    /// The folder of its state and datasets.
    pub(crate) fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Memory that the node has resident, in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// Most memory that the node had resident since it started or since the last reset, in MiB.
    pub(crate) fn peak_memory(&self) -> Result<f64> {
        self.status("VmHWM:")
    }

    /// A size that the system knows about the process, in MiB.
    fn status(&self, name: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .with_context(|| format!("the system tells no {name}"))?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    /// Lets the peak start again from what is resident now.
    pub(crate) fn reset_peak(&self) -> Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// Folder of the dataset with a name.
    pub(crate) fn dataset(&self, name: &str) -> Result<PathBuf> {
        let is_it = |folder: &PathBuf| {
            let alias = std::fs::read_to_string(folder.join("info/alias")).unwrap_or_default();
            alias.trim().rsplit('/').next() == Some(name)
        };
        self.datasets()?
            .into_iter()
            .find(is_it)
            .with_context(|| format!("there is no dataset {name}"))
    }

    /// Folders of all datasets.
    pub(crate) fn datasets(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut folders = vec![self.data.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.join("refs/head").is_file() {
                    found.push(path);
                } else if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        Ok(found)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The folder goes with it, so nothing is lost by ending it at once.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
