//! Writes into datasets with a primary key, in this process: what they cost must depend on the write, and not on how much
//! was written before.

pub(crate) mod catalog;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use futures::{StreamExt, stream};
use jetway_odf::metadata::MergeStrategy;
use jetway_planner::{BatchStream, IngestRequest, Planner, PlannerOptions, Subject, TableName};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::merges::catalog::FolderCatalog;
use crate::report::Report;

const SNAPSHOTS: usize = 200;
const SNAPSHOT_KEYS: i64 = 20_000;
const WRITES: usize = 1000;
const ROWS: i64 = 100;
const KEYS: i64 = 5_000_000;

/// Rows of a batch when the first keys are written.
const BATCH_ROWS: i64 = 65_536;

/// The counter of what merges read besides their input.
const READ_BYTES: &str = "jetway_merge_read_bytes_total";

const TARGET: &str = "last tenth at most 1.5 times the first";

/// Runs all of it; sizes are divided by `divide`.
pub(crate) async fn run(divide: usize, report: &mut Report) -> Result<()> {
    let divide = divide.max(1);
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let key = || vec!["id".to_owned()];
    let (snapshots, snapshot_keys) = (SNAPSHOTS / divide.min(10), SNAPSHOT_KEYS / divide as i64);
    let (writes, keys) = (WRITES / divide.min(10), KEYS / divide as i64);

    let strategy = MergeStrategy::Snapshot {
        primary_key: key(),
        compare_columns: None,
    };
    let mut bench = Bench::new(strategy, &metrics).await?;
    for write in 0..=snapshots as i64 {
        bench.write(vec![snapshot(snapshot_keys, write)?]).await?;
    }
    let what = format!("{snapshots} snapshots of {snapshot_keys} keys, 1 % of them changed each time");
    bench.report(what, report)?;

    let mut bench = Bench::new(MergeStrategy::UpsertStream { primary_key: key() }, &metrics).await?;
    bench.fill(keys).await?;
    for write in 1..=writes as i64 {
        let changed = (0..ROWS).map(|row| scattered(write * ROWS + row, keys));
        bench.write(vec![rows(changed, write)?]).await?;
    }
    bench.report(format!("{writes} upserts of {ROWS} rows into {keys} keys"), report)?;

    let mut bench = Bench::new(MergeStrategy::Ledger { primary_key: key() }, &metrics).await?;
    bench.fill(keys).await?;
    for write in 1..=writes as i64 {
        // One half is there already.
        let pushed = (0..ROWS).map(|row| scattered(write * ROWS + row, 2 * keys));
        bench.write(vec![rows(pushed, write)?]).await?;
    }
    bench.report(
        format!("{writes} pushes of {ROWS} rows to a ledger of {keys} keys"),
        report,
    )
}

/// One dataset, and the time and bytes that each write to it took.
struct Bench<'a> {
    planner: Planner,
    subject: Subject,
    metrics: &'a PrometheusHandle,
    seconds: Vec<f64>,
    read: Vec<u64>,
    /// The repository goes with it.
    folder: tempfile::TempDir,
}

impl<'a> Bench<'a> {
    async fn new(strategy: MergeStrategy, metrics: &'a PrometheusHandle) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let catalog = Arc::new(FolderCatalog::new(folder.path(), strategy).await?);
        Ok(Self {
            planner: Planner::new(catalog, PlannerOptions::default())?,
            subject: Subject::account("bench".parse()?),
            metrics,
            seconds: Vec::new(),
            read: Vec::new(),
            folder,
        })
    }

    /// Writes the first keys, and once more a few of them, so that what is made once is there before anything is measured.
    async fn fill(&mut self, keys: i64) -> Result<()> {
        let batches = (0..keys).step_by(BATCH_ROWS as usize);
        let batches = batches.map(|first| rows(first..keys.min(first + BATCH_ROWS), 0));
        self.write(batches.collect::<Result<_>>()?).await?;
        self.write(vec![rows(0..ROWS, 0)?]).await?;
        (self.seconds, self.read) = (Vec::new(), Vec::new());
        Ok(())
    }

    async fn write(&mut self, batches: Vec<RecordBatch>) -> Result<()> {
        let schema = batches.first().context("a write has rows")?.schema();
        let request = IngestRequest::append(TableName::parse(None, None, catalog::NAME)?);
        let before = self.read_bytes();
        let start = Instant::now();
        let rows = BatchStream::new(schema, stream::iter(batches).map(Ok));
        self.planner.ingest(&self.subject, request, rows).await?;
        self.seconds.push(start.elapsed().as_secs_f64());
        self.read.push(self.read_bytes() - before);
        Ok(())
    }

    fn read_bytes(&self) -> u64 {
        let text = self.metrics.render();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(READ_BYTES)?.trim().parse().ok());
        line.unwrap_or(0)
    }

    fn report(&self, what: String, report: &mut Report) -> Result<()> {
        // What comes first is another kind of work: there is no history yet, or no index.
        let seconds = self.seconds.get(1..).context("there were writes")?;
        let tenth = (seconds.len() / 10).max(1);
        let mean = |seconds: &[f64]| seconds.iter().sum::<f64>() / seconds.len() as f64;
        let (first, last) = (mean(&seconds[..tenth]), mean(&seconds[seconds.len() - tenth..]));
        let read = self.read.get(1..).context("there were writes")?;
        let read = read.iter().sum::<u64>() / read.len() as u64;
        report.add(
            what,
            format!("{:.1} ms each, {} kB read", mean(seconds) * 1e3, read / 1000),
            format!(
                "last tenth {:.1} ms, {:.2} times the first; {:.1} MB of slices at the end",
                last * 1e3,
                last / first,
                catalog::data_bytes(self.folder.path())? as f64 / 1e6
            ),
            TARGET,
        );
        Ok(())
    }
}

/// A state in which one row in a hundred is another one than in the state before.
fn snapshot(keys: i64, write: i64) -> Result<RecordBatch> {
    let changed = |id: i64| (write - id % 100).div_euclid(100);
    let readings = (0..keys).map(|id| changed(id) as f64);
    batch((0..keys).collect(), readings.collect())
}

fn rows(ids: impl Iterator<Item = i64>, write: i64) -> Result<RecordBatch> {
    let ids: Vec<i64> = ids.collect();
    let readings = ids.iter().map(|_| write as f64).collect();
    batch(ids, readings)
}

fn batch(ids: Vec<i64>, readings: Vec<f64>) -> Result<RecordBatch> {
    let names: StringArray = ids.iter().map(|id| Some(format!("sensor {}", id % 97))).collect();
    Ok(RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(ids)) as ArrayRef),
        ("sensor", Arc::new(names) as ArrayRef),
        ("reading", Arc::new(Float64Array::from(readings)) as ArrayRef),
    ])?)
}

/// Keys from all over the range.
fn scattered(number: i64, keys: i64) -> i64 {
    number.wrapping_mul(7_368_787).rem_euclid(keys)
}
