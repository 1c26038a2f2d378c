//! `jetway delete`: removes datasets with everything in them.

use std::io::Write;

use anyhow::{Context, Result};
use jetway_control::RegisteredDataset;

use crate::output::{confirm, counted};
use crate::workspace::{DatasetArgument, Place};

const EXAMPLES: &str = "\
Examples:
  jetway delete trades
  jetway delete 'test.*' --yes
  jetway delete trades --force     although others are computed from it";

/// Delete datasets with all their rows and history. This cannot be undone.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// NAME, ACCOUNT/NAME, a DID, or a pattern such as 'net.*'.
    #[arg(required = true)]
    names: Vec<DatasetArgument>,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Also datasets that others are computed from.
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let datasets = workspace.registered(&args.names).await?;
    if !args.force {
        workspace
            .catalog
            .check_unused(&workspace.subject, &datasets)
            .await
            .context("nothing was deleted; --force deletes anyway")?;
    }
    let count = counted(datasets.len() as u64, "dataset");
    confirm(&format!("Delete {count} ({})?", names(&datasets)), args.yes)?;
    for dataset in &datasets {
        workspace
            .catalog
            .delete(&workspace.subject, dataset)
            .await
            .with_context(|| format!("{} was not deleted", dataset.alias))?;
        writeln!(std::io::stderr(), "{} was deleted.", dataset.alias)?;
    }
    Ok(())
}

/// The first names, and how many more there are.
fn names(datasets: &[RegisteredDataset]) -> String {
    const SHOWN: usize = 10;
    let mut names: Vec<String> = datasets
        .iter()
        .take(SHOWN)
        .map(|dataset| dataset.alias.to_string())
        .collect();
    if datasets.len() > SHOWN {
        names.push(format!("{} more", datasets.len() - SHOWN));
    }
    names.join(", ")
}
