//! `jetway gc`: removes files of datasets that nothing names.

use anyhow::{Context, Result};
use jetway_odf::identity::DatasetId;
use jetway_odf::storage::GarbageReport;
use jetway_planner::TableName;
use serde::Serialize;

use crate::config::Period;
use crate::output::{self, Output, Table, or_dash};
use crate::workspace::{DatasetArgument, Place};

const EXAMPLES: &str = "\
Examples:
  jetway gc --dry-run                 what would go, of all datasets
  jetway gc trades --grace 7d
  jetway gc 'net.*' --output json

Garbage is what failed commits and rewritten histories leave. Files that rows link to are kept, and so
is whatever cannot be understood. It is safe while nodes write.";

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
    #[serde(flatten)]
    report: GarbageReport,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let (planner, subject) = (workspace.planner()?, &workspace.subject);
    let mut collected = Vec::new();
    for dataset in workspace.registered(&args.names).await? {
        let report = planner
            .collect_garbage(
                subject,
                &TableName::Id(dataset.id),
                args.grace.time_delta(),
                args.dry_run,
            )
            .await
            .with_context(|| format!("the garbage of {} cannot be collected", dataset.alias))?;
        collected.push(Collected {
            id: dataset.id,
            name: dataset.alias.to_string(),
            removed: !args.dry_run,
            bytes: report.bytes(),
            report,
        });
    }
    args.output.print(&collected, || table(&collected))
}

/// One line for each file.
fn table(collected: &[Collected]) -> Table {
    let mut table = Table::new(&["Name", "File", ">Size", "Written", "What"]);
    for dataset in collected {
        for garbage in &dataset.report.garbage {
            table.row([
                dataset.name.clone(),
                garbage.path.clone(),
                output::bytes(garbage.size),
                output::seconds(garbage.last_modified),
                if dataset.removed { "removed" } else { "garbage" }.to_owned(),
            ]);
        }
        for left in &dataset.report.left_alone {
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
