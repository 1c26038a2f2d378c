//! `jetway push`: copies a dataset to somewhere else.

use anyhow::Result;
use jetway_odf::transfer::Place as Copied;

use crate::copying::{Copying, location};
use crate::workspace::{DatasetArgument, Place};

const EXAMPLES: &str = "\
Examples:
  jetway push trades --to https://node.example.org/alice/trades --token TOKEN
  jetway push trades --to s3://bucket/datasets
  jetway push trades --to file:///mnt/backup --force

The copy is the same to the byte. What is there already is not sent again; the dataset is made if it is
not there. Objects that rows link to are not copied.";

/// Copy a dataset to another node, a bucket or a folder.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// NAME, ACCOUNT/NAME or a DID.
    name: DatasetArgument,
    /// http(s)://HOST/ACCOUNT/NAME of a node, or a repository: a folder, file:///PATH or s3://BUCKET/PREFIX.
    #[arg(long, value_name = "URL")]
    to: String,
    /// Name that a new dataset gets there [default: its name here]
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    #[command(flatten)]
    copying: Copying,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let dataset = workspace.dataset(&args.name).await?;
    let (token, named) = (args.copying.token.as_ref(), args.dataset.as_deref());
    let identity = (dataset.id, &dataset.alias);
    let (target, alias) = location::target(&args.to, named, token, identity, &workspace).await?;
    let places = (&Copied::Stored(dataset.storage), &target);
    args.copying.copy(dataset.id, places, args.to, alias).await
}
