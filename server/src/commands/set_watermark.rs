//! `jetway set-watermark`: says up to which event time a dataset is complete.

use std::io::Write;

use anyhow::Result;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use jetway_control::datasets::Watermark;

use crate::output::seconds;
use crate::workspace::{DatasetArgument, Place};

const EXAMPLES: &str = "\
Examples:
  jetway set-watermark trades 2024-06-01T00:00:00Z
  jetway set-watermark trades 2024-06-01             midnight in UTC";

/// Say up to which event time a root dataset is complete, although no later row has arrived.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// NAME, ACCOUNT/NAME or a DID.
    name: DatasetArgument,
    /// A time such as 2024-06-01T12:00:00Z, or a day.
    #[arg(value_parser = time)]
    watermark: DateTime<Utc>,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let dataset = workspace.dataset(&args.name).await?;
    let now = workspace.clock.now();
    let outcome = workspace
        .catalog
        .set_watermark(&workspace.subject, &dataset, args.watermark, now)
        .await?;
    let (alias, time) = (dataset.alias, seconds(args.watermark));
    match outcome {
        Watermark::Set(block) => writeln!(std::io::stderr(), "The watermark of {alias} is {time} (block {block}).")?,
        Watermark::Unchanged => writeln!(std::io::stderr(), "The watermark of {alias} was {time} already.")?,
    }
    Ok(())
}

fn time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.with_timezone(&Utc));
    }
    text.parse::<NaiveDate>()
        .map(|day| day.and_time(NaiveTime::MIN).and_utc())
        .map_err(|_| "write a time as 2024-06-01T12:00:00Z, or a day as 2024-06-01".to_owned())
}
