//! The 22 queries of TPC-H, each on the same Parquet files by the node and by its peers in turn.
//!
//! The rows are pushed to a node first, and what is measured reads the slices that the node made of them. Of all engines the
//! rows of the answer arrive in this process, except of DuckDB, which keeps them in its own. The node serves no answer that it
//! kept of an earlier run.

mod engine;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::environment::Environment;
use crate::node::Node;
use crate::python::{load, percentile};
use crate::report::Report;
use engine::Engine;

/// The queries, which the end-to-end tests share. Each stands below a line with its number and name.
const QUERIES: &str = include_str!("../../clients/tests/tpch.sql");

const TABLES: [&str; 8] = [
    "customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier",
];

const TARGET: &str = "at most 1.0 of DataFusion and, as an aim, of DuckDB; below 1.0 of ROAPI and Sail";

/// What one engine achieved.
struct Runs {
    name: String,
    /// The median of each query so far; none where the engine failed.
    seconds: Vec<Option<f64>>,
}

pub(crate) async fn run(environment: &Environment, repeat: usize, only: &[usize], report: &mut Report) -> Result<()> {
    let node = Node::start(environment)?;
    load(environment, &node.uri, &node.token, &environment.tpch)?;
    let tables = link(&node)?;
    let mut engines = Vec::new();
    for engine in [
        Engine::node(&node).await,
        Engine::datafusion(tables.path(), &TABLES).await,
        Engine::duckdb(environment, tables.path(), &TABLES).await,
        Engine::roapi(environment, tables.path(), &TABLES).await,
        Engine::sail(environment, tables.path(), &TABLES).await,
    ] {
        engines.push(engine?);
    }
    let runs = |engine: &Engine| Runs {
        name: engine.name().to_owned(),
        seconds: Vec::new(),
    };
    let mut runs: Vec<Runs> = engines.iter().map(runs).collect();
    let queries = queries();
    ensure!(queries.len() == 22, "{} queries were read", queries.len());
    let mut names = Vec::new();
    for (number, (name, sql)) in (1..).zip(&queries) {
        if !only.is_empty() && !only.contains(&number) {
            continue;
        }
        names.push(*name);
        let medians = measure(&mut engines, sql, repeat)
            .await
            .with_context(|| format!("query {name}"))?;
        for (runs, median) in runs.iter_mut().zip(medians) {
            runs.seconds.push(median);
        }
        let line = runs.iter().map(|runs| match runs.seconds.last() {
            Some(Some(seconds)) => format!("{} {:.0} ms", runs.name, seconds * 1e3),
            _ => format!("{} failed", runs.name),
        });
        eprintln!("{name}: {}", line.collect::<Vec<_>>().join(", "));
    }
    let scale = environment.tpch.file_name().unwrap_or_default().to_string_lossy();
    tell(&scale.replace("tpch-sf", "TPC-H SF"), &names, &runs, report)
}

/// The names of the queries, with their numbers, and their texts.
fn queries() -> Vec<(&'static str, &'static str)> {
    let parts = QUERIES.split("\n-- ").skip(1);
    parts
        .filter_map(|part| part.split_once('\n'))
        .map(|(name, sql)| (name, sql.trim().trim_end_matches(';')))
        .collect()
}

/// A folder for each table with the slices of its dataset, under names that all engines take for Parquet files.
fn link(node: &Node) -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("jetway-bench-").tempdir()?;
    for table in TABLES {
        let to = folder.path().join(table);
        fs::create_dir(&to)?;
        for (number, slice) in slices(&node.dataset(table)?)?.iter().enumerate() {
            fs::hard_link(slice, to.join(format!("{number}.parquet")))?;
        }
    }
    Ok(folder)
}

fn slices(dataset: &Path) -> Result<Vec<PathBuf>> {
    let mut slices = Vec::new();
    for entry in fs::read_dir(dataset.join("data"))? {
        slices.push(entry?.path());
    }
    Ok(slices)
}

/// Lets the engines run a statement in turn, so that what else happens on the machine happens to all of them. The first run of
/// each warms its caches.
async fn measure(engines: &mut [Engine], sql: &str, repeat: usize) -> Result<Vec<Option<f64>>> {
    let mut seconds = vec![Some(Vec::new()); engines.len()];
    let mut rows = None;
    for round in 0..=repeat {
        for (engine, seconds) in engines.iter_mut().zip(&mut seconds) {
            let Some(so_far) = seconds else { continue };
            match engine.ask(sql).await {
                Ok((_, found)) if rows.is_some_and(|rows| rows != found) => {
                    anyhow::bail!("{} gives {found} rows, others {rows:?}", engine.name());
                }
                Ok((took, found)) => {
                    rows = Some(found);
                    if round > 0 {
                        so_far.push(took);
                    }
                }
                Err(error) if engine.is_peer() => {
                    eprintln!("{} cannot run it: {error:#}", engine.name());
                    *seconds = None;
                }
                Err(error) => return Err(error),
            }
        }
    }
    let median = |seconds: Option<Vec<f64>>| seconds.map(|seconds| percentile(&seconds, 0.5));
    Ok(seconds.into_iter().map(median).collect())
}

fn tell(scale: &str, names: &[&str], runs: &[Runs], report: &mut Report) -> Result<()> {
    let (ours, peers) = runs.split_first().context("nothing was measured")?;
    let against = peers.iter().map(|peer| {
        let pairs = ours.seconds.iter().zip(&peer.seconds);
        let both: Vec<(f64, f64)> = pairs
            .filter_map(|(ours, theirs)| Some(((*ours)?, (*theirs)?)))
            .collect();
        let (here, there) = (
            mean(both.iter().map(|pair| pair.0)),
            mean(both.iter().map(|pair| pair.1)),
        );
        let without = match ours.seconds.len() - both.len() {
            0 => String::new(),
            failed => format!(", without {failed} that it cannot run"),
        };
        format!("{:.2} of {} ({:.0} ms{without})", here / there, peer.name, there * 1e3)
    });
    report.add(
        format!("{scale}, geometric mean of {} queries", names.len()),
        format!(
            "{:.0} ms",
            mean(ours.seconds.iter().filter_map(|seconds| *seconds)) * 1e3
        ),
        against.collect::<Vec<_>>().join("; "),
        TARGET,
    );
    for (index, name) in names.iter().enumerate() {
        let of = |runs: &Runs| runs.seconds.get(index).copied().flatten();
        let Some(here) = of(ours) else { continue };
        let against = peers.iter().map(|peer| match of(peer) {
            Some(there) => format!("{:.2} of {} ({:.0} ms)", here / there, peer.name, there * 1e3),
            None => format!("{} cannot run it", peer.name),
        });
        report.add(
            format!("{scale}, query {name}"),
            format!("{:.0} ms", here * 1e3),
            against.collect::<Vec<_>>().join("; "),
            "",
        );
    }
    Ok(())
}

/// The geometric mean.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value.ln(), count + 1.0));
    (sum / count).exp()
}
