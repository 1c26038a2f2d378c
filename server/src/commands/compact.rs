//! `jetway compact`: fewer files for the same rows.

use anyhow::{Context, Result};
use jetway_control::RegisteredDataset;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_planner::{CompactOutcome, Rewrite, RewriteOutcome, TableName};
use serde::Serialize;

use crate::config::ByteSize;
use crate::output::{self, Output, Table, confirm, counted};
use crate::workspace::{DatasetArgument, Place};

const EXAMPLES: &str = "\
Examples:
  jetway compact trades                             scans of trades open a few files from now on
  jetway compact 'net.*' --output json
  jetway compact trades --hard --yes                new history with slices of up to 300 MB
  jetway compact trades --hard --keep-metadata-only --yes

Without --hard the chain stays as it is: small slices are merged into an index beside it, which every
node finds and which may be deleted at any time. With --hard, blocks get new hashes: copies of the
dataset and datasets that are computed from it have to be made again. `jetway gc` removes the old files.";

/// Merge small slices of datasets.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// NAME, ACCOUNT/NAME, a DID, or a pattern such as 'net.*'.
    #[arg(required = true)]
    names: Vec<DatasetArgument>,
    /// Write the history again with larger slices.
    #[arg(long)]
    hard: bool,
    /// With --hard: slices are merged up to this size.
    #[arg(long, requires = "hard", value_name = "SIZE", default_value = "300MB")]
    max_slice_size: ByteSize,
    /// With --hard: slices are merged up to so many rows.
    #[arg(long, requires = "hard", value_name = "COUNT", default_value_t = 1_000_000)]
    max_slice_records: u64,
    /// With --hard: drop all rows.
    #[arg(long, requires = "hard")]
    keep_metadata_only: bool,
    /// With --hard: do not ask.
    #[arg(long, short)]
    yes: bool,
    /// How the result is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

/// What came of a dataset.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Compacted {
    id: DatasetId,
    name: String,
    /// Slices of the dataset; after a hard compaction, the new ones.
    slices: u64,
    /// How many files a scan opens.
    files_to_read: u64,
    written_files: u64,
    written_bytes: u64,
    /// What a hard compaction replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced: Option<Replaced>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Replaced {
    previous_head: Multihash,
    head: Multihash,
    previous_blocks: u64,
    previous_slices: u64,
    previous_bytes: u64,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let datasets = workspace.registered(&args.names).await?;
    if args.hard {
        let what = if args.keep_metadata_only {
            "Drop all rows of"
        } else {
            "Rewrite the history of"
        };
        let count = counted(datasets.len() as u64, "dataset");
        confirm(&format!("{what} {count}? Blocks get new hashes."), args.yes)?;
    }
    let rewrite = match args.keep_metadata_only {
        true => Rewrite::MetadataOnly,
        false => Rewrite::Slices {
            max_bytes: args.max_slice_size.bytes(),
            max_rows: args.max_slice_records,
        },
    };
    let (planner, subject) = (workspace.planner()?, &workspace.subject);
    let mut compacted = Vec::with_capacity(datasets.len());
    for dataset in datasets {
        let name = TableName::Id(dataset.id);
        let failed = || format!("{} cannot be compacted", dataset.alias);
        compacted.push(if args.hard {
            let outcome = planner.rewrite(subject, &name, rewrite).await.with_context(failed)?;
            Compacted::hard(&dataset, outcome)
        } else {
            let outcome = planner.compact(subject, &name).await.with_context(failed)?;
            Compacted::soft(&dataset, outcome)
        });
    }
    args.output.print(&compacted, || table(&compacted))
}

impl Compacted {
    fn soft(dataset: &RegisteredDataset, outcome: CompactOutcome) -> Self {
        Self {
            id: dataset.id,
            name: dataset.alias.to_string(),
            slices: outcome.slices,
            files_to_read: outcome.files_to_read,
            written_files: outcome.written_files,
            written_bytes: outcome.written_bytes,
            replaced: None,
        }
    }

    fn hard(dataset: &RegisteredDataset, outcome: RewriteOutcome) -> Self {
        let (previous_slices, slices) = outcome.slices;
        Self {
            id: dataset.id,
            name: dataset.alias.to_string(),
            slices,
            files_to_read: slices,
            written_files: outcome.written_slices,
            written_bytes: outcome.written_bytes,
            replaced: (outcome.head != outcome.previous_head).then_some(Replaced {
                previous_head: outcome.previous_head,
                head: outcome.head,
                previous_blocks: outcome.blocks.0,
                previous_slices,
                previous_bytes: outcome.bytes.0,
            }),
        }
    }
}

fn table(compacted: &[Compacted]) -> Table {
    let mut table = Table::new(&[
        "Name",
        ">Slices",
        ">Files to read",
        ">Files written",
        ">Bytes written",
        "New head",
    ]);
    for dataset in compacted {
        table.row([
            dataset.name.clone(),
            dataset.slices.to_string(),
            dataset.files_to_read.to_string(),
            dataset.written_files.to_string(),
            output::bytes(dataset.written_bytes),
            output::or_dash(dataset.replaced.as_ref().map(|replaced| replaced.head)),
        ]);
    }
    table
}
