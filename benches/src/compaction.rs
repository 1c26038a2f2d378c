//! A dataset that grew by twenty thousand commits of one row: what its scans cost before and after a compaction.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use futures::{StreamExt, TryStreamExt, stream};
use jetway_odf::metadata::MergeStrategy;
use jetway_odf::verify::{VerifyOptions, verify};
use jetway_planner::{BatchStream, DatasetCatalog, IngestRequest, Planner, PlannerOptions, Subject, TableName};

use crate::merges::catalog::{self, FolderCatalog};
use crate::report::Report;

const SLICES: usize = 20_000;

/// Queries, and what they are called.
const QUERIES: [(&str, &str); 3] = [
    ("count and sum", "SELECT count(*), sum(reading) FROM merged"),
    ("all rows", "SELECT * FROM merged"),
    ("one row by offset", "SELECT * FROM merged WHERE \"offset\" = 77"),
];

/// Makes the dataset and measures; the number of slices is divided by `divide`.
pub(crate) async fn run(divide: usize, repeat: usize, report: &mut Report) -> Result<()> {
    let slices = (SLICES / divide.max(1)).max(100);
    let folder = tempfile::tempdir()?;
    let bench = Bench::new(folder.path()).await?;
    let start = Instant::now();
    for id in 0..slices as i64 {
        bench.push(id).await?;
    }
    let made = start.elapsed().as_secs_f64();
    let before = bench.measure(slices, repeat).await?;
    let start = Instant::now();
    let outcome = bench.planner.compact(&bench.subject, &bench.name).await?;
    let compaction = start.elapsed().as_secs_f64();
    ensure!(outcome.merged_slices == slices as u64, "{outcome:?}");
    let after = bench.measure(slices, repeat).await?;
    for (((what, _), before), after) in QUERIES.iter().zip(&before).zip(&after) {
        report.add(
            format!("{slices} slices of one row: {what}"),
            format!(
                "{:.1} ms before a compaction, {:.1} ms after",
                before * 1e3,
                after * 1e3
            ),
            format!("{:.1} times as fast", before / after),
            "",
        );
    }
    let dataset = bench
        .catalog
        .resolve(&bench.subject, &bench.name, jetway_planner::Access::Read)
        .await?;
    let start = Instant::now();
    let verified = verify(&dataset.storage, VerifyOptions::default(), |_| {}).await?;
    ensure!(verified.findings.is_empty(), "{verified:?}");
    report.add(
        format!("compaction of {slices} slices of one row"),
        format!("{compaction:.2} s"),
        format!(
            "{} files instead of {slices}; pushing the rows took {made:.0} s, and verifying all of it afterwards {:.2} s",
            outcome.files_to_read,
            start.elapsed().as_secs_f64()
        ),
        "verification passes",
    );
    Ok(())
}

struct Bench {
    catalog: Arc<FolderCatalog>,
    planner: Planner,
    subject: Subject,
    name: TableName,
}

impl Bench {
    async fn new(folder: &Path) -> Result<Self> {
        let catalog = Arc::new(FolderCatalog::new(folder, MergeStrategy::Append {}).await?);
        let options = PlannerOptions {
            compact_in_background: false,
            ..PlannerOptions::default()
        };
        Ok(Self {
            planner: Planner::new(Arc::clone(&catalog) as Arc<dyn DatasetCatalog>, options)?,
            catalog,
            subject: Subject::account("bench".parse()?),
            name: TableName::parse(None, None, catalog::NAME)?,
        })
    }

    async fn push(&self, id: i64) -> Result<()> {
        let rows = RecordBatch::try_from_iter([
            ("id", Arc::new(Int64Array::from(vec![id])) as ArrayRef),
            (
                "sensor",
                Arc::new(StringArray::from(vec![format!("sensor {}", id % 97)])),
            ),
            ("reading", Arc::new(Float64Array::from(vec![(id as f64).sqrt()]))),
        ])?;
        let request = IngestRequest::append(self.name.clone());
        let rows = BatchStream::new(rows.schema(), stream::iter([rows]).map(Ok));
        self.planner.ingest(&self.subject, request, rows).await?;
        Ok(())
    }

    /// The median time of each query in seconds.
    async fn measure(&self, slices: usize, repeat: usize) -> Result<Vec<f64>> {
        let mut medians = Vec::new();
        for (what, sql) in QUERIES {
            let mut times = Vec::new();
            for _ in 0..repeat.max(1) {
                let start = Instant::now();
                let statement = self.planner.plan(&self.subject, sql, None).await?;
                let planned = start.elapsed();
                let batches: Vec<RecordBatch> = statement.execute().await?.try_collect().await?;
                times.push(start.elapsed().as_secs_f64());
                let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
                ensure!(
                    rows == if what == "all rows" { slices } else { 1 },
                    "{what}: {rows} rows"
                );
                eprintln!("{what}: planned in {planned:?}, done after {:?}", start.elapsed());
            }
            times.sort_by(f64::total_cmp);
            medians.extend(times.get(times.len() / 2));
        }
        Ok(medians)
    }
}
