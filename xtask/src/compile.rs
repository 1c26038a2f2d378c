//! Building the workspace's programs, with progress that can be believed.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, IsTerminal};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::process;
use crate::workspace::Workspace;

/// What is built for: the same profile for the demo and the tests, so that nothing is compiled twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

/// Seconds that the crates which dominate a build took in the dev profile, on two cores that were busy; every other one is
/// taken for [`TYPICAL`].
const HEAVY: [(&str, u32); 25] = [
    ("parquet", 149),
    ("datafusion-expr", 111),
    ("datafusion-common", 92),
    ("datafusion-physical-plan", 84),
    ("datafusion-physical-expr", 79),
    ("datafusion-functions-aggregate", 74),
    ("datafusion", 61),
    ("datafusion-functions", 57),
    ("datafusion-optimizer", 50),
    ("datafusion-sql", 45),
    ("jetway-odf", 45),
    ("jetway-flight", 45),
    ("tonic", 39),
    ("datafusion-catalog", 36),
    ("object_store", 23),
    ("sqlparser", 23),
    ("datafusion-datasource-parquet", 22),
    ("arrow-ipc", 21),
    ("datafusion-catalog-listing", 15),
    ("datafusion-functions-aggregate-common", 14),
    ("jetway-server", 14),
    ("rustls", 13),
    ("jetway-planner", 12),
    ("reqwest", 10),
    ("ring", 10),
];
const TYPICAL: u32 = 1;
/// The DataFusion crates wait for one another: more cores do not make this part of the build any shorter.
const SERIAL_SECONDS: u32 = 240;

/// Builds programs of the workspace and returns where they are, in the order of `names`.
///
/// # Errors
/// When one does not compile; cargo has printed why.
pub(crate) fn build<const N: usize>(workspace: &Workspace, names: [&str; N], profile: Profile) -> Result<[PathBuf; N]> {
    let packages = packages(workspace)?;
    let total: u64 = packages.iter().map(|name| weight(name)).sum();
    let mut command = workspace.cargo("build")?;
    // Always the whole workspace: another selection of crates would select other features and compile anew.
    command.args(["--workspace", "--locked", "--message-format=json-render-diagnostics"]);
    for name in names {
        command.args(["--bin", name]);
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    if std::io::stderr().is_terminal() {
        // Cargo's own bar and ours would overwrite each other.
        command.arg("--quiet");
    }
    let mut cargo = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", process::name(&command)))?;
    let messages = cargo.stdout.take().context("cargo's output is a pipe")?;

    let progress = Progress::new(total, profile);
    let mut finished = HashSet::new();
    let mut programs = HashMap::new();
    for line in BufReader::new(messages).lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else {
            continue;
        };
        if message.get("reason").and_then(Value::as_str) != Some("compiler-artifact") {
            continue;
        }
        let target = message.get("target");
        let kind = target
            .and_then(|target| target.pointer("/kind/0"))
            .and_then(Value::as_str);
        let name = target.and_then(|target| target.get("name")).and_then(Value::as_str);
        if let (Some(name), Some(path)) = (name, message.get("executable").and_then(Value::as_str)) {
            programs.insert(name.to_owned(), PathBuf::from(path));
        }
        let Some(package) = message.get("package_id").and_then(Value::as_str).map(package_name) else {
            continue;
        };
        let fresh = message.get("fresh").and_then(Value::as_bool).unwrap_or(false);
        if kind != Some("custom-build") && finished.insert(package.to_owned()) {
            progress.finished(package, weight(package), fresh);
        }
    }
    let status = cargo.wait()?;
    progress.end();
    if !status.success() {
        bail!("the build failed: see the errors above");
    }
    if let Some(missing) = names.iter().find(|name| !programs.contains_key(**name)) {
        bail!("the workspace has no program called `{missing}`");
    }
    Ok(names.map(|name| programs.remove(name).unwrap_or_default()))
}

