//! `jetway verify`: checks datasets from their storage alone.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use futures::stream::{self, StreamExt};
use indicatif::ProgressBar;
use jetway_control::RegisteredDataset;
use jetway_odf::identity::DatasetId;
use jetway_odf::verify::{Finding, Problem, Progress, Report, VerifyOptions, verify};
use jetway_planner::DatasetCatalog;
use serde::Serialize;

use crate::cli::chain;
use crate::output::{self, Output, Table, counted, progress_bar};
use crate::workspace::{DatasetArgument, Place, Workspace};

/// How many datasets are checked at the same time; each of them uses all cores.
const CONCURRENT_DATASETS: usize = 4;

const EXAMPLES: &str = "\
Examples:
  jetway verify                                       all datasets of the node
  jetway verify trades 'net.*' --output json > report.json
  jetway verify --repository s3://bucket/prefix       without the node that wrote them
  jetway verify --metadata-only                       blocks and sizes, without reading slices

The exit code is 1 when a dataset is not valid or cannot be checked.";

/// Check datasets: hashes and rules of all blocks, sizes, hashes and rows of all files.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only these: NAME, ACCOUNT/NAME, a DID, or a pattern such as 'net.*'.
    names: Vec<DatasetArgument>,
    /// Only blocks, and whether every file is there with its size: no file is read.
    #[arg(long)]
    metadata_only: bool,
    /// Do not compare files with their hashes.
    #[arg(long)]
    no_hashes: bool,
    /// Do not read rows: files are compared with their physical hashes only.
    #[arg(long)]
    no_rows: bool,
    /// On how many threads; one for each core unless given.
    #[arg(long, value_name = "COUNT")]
    threads: Option<NonZeroUsize>,
    /// How the report is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

/// What was found in all datasets.
#[derive(Debug, Serialize)]
struct Verified {
    valid: bool,
    datasets: Vec<Dataset>,
}

/// What was found in one dataset.
#[derive(Debug, Serialize)]
struct Dataset {
    id: DatasetId,
    name: String,
    valid: bool,
    /// Why it could not be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Report>,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let registered = workspace.registered(&args.names).await?;
    let options = VerifyOptions {
        hashes: !args.metadata_only && !args.no_hashes,
        rows: !args.metadata_only && !args.no_rows,
        threads: args.threads,
    };
    let bar = Bar::new(registered.len());
    let datasets: Vec<Dataset> = stream::iter(registered.into_iter().enumerate())
        .map(|(index, dataset)| check(&workspace, dataset, options, &bar, index))
        .buffered(CONCURRENT_DATASETS)
        .collect()
        .await;
    bar.bar.finish_and_clear();
    let invalid = datasets.iter().filter(|dataset| !dataset.valid).count();
    let verified = Verified {
        valid: invalid == 0,
        datasets,
    };
    args.output.print(&verified, || ForPeople(&verified))?;
    if invalid > 0 {
        bail!(
            "{invalid} of {} not valid",
            counted(verified.datasets.len() as u64, "dataset")
        );
    }
    Ok(())
}

async fn check(
    workspace: &Workspace,
    dataset: RegisteredDataset,
    options: VerifyOptions,
    bar: &Bar,
    index: usize,
) -> Dataset {
    let storage = workspace.catalog.storage(&dataset.id);
    let outcome = verify(&storage, options, |progress| bar.show(index, progress)).await;
    let (report, error) = match outcome {
        Ok(report) => (Some(report), None),
        Err(error) => (None, Some(chain(&error))),
    };
    Dataset {
        id: dataset.id,
        name: dataset.alias.to_string(),
        valid: report.as_ref().is_some_and(Report::is_valid),
        error,
        report,
    }
}

/// One bar for all datasets, by the bytes that are known to be read.
#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    datasets: Mutex<Vec<Progress>>,
}

impl Bar {
    fn new(datasets: usize) -> Self {
        let template = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}  {msg}";
        Self {
            bar: progress_bar(0, template),
            datasets: Mutex::new(vec![Progress::default(); datasets]),
        }
    }

    fn show(&self, index: usize, progress: Progress) {
        let mut datasets = self.datasets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dataset) = datasets.get_mut(index) {
            *dataset = progress;
        }
        let sum = |value: fn(&Progress) -> u64| datasets.iter().map(value).sum::<u64>();
        self.bar.set_length(sum(|progress| progress.bytes_total));
        self.bar.set_position(sum(|progress| progress.bytes));
        let begun = datasets.iter().filter(|progress| progress.blocks > 0).count();
        self.bar.set_message(format!(
            "dataset {begun}/{}, block {}/{}, file {}/{}",
            datasets.len(),
            sum(|progress| progress.blocks),
            sum(|progress| progress.blocks_total),
            sum(|progress| progress.objects),
            sum(|progress| progress.objects_total),
        ));
    }
}

/// What was looked at, then what is wrong.
struct ForPeople<'a>(&'a Verified);

impl fmt::Display for ForPeople<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut looked_at = Table::new(&[
            "Dataset",
            ">Blocks",
            ">Slices",
            ">Checkpoints",
            ">Rows",
            ">Bytes",
            "Result",
        ]);
        let mut findings = Table::new(&[
            "Dataset",
            ">Block",
            "Problem",
            "Rule",
            "File",
            "Column",
            "What is wrong",
        ]);
        let mut found = 0;
        for dataset in &self.0.datasets {
            let checked = dataset.report.as_ref().map(|report| report.checked).unwrap_or_default();
            looked_at.row([
                dataset.name.clone(),
                checked.blocks.to_string(),
                checked.slices.to_string(),
                checked.checkpoints.to_string(),
                checked.rows.to_string(),
                output::bytes(checked.bytes),
                dataset.result(),
            ]);
            for finding in dataset.report.iter().flat_map(|report| &report.findings) {
                findings.row(dataset.finding(finding));
                found += 1;
            }
        }
        write!(f, "{looked_at}")?;
        if found > 0 { write!(f, "{findings}") } else { Ok(()) }
    }
}

impl Dataset {
    fn result(&self) -> String {
        match (&self.error, &self.report) {
            (Some(error), _) => format!("not checked: {error}"),
            (None, Some(report)) if report.findings.is_empty() => "valid".to_owned(),
            (None, Some(report)) => {
                let count = report.findings.len() as u64;
                let verdict = if self.valid { "valid" } else { "not valid" };
                let noun = if self.valid { "warning" } else { "finding" };
                format!("{verdict}, {}", counted(count, noun))
            }
            (None, None) => String::new(),
        }
    }

    fn finding(&self, finding: &Finding) -> [String; 7] {
        let file = finding
            .object
            .map(|object| format!("{}/{}", object.r#type.folder(), object.hash));
        let mut message = finding.message.clone();
        // The file has the hash that is expected in its name; both are in the JSON report.
        let is_about_hashes = matches!(finding.problem, Problem::PhysicalHash | Problem::LogicalHash);
        if let (Some(expected), Some(found), false) = (&finding.expected, &finding.found, is_about_hashes) {
            message.push_str(&format!(" (expected {expected}, found {found})"));
        }
        [
            self.name.clone(),
            finding
                .sequence_number
                .map_or_else(String::new, |number| number.to_string()),
            format!("{:?}", finding.problem),
            finding.rule.clone().unwrap_or_default(),
            file.unwrap_or_default(),
            finding.column.clone().unwrap_or_default(),
            message,
        ]
    }
}
