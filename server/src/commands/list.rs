//! `jetway list`: which datasets there are.

use anyhow::{Context, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use futures::stream::{self, StreamExt, TryStreamExt};
use jetway_odf::chain::{self, ChainState};
use jetway_odf::identity::{AccountName, DatasetId, DatasetName, Multihash};
use jetway_odf::metadata::DatasetKind;
use jetway_planner::PinnedDataset;
use serde::Serialize;

use crate::output::{self, Output, Table, or_dash};
use crate::workspace::{DatasetArgument, Place};

/// How many chains are read at the same time.
const CONCURRENT_READS: usize = 8;

const EXAMPLES: &str = "\
Examples:
  jetway list
  jetway list 'net.example.*' --wide
  jetway list --repository s3://bucket/prefix --output json";

/// List datasets with what they hold.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Only these: NAME, ACCOUNT/NAME, a DID, or a pattern such as 'net.*' or '*/net.*'.
    names: Vec<DatasetArgument>,
    /// Also identities, heads, sizes of checkpoints and when datasets were made.
    #[arg(long, short)]
    wide: bool,
    /// How the list is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

/// A dataset as it is listed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: DatasetId,
    account: Option<AccountName>,
    name: DatasetName,
    kind: DatasetKind,
    head: Multihash,
    blocks: u64,
    records: u64,
    /// Bytes of the slices.
    size: u64,
    /// Bytes of the checkpoints.
    checkpoint_size: u64,
    created_at: DateTime<Utc>,
    /// When rows or a watermark were last written.
    updated_at: Option<DateTime<Utc>>,
    watermark: Option<DateTime<Utc>>,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let datasets = if args.names.is_empty() {
        workspace.all().await?
    } else {
        workspace.datasets(&args.names).await?
    };
    let mut entries: Vec<Entry> = stream::iter(datasets)
        .map(read)
        .buffered(CONCURRENT_READS)
        .try_collect()
        .await?;
    entries.sort_by(|a, b| (&a.account, &a.name).cmp(&(&b.account, &b.name)));
    args.output.print(&entries, || table(&entries, args.wide))
}

async fn read(dataset: PinnedDataset) -> Result<Entry> {
    let state = chain::load(&dataset.storage, dataset.head, |_| ())
        .await
        .with_context(|| {
            format!(
                "the chain of {} cannot be read; `jetway verify` says more",
                dataset.alias
            )
        })?;
    Ok(Entry::new(dataset, &state))
}

impl Entry {
    fn new(dataset: PinnedDataset, state: &ChainState) -> Self {
        let counts = state.counts();
        Self {
            id: dataset.id,
            account: dataset.alias.account,
            name: dataset.alias.name,
            kind: dataset.kind,
            head: dataset.head,
            blocks: counts.blocks,
            records: counts.records,
            size: counts.data_bytes,
            checkpoint_size: counts.checkpoint_bytes,
            created_at: state.created_at(),
            updated_at: state.last_data_at(),
            watermark: state.watermark(),
        }
    }
}

fn table(entries: &[Entry], wide: bool) -> Table {
    let mut columns = vec![
        "Account",
        "Name",
        "Kind",
        ">Blocks",
        ">Records",
        ">Size",
        "Updated",
        "Watermark",
    ];
    if wide {
        columns.extend([">Checkpoints", "Created", "Id", "Head"]);
    }
    let mut table = Table::new(&columns);
    for entry in entries {
        let mut cells = vec![
            or_dash(entry.account.as_ref()),
            entry.name.to_string(),
            kind(entry.kind).to_owned(),
            entry.blocks.to_string(),
            entry.records.to_string(),
            output::bytes(entry.size),
            or_dash(entry.updated_at.map(seconds)),
            or_dash(entry.watermark.map(seconds)),
        ];
        if wide {
            cells.extend([
                output::bytes(entry.checkpoint_size),
                seconds(entry.created_at),
                entry.id.to_string(),
                entry.head.to_string(),
            ]);
        }
        table.row(cells);
    }
    table
}

fn kind(kind: DatasetKind) -> &'static str {
    match kind {
        DatasetKind::Root => "root",
        DatasetKind::Derivative => "derivative",
    }
}

fn seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
