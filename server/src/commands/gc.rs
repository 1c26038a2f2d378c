//! `jetway gc`: removes files of datasets that nothing names.

use anyhow::{Result, bail};
use jetway_odf::identity::DatasetId;
use jetway_odf::storage::{GarbageReport, MIN_GRACE};
use jetway_planner::TableName;
use serde::Serialize;

use crate::cli::chain;
use crate::config::Period;
use crate::output::{self, Output, Table, counted, or_dash};
use crate::workspace::{DatasetArgument, Place};

const EXAMPLES: &str = "\
Examples:
  jetway gc --dry-run                 what would go, of all datasets
  jetway gc trades --grace 7d
  jetway gc 'net.*' --output json

Garbage is what failed commits and rewritten histories leave. Files that rows link to are kept, and so
is whatever cannot be understood. It is safe while nodes write, and while datasets are copied here as
long as --grace is longer than the longest copy takes. The exit code is 1 when the garbage of a dataset
cannot be collected; that of the others is.";

/// Remove files that no block names.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only these: NAME, ACCOUNT/NAME, a DID, or a pattern such as 'net.*'.
    names: Vec<DatasetArgument>,
    /// Keep what is younger, an hour at least.
    #[arg(long, value_name = "PERIOD", default_value = "24h")]
    grace: Period,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
    /// How the result is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

/// What was found of a dataset.
#[derive(Debug, Serialize)]
struct Collected {
    id: DatasetId,
    name: String,
    removed: bool,
    bytes: u64,
    /// Why it could not be looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    report: Option<GarbageReport>,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    if args.grace.time_delta() < MIN_GRACE {
        bail!("--grace must be an hour at least: what is younger may be of a commit under way");
    }
    let workspace = args.place.open().await?;
    let (planner, subject) = (workspace.planner()?, &workspace.subject);
    let mut collected = Vec::new();
    for dataset in workspace.registered(&args.names).await? {
        let outcome = planner
            .collect_garbage(
                subject,
                &TableName::Id(dataset.id),
                args.grace.time_delta(),
                args.dry_run,
            )
            .await;
        let (report, error) = match outcome {
            Ok(report) => (Some(report), None),
            Err(error) => (None, Some(chain(&error))),
        };
        collected.push(Collected {
            id: dataset.id,
            name: dataset.alias.to_string(),
            removed: !args.dry_run && error.is_none(),
            bytes: report.as_ref().map_or(0, GarbageReport::bytes),
            error,
            report,
        });
    }
    args.output.print(&collected, || table(&collected))?;
    let failed = collected.iter().filter(|dataset| dataset.error.is_some()).count();
    if failed > 0 {
        bail!(
            "the garbage of {failed} of {} cannot be collected",
            counted(collected.len() as u64, "dataset")
        );
    }
    Ok(())
}

/// One line for each file, and for each dataset that could not be looked at.
fn table(collected: &[Collected]) -> Table {
    let mut table = Table::new(&["Name", "File", ">Size", "Written", "What"]);
    for dataset in collected {
        if let Some(error) = &dataset.error {
            table.row([
                dataset.name.clone(),
                String::new(),
                or_dash(None::<u64>),
                or_dash(None::<u64>),
                format!("not collected: {error}"),
            ]);
        }
        for garbage in dataset.report.iter().flat_map(|report| &report.garbage) {
            table.row([
                dataset.name.clone(),
                garbage.path.clone(),
                output::bytes(garbage.size),
                output::seconds(garbage.last_modified),
                if dataset.removed { "removed" } else { "garbage" }.to_owned(),
            ]);
        }
        for left in dataset.report.iter().flat_map(|report| &report.left_alone) {
            table.row([
                dataset.name.clone(),
                left.path.clone(),
                or_dash(None::<u64>),
                or_dash(None::<u64>),
                format!("left alone: {}", left.reason),
            ]);
        }
    }
    table
}