/// The names of all packages that the programs are made of.
fn packages(workspace: &Workspace) -> Result<HashSet<String>> {
    let mut command = workspace.cargo("tree")?;
    command.args([
        "--package",
        "jetway-server",
        "--locked",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
    ]);
    let tree =
        process::output(&mut command).context("cannot list the dependencies (is the crate registry reachable?)")?;
    Ok(tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect())
}

/// The name in a package id: `registry+https://host/index#name@1.2.3`, or `path+file:///checkout/name#1.2.3`.
fn package_name(id: &str) -> &str {
    let (location, fragment) = id.rsplit_once('#').unwrap_or(("", id));
    match fragment.split_once('@') {
        Some((name, _version)) => name,
        None => location.rsplit('/').next().unwrap_or(location),
    }
}

fn weight(package: &str) -> u64 {
    let heavy = HEAVY.iter().find(|(name, _seconds)| *name == package);
    u64::from(heavy.map_or(TYPICAL, |(_name, seconds)| *seconds))
}

/// A bar on a terminal, a line a minute elsewhere.
#[derive(Debug)]
struct Progress {
    bar: ProgressBar,
    /// When cargo told of the first thing: until then it may have waited for another build to end.
    started: Cell<Option<Instant>>,
    total: u64,
    /// Weight of what was there already, which says nothing about the speed of this build.
    fresh: Cell<u64>,
    done: Cell<u64>,
    said: Cell<Option<Instant>>,
    factor: u64,
}

impl Progress {
    fn new(total: u64, profile: Profile) -> Self {
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("   {wide_bar} {percent:>3} %  {msg}") {
            bar.set_style(style);
        }
        if std::io::stderr().is_terminal() {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Self {
            bar,
            started: None.into(),
            total,
            fresh: 0.into(),
            done: 0.into(),
            said: None.into(),
            // Optimised code takes about four times as long to compile.
            factor: if profile == Profile::Release { 4 } else { 1 },
        }
    }

    fn finished(&self, package: &str, weight: u64, fresh: bool) {
        if self.started.get().is_none() {
            self.started.set(Some(Instant::now()));
        }
        self.done.set(self.done.get() + weight);
        if fresh {
            self.fresh.set(self.fresh.get() + weight);
        } else {
            self.report(package);
        }
        self.bar.set_position(self.done.get());
    }

    fn report(&self, package: &str) {
        match self.said.get() {
            // Cargo names everything that is fresh before the first thing that it has compiled.
            None => self.say(&format!(
                "   about {} to compile on this machine",
                minutes(self.estimate())
            )),
            Some(said) if self.bar.is_hidden() && said.elapsed() > Duration::from_secs(60) => {
                let percent = self.done.get() * 100 / self.total.max(1);
                self.say(&format!("   {percent} % compiled, {} left", minutes(self.left())));
            }
            Some(_) => self
                .bar
                .set_message(format!("{package}, {} left", minutes(self.left()))),
        }
    }

    fn say(&self, line: &str) {
        self.said.set(Some(Instant::now()));
        if self.bar.is_hidden() {
            eprintln!("{line}")
        } else {
            self.bar.println(line)
        }
    }

    /// Before anything is known about the speed of this machine.
    fn estimate(&self) -> Duration {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let left = self.total.saturating_sub(self.fresh.get());
        let serial = u64::from(SERIAL_SECONDS) * left / self.total.max(1);
        Duration::from_secs((left / cores).max(serial) * self.factor)
    }

    /// What is left at the speed so far; the estimate until a tenth is done.
    fn left(&self) -> Duration {
        let elapsed = self.started.get().map_or(Duration::ZERO, |started| started.elapsed());
        let compiled = self.done.get() - self.fresh.get();
        let left = self.total.saturating_sub(self.done.get());
        if compiled * 10 < self.total - self.fresh.get() {
            return self.estimate().saturating_sub(elapsed);
        }
        elapsed.mul_f64(left as f64 / compiled.max(1) as f64)
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn minutes(time: Duration) -> String {
    match time.as_secs() {
        0..=89 => "a minute".to_owned(),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}

#[cfg(test)]
mod tests;
