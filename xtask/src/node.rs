//! A node that the chores start, watch and stop.

use std::env;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process;

/// How long a node may take to open its ports: it recovers what an earlier stop left behind first.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Where a node listens, as it said itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) http: String,
    pub(crate) flight: String,
}

/// A running `jetway serve`, stopped with SIGTERM when dropped.
#[derive(Debug)]
pub(crate) struct Node {
    program: PathBuf,
    data_dir: PathBuf,
    child: Child,
    addresses: Addresses,
}

impl Node {
    /// Starts a node and waits until it serves. What it prints goes on to this program's output.
    ///
    /// # Errors
    /// When it ends or stays silent instead of getting ready.
    pub(crate) fn start(program: &Path, data_dir: &Path, http_port: u16, flight_port: u16) -> Result<Self> {
        let mut command = Command::new(program);
        if env::var_os("JETWAY_LOG").is_none() && env::var_os("RUST_LOG").is_none() {
            // What a chore says of its own progress must not drown in what the node logs of every call.
            command.env("JETWAY_LOG", "warn");
        }
        let mut child = command
            .arg("serve")
            .arg("--data-dir")
            .arg(data_dir)
            .args(["--http-address", &format!("127.0.0.1:{http_port}")])
            .args(["--flight-address", &format!("127.0.0.1:{flight_port}")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Its own group: Ctrl-C reaches this program alone, which asks the node to stop in its own time.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("the node's output is a pipe")?;
        let (sender, ready) = mpsc::channel();
        thread::spawn(move || forward(BufReader::new(output), &sender));
        let outcome = ready.recv_timeout(START_LIMIT);
        let mut node = Self {
            program: program.to_owned(),
            data_dir: data_dir.to_owned(),
            child,
            addresses: Addresses {
                http: String::new(),
                flight: String::new(),
            },
        };
        match outcome {
            Ok(addresses) => node.addresses = addresses,
            Err(RecvTimeoutError::Timeout) => bail!("the node was not ready after {} s", START_LIMIT.as_secs()),
            Err(RecvTimeoutError::Disconnected) => {
                let status = node.child.wait()?;
                bail!("the node did not start ({status}): see what it printed above");
            }
        }
        Ok(node)
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Creates an access token of the administrator that lasts as long as the node's data.
    ///
    /// # Errors
    /// When `jetway token create` fails, for instance because there is a token of that name.
    pub(crate) fn create_token(&self, name: &str) -> Result<String> {
        process::output(
            Command::new(&self.program)
                .args([
                    "token",
                    "create",
                    "--account",
                    "admin",
                    "--expires",
                    "never",
                    "--name",
                    name,
                ])
                .arg("--data-dir")
                .arg(&self.data_dir),
        )
    }

    /// Ends a token of the administrator; it need not be there.
    pub(crate) fn revoke_token(&self, name: &str) {
        let _not_there = process::output(
            Command::new(&self.program)
                .args(["token", "revoke", "--account", "admin", "--name", name])
                .arg("--data-dir")
                .arg(&self.data_dir),
        );
    }

    /// The id by which the node can be asked to stop.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the node ends.
    ///
    /// # Errors
    /// When the operating system cannot tell.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().context("cannot wait for the node")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            terminate(self.child.id());
            let _ended = self.child.wait();
        }
    }
}

/// Asks a process to stop in its own time.
pub(crate) fn terminate(id: u32) {
    let _status = Command::new("kill").args(["-TERM", &id.to_string()]).status();
}

/// The first free port from `wanted` upwards.
///
/// # Errors
/// When a hundred ports in a row are taken.
pub(crate) fn free_port(wanted: u16) -> Result<u16> {
    let mut ports = wanted..=wanted.saturating_add(100);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .with_context(|| format!("no port is free between {wanted} and {}", wanted.saturating_add(100)))
}

fn forward(output: impl BufRead, ready: &Sender<Addresses>) {
    for line in output.lines().map_while(Result::ok) {
        match addresses(&line) {
            // Nobody listens any more when the node is restarted by itself; its output still goes on.
            Some(addresses) => drop(ready.send(addresses)),
            None => println!("{line}"),
        }
    }
}

/// Reads `jetway ready http=http://host:port flight=grpc://host:port`.
fn addresses(line: &str) -> Option<Addresses> {
    let fields = line
        .strip_prefix("jetway ready ")?
        .split(' ')
        .filter_map(|field| field.split_once('='));
    let field = |name| {
        fields
            .clone()
            .find(|(key, _value)| *key == name)
            .map(|(_key, value)| value.to_owned())
    };
    Some(Addresses {
        http: field("http")?,
        flight: field("flight")?,
    })
}

#[cfg(test)]
mod tests;
