//! The benches: each figure is a ratio against a named peer or limit, measured in the same run on the same machine.
//!
//! `cargo xtask bench` builds everything in release, makes the data and runs this program; `docs/benchmarks.md` holds the
//! last results.

mod compaction;
mod encode;
mod environment;
mod gateway;
mod idle;
mod merges;
mod metadata;
mod node;
mod overload;
mod peers;
mod pushes;
mod python;
mod report;
mod scan;
mod short;
mod spool;
mod tpch;
mod verify;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use crate::environment::Environment;
use crate::report::Report;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the node against its peers.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure; everything when absent.
    name: Option<Bench>,
    /// How often each measurement is repeated; the median counts.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Prints the results as JSON and leaves docs/benchmarks.md alone.
    #[arg(long)]
    json: bool,
    /// Divides the sizes of what `merges`, `compaction` and `metadata` write, for trying it out.
    #[arg(long, default_value_t = 1)]
    divide: usize,
    /// The numbers of the queries of `tpch`; all of them when absent.
    #[arg(long, value_delimiter = ',')]
    queries: Vec<usize>,
    /// How long `overload` lasts, in seconds.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// How many clients `overload` has.
    #[arg(long, default_value_t = 200)]
    clients: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// A large table in and out over Flight, and the smallest statement.
    Gateway,
    /// A large table in one stream and in four, and from the spool.
    Spool,
    /// Short statements from many clients, beside other servers.
    Short,
    /// The 22 queries of TPC-H, beside other engines.
    Tpch,
    /// Clients that are connected and do nothing.
    Idle,
    /// Many clients that push small batches to one dataset.
    Pushes,
    /// Writes into large datasets with a primary key.
    Merges,
    /// More clients with hungry statements than there is memory for.
    Overload,
    /// Checking large datasets.
    Verify,
    /// A dataset of many small slices before and after a compaction.
    Compaction,
    /// Listings of a node with many datasets.
    Metadata,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let environment = Environment::from_env()?;
    let mut report = Report::default();
    if arguments.name.is_none_or(|name| name == Bench::Gateway) {
        gateway::run(&environment, arguments.repeat, &mut report).await?;
    }
    if arguments.name.is_none_or(|name| name == Bench::Spool) {
        spool::run(&environment, arguments.repeat, &mut report).await?;
    }
    if arguments.name.is_none_or(|name| name == Bench::Short) {
        short::run(&environment, &mut report).await?;
    }
    if arguments.name.is_none_or(|name| name == Bench::Tpch) {
        tpch::run(&environment, arguments.repeat, &arguments.queries, &mut report).await?;
    }
    if arguments.name.is_none_or(|name| name == Bench::Idle) {
        idle::run(&environment, &mut report).await?;
    }
    if arguments.name.is_none_or(|name| name == Bench::Pushes) {
        pushes::run(&environment, &mut report).await?;
    }
    if arguments.name.is_none_or(|name| name == Bench::Merges) {
        merges::run(arguments.divide, &mut report).await?;
    }
    if arguments.name.is_none_or(|name| name == Bench::Overload) {
        overload::run(&environment, arguments.clients, arguments.seconds, &mut report).await?;
    }
    if arguments.name.is_none_or(|name| name == Bench::Verify) {
        verify::run(&environment, arguments.repeat, &mut report)?;
    }
    if arguments.name.is_none_or(|name| name == Bench::Compaction) {
        compaction::run(arguments.divide, arguments.repeat, &mut report).await?;
    }
    if arguments.name.is_none_or(|name| name == Bench::Metadata) {
        metadata::run(&environment, arguments.divide, arguments.repeat, &mut report).await?;
    }
    report.print(arguments.json, arguments.name.is_none())
}
