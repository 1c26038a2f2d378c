//! `jetway rename`: another name for a dataset.

use std::io::Write;

use anyhow::Result;
use jetway_odf::identity::DatasetAlias;

use crate::workspace::{DatasetArgument, Place, one};

const EXAMPLES: &str = "\
Examples:
  jetway rename trades trades-2024
  jetway rename alice/trades bob/trades";

/// Give a dataset another name. Its identity stays, so what is computed from it is not affected.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// NAME, ACCOUNT/NAME or a DID.
    name: DatasetArgument,
    /// The new name, in the same account unless it names one.
    new: DatasetAlias,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let dataset = one(workspace.registered(&[args.name]).await?)?;
    let new = workspace
        .catalog
        .rename(&workspace.subject, &dataset, &args.new)
        .await?;
    writeln!(std::io::stderr(), "{} is {new} now.", dataset.alias)?;
    Ok(())
}
