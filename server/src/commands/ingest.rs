//! `jetway ingest`: pushes files into a dataset of a running node.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use arrow_flight::sql::{CommandStatementIngest, TableDefinitionOptions, TableExistsOption, TableNotExistOption};
use jetway_odf::identity::DatasetRef;

use crate::client::Connection;
use crate::output::progress_bar;

mod push;
mod source;

#[cfg(test)]
mod tests;

use source::Source;

const EXAMPLES: &str = "\
Examples:
  jetway ingest trades.csv --dataset alice/trades --user alice
  jetway ingest day-1.parquet day-2.parquet --dataset alice/trades --append
  jetway ingest events.ndjson --dataset events --create

All files of one call go in together: either all of their rows are added, or none. The dataset is
made when it is not there, with the columns of the files, unless --append is given.";

/// Push files into a dataset: Parquet, CSV, JSON, GeoJSON, Arrow IPC, Avro, shapefiles.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files; the format goes by the extension: .parquet, .csv, .json, .ndjson, .jsonl, .geojson, .arrow, .avro or .shp.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// ACCOUNT/NAME, NAME in your own account, or a DID.
    #[arg(long)]
    dataset: DatasetRef,
    /// Make the dataset; fail when it is there already.
    #[arg(long, conflicts_with = "append")]
    create: bool,
    /// Add to the dataset; fail when it is not there.
    #[arg(long)]
    append: bool,
    /// A text that makes sure that these rows are added once, however often the command is repeated with it.
    #[arg(long, value_name = "TEXT")]
    idempotency_key: Option<String>,
    /// Rows of each CSV or JSON file that are looked at to find the types of its columns; 0 means all of them.
    #[arg(long, value_name = "ROWS", default_value_t = 10_000)]
    infer_rows: usize,
    #[command(flatten)]
    connection: Connection,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let source = Source::open(args.files, args.infer_rows).await?;
    let mut client = args.connection.open().await?;
    let progress = progress_bar(source.bytes(), "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    let schema = source.schema();
    let mut command = command(&args.dataset, args.create, args.append);
    command
        .options
        .extend(args.idempotency_key.map(|key| ("idempotency_key".to_owned(), key)));

    let pushed = push::push(&mut client, command, schema, source.rows(progress.clone())).await;
    progress.finish_and_clear();
    let rows = pushed.with_context(|| format!("nothing was added to {}", args.dataset))?;
    writeln!(
        std::io::stderr(),
        "{rows} {} added to {}",
        if rows == 1 { "row" } else { "rows" },
        args.dataset
    )?;
    Ok(())
}

fn command(dataset: &DatasetRef, create: bool, append: bool) -> CommandStatementIngest {
    let (schema, table) = match dataset {
        DatasetRef::Id(id) => (None, id.to_string()),
        DatasetRef::Alias(alias) => (alias.account.as_ref().map(ToString::to_string), alias.name.to_string()),
    };
    let if_exists = if create {
        TableExistsOption::Fail
    } else {
        TableExistsOption::Append
    };
    let if_not_exist = if append {
        TableNotExistOption::Fail
    } else {
        TableNotExistOption::Create
    };
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: if_not_exist.into(),
            if_exists: if_exists.into(),
        }),
        table,
        schema,
        ..CommandStatementIngest::default()
    }
}
