//! `jetway sql`: asks a running node and prints the answer as it arrives.

use std::io::{Read, Write};
use std::time::Instant;

use anyhow::{Context, Result};

use arrow::datatypes::SchemaRef;
use clap::ValueEnum;
use futures::TryStreamExt;

use crate::client::{Client, Connection, explain};

pub(super) mod output;

use output::Printer;

const EXAMPLES: &str = "\
Examples:
  jetway sql \"SELECT * FROM alice.trades LIMIT 10\" --user alice
  jetway sql \"SELECT * FROM trades\" --output csv > trades.csv
  echo 'SELECT 1' | jetway sql -";

/// Ask a running node in SQL.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The statement, or - to read it from standard input.
    statement: String,
    #[command(flatten)]
    connection: Connection,
    /// How the answer is printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Most rows that a table shows; 0 means all of them. Other outputs are never cut.
    #[arg(long, value_name = "ROWS", default_value_t = 1000)]
    max_rows: usize,
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// One JSON array.
    Json,
    /// With a header line.
    Csv,
    /// One JSON object per line.
    Ndjson,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let statement = if args.statement == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("the statement cannot be read from standard input")?;
        text
    } else {
        args.statement
    };
    answer(
        &mut args.connection.open().await?,
        statement,
        args.output,
        args.max_rows,
    )
    .await
}

/// Prints the answer to a statement.
pub(super) async fn answer(client: &mut Client, statement: String, output: Output, max_rows: usize) -> Result<()> {
    let started = Instant::now();
    let info = client.execute(statement, None).await.map_err(explain)?;
    let schema = info
        .clone()
        .try_decode_schema()
        .context("the node announced a damaged schema")?;
    let mut printer = Printer::new(output, SchemaRef::new(schema), max_rows);
    let mut stdout = std::io::BufWriter::new(std::io::stdout());
    'answer: for endpoint in info.endpoint {
        let Some(ticket) = endpoint.ticket else { continue };
        let mut batches = client.do_get(ticket).await.map_err(explain)?;
        while let Some(batch) = batches.try_next().await.map_err(explain)? {
            if !printer.print(&mut stdout, &batch)? {
                break 'answer;
            }
        }
    }
    let rows = printer.finish(&mut stdout)?;
    stdout.flush()?;
    if output == Output::Table {
        let seconds = started.elapsed().as_secs_f64();
        writeln!(std::io::stderr(), "{rows}, {seconds:.2} s")?;
    }
    Ok(())
}
