//! `jetway reindex`: makes anew what is derived from datasets.

use anyhow::{Result, bail};
use futures::TryStreamExt;
use jetway_control::RegisteredDataset;
use jetway_odf::identity::DatasetId;
use jetway_planner::{DatasetCatalog, TableName};
use serde::Serialize;

use crate::cli::chain;
use crate::output::{self, Output, Table, counted, progress_bar};
use crate::workspace::{DatasetArgument, Place, Workspace};

const EXAMPLES: &str = "\
Examples:
  jetway reindex                 all datasets
  jetway reindex trades 'net.*'

Nothing in a dataset's folder `cache` is needed: it can be removed at any time, also while a node is running.";

/// Remove what is derived from datasets (indexes, merged copies of slices), and make it anew.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only these: NAME, ACCOUNT/NAME, a DID, or a pattern such as 'net.*'.
    names: Vec<DatasetArgument>,
    /// How the outcome is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    id: DatasetId,
    name: String,
    #[serde(flatten)]
    work: Work,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Work {
    #[serde(rename_all = "camelCase")]
    Done {
        removed_files: u64,
        removed_bytes: u64,
        slices: u64,
        /// Slices that are read from merged files now.
        merged_slices: u64,
        written_files: u64,
        written_bytes: u64,
    },
    Failed {
        error: String,
    },
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let registered = workspace.registered(&args.names).await?;
    let bar = progress_bar(registered.len() as u64, "{bar:40} {pos}/{len} {msg}");
    let mut outcomes = Vec::with_capacity(registered.len());
    for dataset in registered {
        bar.set_message(dataset.alias.to_string());
        let work = match reindex(&workspace, &dataset).await {
            Ok(work) => work,
            Err(error) => Work::Failed {
                error: chain(error.as_ref()),
            },
        };
        bar.inc(1);
        outcomes.push(Outcome {
            id: dataset.id,
            name: dataset.alias.to_string(),
            work,
        });
    }
    bar.finish_and_clear();
    args.output.print(&outcomes, || table(&outcomes))?;
    let failed = outcomes
        .iter()
        .filter(|outcome| matches!(outcome.work, Work::Failed { .. }))
        .count();
    if failed > 0 {
        bail!(
            "{failed} of {} not reindexed",
            counted(outcomes.len() as u64, "dataset")
        );
    }
    Ok(())
}

async fn reindex(workspace: &Workspace, dataset: &RegisteredDataset) -> Result<Work> {
    let derived = workspace.catalog.storage(&dataset.id).derived();
    let (removed_files, removed_bytes) = derived
        .list("")
        .try_fold((0, 0), async |(files, bytes), file| Ok((files + 1, bytes + file.size)))
        .await?;
    let name = TableName::Id(dataset.id);
    let outcome = workspace.planner()?.reindex(&workspace.subject, &name).await?;
    Ok(Work::Done {
        removed_files,
        removed_bytes,
        slices: outcome.slices,
        merged_slices: outcome.merged_slices,
        written_files: outcome.written_files,
        written_bytes: outcome.written_bytes,
    })
}

fn table(outcomes: &[Outcome]) -> Table {
    let mut table = Table::new(&["Dataset", ">Removed", ">Slices", ">Merged", ">Files written", ">Size"]);
    for outcome in outcomes {
        let mut cells = vec![outcome.name.clone()];
        match &outcome.work {
            Work::Done {
                removed_files,
                slices,
                merged_slices,
                written_files,
                written_bytes,
                ..
            } => cells.extend([
                counted(*removed_files, "file"),
                slices.to_string(),
                merged_slices.to_string(),
                written_files.to_string(),
                output::bytes(*written_bytes),
            ]),
            Work::Failed { error } => cells.push(format!("failed: {error}")),
        }
        table.row(cells);
    }
    table
}
