//! The chores of the workspace as a program: `cargo xtask up | test | lint | bench`.
//!
//! It compiles before everything else, so it has few dependencies and names no other crate of the workspace:
//! what it needs of Jetway it asks of the `jetway` binary, as a user would.

mod bench;
mod compile;
mod lint;
mod maven;
mod node;
mod npm;
mod process;
mod python;
mod test;
mod tidy;
mod up;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use workspace::Workspace;

/// Chores of the Jetway workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Build Jetway, start a node on this machine and load the demo datasets into it.
    Up {
        /// Start the node alone: no Python, no demo datasets.
        #[arg(long)]
        no_demo: bool,
        /// Where the node keeps its state.
        #[arg(long, value_name = "DIR", default_value = "jetway-data")]
        data_dir: PathBuf,
    },
    /// Install what the tests need and run all of them: Rust first, then Python against a real node.
    Test {
        /// Also run the lints, and the long form of the tests that have one.
        #[arg(long)]
        all: bool,
        /// Only tests whose name contains this.
        filter: Option<String>,
    },
    /// Check formatting, lints, documentation and the rules of the house.
    Lint,
    /// Measure: builds in release, makes the data, runs the benches.
    Bench {
        /// Only this bench.
        name: Option<String>,
        /// TPC-H scale factor: 1 is about 350 MB of Parquet.
        #[arg(long, default_value_t = 1)]
        scale: u32,
        /// What follows `--` goes to the benches as it is.
        #[arg(last = true)]
        rest: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // All causes on one line, and no backtrace: what went wrong is seldom in this program.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<()> {
    let workspace = Workspace::locate()?;
    match chore {
        Chore::Up { no_demo, data_dir } => up::run(&workspace, &data_dir, !no_demo),
        Chore::Test { all, filter } => test::run(&workspace, all, filter.as_deref()),
        Chore::Lint => lint::run(&workspace),
        Chore::Bench { name, scale, rest } => bench::run(&workspace, name.as_deref(), scale, &rest),
    }
}
