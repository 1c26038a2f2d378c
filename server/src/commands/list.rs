//! `jetway list`: which datasets there are.

use anyhow::Result;
use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt};
use jetway_control::RegisteredDataset;
use jetway_odf::chain::load;
use jetway_odf::identity::{AccountName, DatasetId, DatasetName, Multihash};
use jetway_odf::metadata::DatasetKind;
use serde::Serialize;

use crate::cli::chain;
use crate::output::{self, Output, Table, or_dash, seconds};
use crate::workspace::{DatasetArgument, Place, Workspace};

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
    #[serde(flatten)]
    contents: Contents,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Contents {
    Readable(Readable),
    /// Why the chain cannot be read.
    Damaged {
        error: String,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Readable {
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
    let registered = workspace.registered(&args.names).await?;
    let mut entries: Vec<Entry> = stream::iter(registered)
        .map(async |dataset| {
            let contents = match read(&workspace, &dataset).await {
                Ok(contents) => Contents::Readable(contents),
                Err(error) => Contents::Damaged {
                    error: chain(error.as_ref()),
                },
            };
            Entry {
                id: dataset.id,
                account: dataset.alias.account,
                name: dataset.alias.name,
                contents,
            }
        })
        .buffered(CONCURRENT_READS)
        .collect()
        .await;
    entries.sort_by(|a, b| (&a.account, &a.name).cmp(&(&b.account, &b.name)));
    args.output.print(&entries, || table(&entries, args.wide))
}

async fn read(workspace: &Workspace, dataset: &RegisteredDataset) -> Result<Readable> {
    let dataset = workspace.pin(dataset).await?;
    let state = load(&dataset.storage, dataset.head, |_| ()).await?;
    let counts = state.counts();
    Ok(Readable {
        kind: dataset.kind,
        head: dataset.head,
        blocks: counts.blocks,
        records: counts.records,
        size: counts.data_bytes,
        checkpoint_size: counts.checkpoint_bytes,
        created_at: state.created_at(),
        updated_at: state.last_data_at(),
        watermark: state.watermark(),
    })
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
        let mut cells = vec![or_dash(entry.account.as_ref()), entry.name.to_string()];
        match &entry.contents {
            Contents::Readable(readable) => {
                cells.extend([
                    kind(readable.kind).to_owned(),
                    readable.blocks.to_string(),
                    readable.records.to_string(),
                    output::bytes(readable.size),
                    or_dash(readable.updated_at.map(seconds)),
                    or_dash(readable.watermark.map(seconds)),
                ]);
                if wide {
                    cells.extend([
                        output::bytes(readable.checkpoint_size),
                        seconds(readable.created_at),
                        entry.id.to_string(),
                        readable.head.to_string(),
                    ]);
                }
            }
            Contents::Damaged { .. } => cells.push("damaged: see `jetway verify`".to_owned()),
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
