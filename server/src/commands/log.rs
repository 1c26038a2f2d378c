//! `jetway log`: the blocks of a dataset, newest first.

use std::io::Write;

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use futures::TryStreamExt;
use jetway_odf::chain::walk_back;
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::Multihash;
use jetway_odf::manifest::write_log_entry;
use jetway_odf::metadata::{DataSlice, MetadataBlock, MetadataEvent};
use serde::Serialize;

use crate::output::seconds;
use crate::workspace::{DatasetArgument, Place};

const EXAMPLES: &str = "\
Examples:
  jetway log trades
  jetway log trades --limit 5 --output table
  jetway log trades --event SetDataSchema --output json | jq .event";

/// The kinds of events that can be asked for.
const KINDS: [&str; 13] = [
    "Seed",
    "AddData",
    "ExecuteTransform",
    "SetPollingSource",
    "AddPushSource",
    "SetTransform",
    "SetVocab",
    "SetDataSchema",
    "SetInfo",
    "SetLicense",
    "SetAttachments",
    "DisablePollingSource",
    "DisablePushSource",
];

/// Show the blocks of a dataset, newest first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// NAME, ACCOUNT/NAME or a DID.
    name: DatasetArgument,
    /// At most so many blocks.
    #[arg(long, short = 'n', value_name = "BLOCKS")]
    limit: Option<usize>,
    /// Only blocks with an event of this kind; may be given several times.
    #[arg(long, value_name = "KIND", ignore_case = true, value_parser = PossibleValuesParser::new(KINDS))]
    event: Vec<String>,
    /// How the blocks are printed.
    #[arg(long, short, value_enum, default_value_t = Output::Yaml)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Manifests, as other ODF tools print them.
    Yaml,
    /// One line per block.
    Table,
    /// One JSON object per line.
    Json,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let dataset = workspace.dataset(&args.name).await?;
    let mut stdout = std::io::BufWriter::new(std::io::stdout());
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut blocks = std::pin::pin!(walk_back(&dataset.storage, dataset.head, None));
    while left > 0
        && let Some(block) = blocks.try_next().await?
    {
        let kind = block.block.event.kind();
        if args.event.is_empty() || args.event.iter().any(|wanted| wanted.eq_ignore_ascii_case(kind)) {
            print(&mut stdout, &block, args.output)?;
            left -= 1;
        }
    }
    Ok(stdout.flush()?)
}

/// A block as a JSON object.
#[derive(Serialize)]
struct Entry<'a> {
    hash: Multihash,
    #[serde(flatten)]
    block: &'a MetadataBlock,
}

fn print(to: &mut impl Write, block: &EncodedBlock, output: Output) -> Result<()> {
    match output {
        // Two empty lines follow, as in the logs of the reference implementation.
        Output::Yaml => write!(to, "{}\n\n", write_log_entry(block)?)?,
        Output::Json => {
            let (hash, block) = (block.hash, &block.block);
            writeln!(to, "{}", serde_json::to_string(&Entry { hash, block })?)?;
        }
        Output::Table => {
            let MetadataBlock {
                sequence_number,
                system_time,
                event,
                ..
            } = &block.block;
            let line = format!(
                "{sequence_number:>8}  {}  {}  {:<20}  {}",
                seconds(*system_time),
                block.hash,
                event.kind(),
                summary(event)
            );
            writeln!(to, "{}", line.trim_end())?;
        }
    }
    Ok(())
}

/// What an event says, in a few words.
fn summary(event: &MetadataEvent) -> String {
    match event {
        MetadataEvent::Seed(seed) => format!("{:?} {}", seed.dataset_kind, seed.dataset_id),
        MetadataEvent::AddData(data) => changes(data.new_data.as_ref(), data.new_watermark),
        MetadataEvent::ExecuteTransform(data) => changes(data.new_data.as_ref(), data.new_watermark),
        MetadataEvent::SetTransform(transform) => {
            let inputs = transform.inputs.iter();
            let names: Vec<&str> = inputs
                .map(|input| input.alias.as_deref().unwrap_or(&input.dataset_ref))
                .collect();
            format!("from {}", names.join(", "))
        }
        MetadataEvent::SetDataSchema(schema) => match &schema.schema {
            Some(schema) => {
                let names: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
                names.join(", ")
            }
            None => "legacy form".to_owned(),
        },
        MetadataEvent::AddPushSource(source) => source.source_name.clone(),
        MetadataEvent::DisablePushSource(source) => source.source_name.clone(),
        MetadataEvent::SetLicense(license) => license.name.clone(),
        MetadataEvent::SetInfo(info) => info.description.clone().unwrap_or_default(),
        MetadataEvent::SetPollingSource(_)
        | MetadataEvent::SetVocab(_)
        | MetadataEvent::SetAttachments(_)
        | MetadataEvent::DisablePollingSource(_) => String::new(),
    }
}

fn changes(slice: Option<&DataSlice>, watermark: Option<chrono::DateTime<chrono::Utc>>) -> String {
    let rows = slice.map(|slice| format!("offsets {}-{}", slice.offset_interval.start, slice.offset_interval.end));
    let watermark = watermark.map(|time| format!("watermark {}", seconds(time)));
    let parts: Vec<String> = rows.into_iter().chain(watermark).collect();
    parts.join(", ")
}
