//! `cargo xtask up`: from a fresh checkout to a node with data in it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::compile::{self, Profile};
use crate::node::{self, Node};
use crate::process;
use crate::python::{self, Python};
use crate::workspace::Workspace;

const HTTP_PORT: u16 = 8080;
const FLIGHT_PORT: u16 = 50050;
/// A build of everything takes about this much.
const NEEDED_GIB: u64 = 8;
const TOKEN_NAME: &str = "cargo-xtask-up";

/// Builds, starts, loads, and stays until Ctrl-C.
///
/// # Errors
/// When something that is needed is missing, or a step fails.
pub(crate) fn run(workspace: &Workspace, data_dir: &Path, demo: bool) -> Result<()> {
    check(workspace, demo)?;
    let data_dir = env::current_dir()?.join(data_dir);

    // The packages come over the network while the compiler keeps the cores busy.
    let (program, python) = thread::scope(|scope| -> Result<_> {
        let python = demo.then(|| scope.spawn(|| Python::prepare(workspace, "examples", "examples/requirements.txt")));
        println!("Building Jetway");
        let [program] = compile::build(workspace, ["jetway"], Profile::Dev)?;
        let python = match python.map(thread::ScopedJoinHandle::join) {
            Some(Ok(python)) => Some(python?),
            Some(Err(_panic)) => bail!("preparing Python stopped unexpectedly"),
            None => None,
        };
        Ok((program, python))
    })?;

    println!("Starting a node on {}", data_dir.display());
    let mut node = start(&program, &data_dir)?;
    let stopping = stop_on_signal(node.id())?;
    let outcome = introduce(workspace, &node, &data_dir, python.as_ref());
    if let Err(error) = outcome
        && !stopping.load(Ordering::SeqCst)
    {
        return Err(error);
    }
    let status = node.wait()?;
    if !status.success() && !stopping.load(Ordering::SeqCst) {
        bail!("the node ended by itself ({status}): see what it printed above");
    }
    Ok(())
}

/// Says what is missing before anything slow begins.
fn check(workspace: &Workspace, demo: bool) -> Result<()> {
    if process::output(Command::new("cc").arg("--version")).is_err() {
        bail!("a C compiler is needed to link Rust programs (on Debian and Ubuntu: apt install build-essential)");
    }
    if demo {
        python::find().context("the demo data is loaded by Python; `cargo xtask up --no-demo` does without")?;
    }
    let target = workspace.target_dir()?;
    fs::create_dir_all(&target).with_context(|| format!("cannot create {}", target.display()))?;
    let built = target.join("debug").join("jetway").exists();
    match free_gib(&target) {
        Some(free) if free < NEEDED_GIB && !built => bail!(
            "building needs about {NEEDED_GIB} GiB in {}, and {free} GiB are free: \
             free some, or set CARGO_TARGET_DIR to a folder on another disk",
            target.display()
        ),
        _ => Ok(()),
    }
}

/// Free space where `directory` is; `None` where `df` does not tell.
fn free_gib(directory: &Path) -> Option<u64> {
    let table = process::output(Command::new("df").arg("-Pk").arg(directory)).ok()?;
    let kib: u64 = table.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib >> 20)
}

fn start(program: &Path, data_dir: &Path) -> Result<Node> {
    let http = node::free_port(HTTP_PORT)?;
    let flight = node::free_port(FLIGHT_PORT)?;
    for (wanted, taken) in [(HTTP_PORT, http), (FLIGHT_PORT, flight)] {
        if wanted != taken {
            println!("   port {wanted} is taken by another program; using {taken}");
        }
    }
    Node::start(program, data_dir, http, flight)
}

/// From now on Ctrl-C, and a polite kill, ask the node to stop.
fn stop_on_signal(node: u32) -> Result<Arc<AtomicBool>> {
    let stopping = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stopping);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen for Ctrl-C")?;
    thread::spawn(move || {
        for _signal in signals.forever() {
            flag.store(true, Ordering::SeqCst);
            println!("\nStopping the node");
            node::terminate(node);
        }
    });
    Ok(stopping)
}

/// Loads the demo data and says where everything is.
fn introduce(workspace: &Workspace, node: &Node, data_dir: &Path, python: Option<&Python>) -> Result<()> {
    let token = token(node, data_dir)?;
    let addresses = node.addresses();
    if let Some(python) = python {
        println!("Loading the demo datasets");
        process::run(
            Command::new(python.program("python"))
                .arg(workspace.root().join("examples").join("nycflights.py"))
                .args(["--uri", &addresses.flight])
                .env("JETWAY_TOKEN", &token.text),
        )?;
    }
    println!();
    println!(
        "Jetway is up. Ctrl-C stops it; what it keeps is in {}",
        data_dir.display()
    );
    println!();
    println!("   HTTP         {}", addresses.http);
    println!("   Flight SQL   {}", addresses.flight);
    println!("   user         admin (its password was shown when the node first started, unless you had set it)");
    println!("   token        {}", token.text);
    println!("                (also in {})", token.file.display());
    if let Some(python) = python {
        println!("   Python       {}", python.program("python").display());
        println!("                (has pandas, polars, DuckDB and the Flight SQL driver; README.md shows a session)");
        println!(
            "   examples     {}",
            workspace.root().join("examples").join("README.md").display()
        );
    }
    println!();
    Ok(())
}

/// An access token of the administrator, kept beside the node's data so that a restart does not make another one.
struct Token {
    text: String,
    file: PathBuf,
}

fn token(node: &Node, data_dir: &Path) -> Result<Token> {
    let file = data_dir.join("admin-token");
    if let Ok(text) = fs::read_to_string(&file) {
        return Ok(Token {
            text: text.trim().to_owned(),
            file,
        });
    }
    // One whose text was lost cannot be read again.
    node.revoke_token(TOKEN_NAME);
    let text = node.create_token(TOKEN_NAME)?;
    write_secret(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(Token { text, file })
}

fn write_secret(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(text.as_bytes())
}
