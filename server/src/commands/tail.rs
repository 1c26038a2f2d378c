//! `jetway tail`: the last rows of a dataset.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use futures::StreamExt;
use jetway_odf::chain::load;

use super::sql::Output;
use super::sql::output::Printer;
use crate::output::counted;
use crate::workspace::{DatasetArgument, Place};

const EXAMPLES: &str = "\
Examples:
  jetway tail trades
  jetway tail trades -n 100 --output csv
  jetway tail trades -n 10 --skip 10       the ten rows before the last ten

In a table, operations are +A (appended), -R (retracted), -C and +C (corrected from and to);
other outputs have their numbers 0 to 3.";

/// Show the last rows of a dataset, by offset. Only the newest slices are read.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// NAME, ACCOUNT/NAME or a DID.
    name: DatasetArgument,
    /// How many rows.
    #[arg(long, short = 'n', value_name = "ROWS", default_value_t = 10)]
    rows: u64,
    /// How many of the last rows are left out.
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    skip: u64,
    /// How the rows are printed.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    place: Place,
}

pub(crate) async fn run(args: Args) -> Result<()> {
    let workspace = args.place.open().await?;
    let dataset = workspace.dataset(&args.name).await?;
    let state = load(&dataset.storage, dataset.head, |_| ()).await?;
    let range = range(state.last_offset(), args.rows, args.skip);
    let vocabulary = state.vocabulary();
    let offset = format!("\"{}\"", vocabulary.offset.replace('"', "\"\""));
    let statement = match range {
        Some((first, last)) => {
            format!(
                "SELECT * FROM \"{}\" WHERE {offset} BETWEEN {first} AND {last} ORDER BY {offset}",
                dataset.id
            )
        }
        None => format!("SELECT * FROM \"{}\" LIMIT 0", dataset.id),
    };
    let statement = workspace.planner()?.plan(&workspace.subject, &statement, None).await?;
    let mut rows = statement.execute().await?;
    let op = (args.output == Output::Table)
        .then(|| statement.schema().index_of(&vocabulary.operation_type).ok())
        .flatten();
    let mut stdout = std::io::BufWriter::new(std::io::stdout());
    let mut printer = Printer::new(args.output, with_signs(&statement.schema(), op), 0);
    while let Some(batch) = rows.next().await {
        printer.print(&mut stdout, &signed(&batch?, op)?)?;
    }
    printer.finish(&mut stdout)?;
    stdout.flush()?;
    if args.output == Output::Table {
        let total = state.last_offset().map_or(0, |last| last.saturating_add(1));
        let shown = range.map_or(0, |(first, last)| last - first + 1);
        writeln!(std::io::stderr(), "{shown} of {}", counted(total, "row"))?;
    }
    Ok(())
}

/// First and last offset of what is asked for.
fn range(last: Option<u64>, rows: u64, skip: u64) -> Option<(u64, u64)> {
    let last = last?.checked_sub(skip)?;
    let before = rows.checked_sub(1)?;
    Some((last.saturating_sub(before), last))
}

/// The schema with operations as text.
fn with_signs(schema: &SchemaRef, op: Option<usize>) -> SchemaRef {
    let fields = schema.fields().iter().enumerate().map(|(index, field)| {
        if Some(index) == op {
            Arc::new(Field::new(field.name(), DataType::Utf8, true))
        } else {
            Arc::clone(field)
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The rows with operations as text.
fn signed(batch: &RecordBatch, op: Option<usize>) -> Result<RecordBatch> {
    let columns = batch.columns().iter().enumerate().map(|(index, column)| {
        let operations = column.as_primitive_opt::<Int32Type>().filter(|_| Some(index) == op);
        match operations {
            Some(operations) => {
                let signs: StringArray = operations.iter().map(|operation| operation.map(sign)).collect();
                Arc::new(signs) as ArrayRef
            }
            None => Arc::clone(column),
        }
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let fields = batch.schema_ref().fields().iter().zip(&columns);
    let fields: Vec<_> = fields
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
        .collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

const fn sign(operation: i32) -> &'static str {
    match operation {
        0 => "+A",
        1 => "-R",
        2 => "-C",
        3 => "+C",
        _ => "?",
    }
}
