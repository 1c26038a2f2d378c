//! `jetway reset`: moves a dataset back to an earlier block.

use std::io::Write;

use anyhow::Result;
use jetway_control::datasets::ResetTarget;
use jetway_odf::identity::Multihash;

use crate::output::{confirm, counted};
use crate::workspace::{DatasetArgument, Place};

const EXAMPLES: &str = "\
Examples:
  jetway log trades --output table          find the block
  jetway reset trades f1620...              the block becomes the newest one
  jetway reset trades --to-seed --yes       as after it was made, without definition and rows";

/// Move a dataset back to an earlier block. Whoever reads or copies it sees that its history was rewritten.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// NAME, ACCOUNT/NAME or a DID.
    name: DatasetArgument,
    /// Hash of the block that becomes the newest one.
    #[arg(required_unless_present = "to_seed", conflicts_with = "to_seed")]
    block: Option<Multihash>,
    /// Back to the first block.
    #[arg(long)]
    to_seed: bool,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let dataset = workspace.dataset(&args.name).await?;
    let target = args.block.map_or(ResetTarget::Seed, ResetTarget::Block);
    let question = match target {
        ResetTarget::Seed => format!("Reset {} to its first block?", dataset.alias),
        ResetTarget::Block(hash) => format!("Reset {} to the block {hash}?", dataset.alias),
    };
    confirm(&question, args.yes)?;
    let reset = workspace.catalog.reset(&workspace.subject, &dataset, target).await?;
    writeln!(
        std::io::stderr(),
        "{} lost its last {}; its head is {}.",
        dataset.alias,
        counted(reset.removed, "block"),
        reset.head
    )?;
    Ok(())
}
