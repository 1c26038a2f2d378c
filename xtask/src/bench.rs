//! `cargo xtask bench`: everything the benches need, then the benches.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::compile::{self, Profile};
use crate::process;
use crate::python::Python;
use crate::workspace::Workspace;

/// Builds in release, makes TPC-H data and runs the benches with the paths of both in the environment.
///
/// # Errors
/// When a step fails.
pub(crate) fn run(workspace: &Workspace, name: Option<&str>, scale: u32, rest: &[String]) -> Result<()> {
    println!("Preparing Python");
    let python = Python::prepare(workspace, "benches", "xtask/requirements-bench.txt")?;
    println!("Building in release");
    let [benches, jetway] = compile::build(workspace, ["jetway-benches", "jetway"], Profile::Release)?;
    let tpch = tpch(workspace, &python, scale)?;
    process::run(
        Command::new(benches)
            .args(name)
            .args(rest)
            .current_dir(workspace.root())
            .env("JETWAY_BIN", jetway)
            .env("JETWAY_BENCH_TPCH", tpch)
            .env("JETWAY_BENCH_PYTHON", python.program("python")),
    )
}

/// The eight TPC-H tables as Parquet files, made once per scale factor.
fn tpch(workspace: &Workspace, python: &Python, scale: u32) -> Result<PathBuf> {
    let target = workspace.target_dir()?;
    let made = target.join(format!("tpch-sf{scale}"));
    if made.is_dir() {
        return Ok(made);
    }
    println!("Generating TPC-H data, scale factor {scale}");
    // Under another name until it is whole: an interrupted generation is made anew.
    let making = target.join(format!("tpch-sf{scale}.making"));
    remove_dir(&making)?;
    process::run(
        Command::new(python.program("tpchgen-cli"))
            .args(["parquet", "-s", &scale.to_string(), "--output-dir"])
            .arg(&making),
    )?;
    fs::rename(&making, &made).with_context(|| format!("cannot create {}", made.display()))?;
    Ok(made)
}

fn remove_dir(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    Ok(())
}
