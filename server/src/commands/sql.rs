//! `jetway sql`: asks a running node and prints the answer as it arrives.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

use arrow::array::AsArray;
use arrow::datatypes::SchemaRef;
use arrow_flight::decode::DecodedPayload;
use clap::ValueEnum;
use futures::TryStreamExt;

use crate::client::{Client, Connection, explain};

pub(super) mod output;
mod proof;

use output::Printer;
use proof::ProofFile;

const EXAMPLES: &str = "\
Examples:
  jetway sql \"SELECT * FROM alice.trades LIMIT 10\" --user alice
  jetway sql \"SELECT * FROM trades\" --output csv > trades.csv
  jetway sql --dry-run \"SELECT * FROM trades\"
  echo 'SELECT 1' | jetway sql -
  jetway sql \"SELECT * FROM trades\" --proof answer.json       the answer and its proof, for `jetway verify-query`";

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
    /// Run nothing: print which slices would be read, how many bytes they have, and the memory that is expected.
    #[arg(long)]
    dry_run: bool,
    /// Most rows that a table shows; 0 means all of them. Other outputs are never cut.
    #[arg(long, value_name = "ROWS", default_value_t = 1000)]
    max_rows: usize,
    /// File for the answer with a proof that the node signs.
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
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
    let mut client = args.connection.open().await?;
    if args.dry_run {
        return cost(&mut client, &statement).await;
    }
    match args.proof {
        Some(path) => {
            client.set_header("jetway-proof", "true");
            prove(&mut client, statement, args.output, args.max_rows, path).await
        }
        None => answer(&mut client, statement, args.output, args.max_rows).await,
    }
}

/// Prints the answer to a statement, and writes it into a file with its proof.
async fn prove(client: &mut Client, statement: String, output: Output, max_rows: usize, path: PathBuf) -> Result<()> {
    let info = client.execute(statement, None).await.map_err(explain)?;
    let schema = SchemaRef::new(
        info.clone()
            .try_decode_schema()
            .context("the node announced a damaged schema")?,
    );
    let mut file = ProofFile::create(path, SchemaRef::clone(&schema))?;
    let mut printer = Printer::new(output, schema, max_rows);
    let mut stdout = std::io::BufWriter::new(std::io::stdout());
    let (mut prints, mut told) = (true, Vec::new());
    for endpoint in info.endpoint {
        let Some(ticket) = endpoint.ticket else { continue };
        let mut messages = client.do_get(ticket).await.map_err(explain)?.into_inner();
        while let Some(message) = messages.try_next().await.map_err(explain)? {
            if !message.app_metadata().is_empty() {
                told = message.app_metadata().to_vec();
            }
            if let DecodedPayload::RecordBatch(batch) = message.payload {
                file.write(&batch)?;
                prints = prints && printer.print(&mut stdout, &batch)?;
            }
        }
    }
    let signer = file.finish(&told)?;
    let rows = printer.finish(&mut stdout)?;
    stdout.flush()?;
    writeln!(std::io::stderr(), "{rows}, signed by {signer}")?;
    Ok(())
}

/// Prints what a statement would cost: the last row of its EXPLAIN.
async fn cost(client: &mut Client, statement: &str) -> Result<()> {
    let info = client
        .execute(format!("EXPLAIN {statement}"), None)
        .await
        .map_err(explain)?;
    let mut cost = None;
    for ticket in info.endpoint.into_iter().filter_map(|endpoint| endpoint.ticket) {
        let mut batches = client.do_get(ticket).await.map_err(explain)?;
        while let Some(batch) = batches.try_next().await.map_err(explain)? {
            let texts = batch.columns().get(1).and_then(|column| column.as_string_opt::<i32>());
            cost = texts
                .and_then(|texts| texts.iter().last().flatten().map(str::to_owned))
                .or(cost);
        }
    }
    let cost = cost.context("the node told no cost; is it an older one?")?;
    writeln!(std::io::stdout(), "{cost}")?;
    Ok(())
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
