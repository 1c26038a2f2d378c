//! The Python client and the Python peer.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::environment::Environment;

/// What the client measured.
#[derive(Debug, Deserialize)]
pub(crate) struct Measured {
    pub(crate) seconds: Vec<f64>,
    #[serde(default)]
    pub(crate) rows: u64,
    #[serde(default)]
    pub(crate) bytes: u64,
    #[serde(default)]
    pub(crate) messages: u64,
}

impl Measured {
    /// The run that half of the others were faster than.
    pub(crate) fn median(&self) -> f64 {
        percentile(&self.seconds, 0.5)
    }
}

/// The value below which a share of the others lies.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python/client.py")
}

/// Runs the client to its end.
pub(crate) fn measure(environment: &Environment, what: &str, arguments: &[(&str, &str)]) -> Result<Measured> {
    let output = command(environment, what, arguments)
        .output()
        .context("cannot start Python")?;
    if !output.status.success() {
        bail!("{what} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Pushes the Parquet files of a folder to a node, as datasets with their names.
pub(crate) fn load(environment: &Environment, uri: &str, token: &str, folder: &Path) -> Result<()> {
    let folder = folder.to_string_lossy();
    measure(
        environment,
        "load",
        &[("uri", uri), ("token", token), ("file", &folder)],
    )?;
    Ok(())
}

/// Starts DuckDB, see `duck.py`.
pub(crate) fn duck(environment: &Environment) -> Result<Child> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/duck.py");
    Command::new(&environment.python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start Python")
}

fn command(environment: &Environment, what: &str, arguments: &[(&str, &str)]) -> Command {
    let mut command = Command::new(&environment.python);
    command.arg(script()).arg(what);
    for (name, value) in arguments {
        command.arg(format!("--{name}")).arg(value);
    }
    command
}

/// The server that holds a result in memory. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    _input: ChildStdin,
    pub(crate) uri: String,
}

impl Peer {
    pub(crate) fn start(environment: &Environment, arguments: &[(&str, &str)]) -> Result<Self> {
        let mut child = command(environment, "serve", arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("the peer has no input")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("the peer has no output")?).read_line(&mut line)?;
        let started: serde_json::Value = serde_json::from_str(&line).context("the peer did not start")?;
        let uri = started
            .get("uri")
            .and_then(|uri| uri.as_str())
            .context("the peer has no address")?
            .to_owned();
        Ok(Self {
            child,
            _input: input,
            uri,
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
