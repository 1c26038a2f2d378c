//! Prints batches as they arrive.

use std::io::Write;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::json;
use arrow::json::writer::{JsonArray, LineDelimited};
use arrow::util::pretty::pretty_format_batches_with_schema;

use super::Output;

/// Turns batches into text. A table is kept until its end is known; everything else goes out at once.
#[derive(Debug)]
pub(in crate::commands) struct Printer {
    output: Output,
    schema: SchemaRef,
    /// Most rows of a table.
    max_rows: usize,
    /// Rows of a table so far, at most `max_rows`.
    kept: Vec<RecordBatch>,
    rows: usize,
    /// Whether there were more rows than a table shows.
    cut: bool,
    /// Whether anything has been printed.
    begun: bool,
}

impl Printer {
    pub(in crate::commands) fn new(output: Output, schema: SchemaRef, max_rows: usize) -> Self {
        let max_rows = if max_rows == 0 { usize::MAX } else { max_rows };
        Self {
            output,
            schema,
            max_rows,
            kept: Vec::new(),
            rows: 0,
            cut: false,
            begun: false,
        }
    }

    /// Takes a batch. `false` means that no more are wanted.
    pub(in crate::commands) fn print(&mut self, to: &mut impl Write, batch: &RecordBatch) -> Result<bool> {
        match self.output {
            Output::Table => {
                let room = self.max_rows - self.rows;
                self.cut = batch.num_rows() > room;
                let shown = batch.slice(0, batch.num_rows().min(room));
                self.rows += shown.num_rows();
                self.kept.push(shown);
                return Ok(!self.cut);
            }
            Output::Csv => {
                // Through memory, because the writer's own errors do not tell a closed pipe from other failures.
                let mut bytes = Vec::new();
                let mut writer = csv::WriterBuilder::new().with_header(!self.begun).build(&mut bytes);
                writer
                    .write(batch)
                    .context("a column cannot be written as CSV; use --output json")?;
                drop(writer);
                to.write_all(&bytes)?;
            }
            Output::Json => {
                let text = json_text::<JsonArray>(batch)?;
                // Each batch is an array: without its brackets it is a part of a larger one.
                let objects = text
                    .strip_prefix("[")
                    .and_then(|text| text.strip_suffix("]"))
                    .unwrap_or_default();
                if !objects.is_empty() {
                    let separator = if self.begun { ",\n" } else { "[" };
                    write!(to, "{separator}{objects}")?;
                    self.begun = true;
                }
                self.rows += batch.num_rows();
                return Ok(true);
            }
            Output::Ndjson => to.write_all(json_text::<LineDelimited>(batch)?.as_bytes())?,
        }
        self.begun = true;
        self.rows += batch.num_rows();
        Ok(true)
    }

    /// Prints what is left, and says how many rows there were.
    pub(in crate::commands) fn finish(mut self, to: &mut impl Write) -> Result<String> {
        match self.output {
            Output::Table => {
                let table = pretty_format_batches_with_schema(SchemaRef::clone(&self.schema), &self.kept)?;
                writeln!(to, "{table}")?;
            }
            // An empty answer still has a header.
            Output::Csv if !self.begun => {
                let empty = RecordBatch::new_empty(SchemaRef::clone(&self.schema));
                self.print(to, &empty)?;
            }
            Output::Json => to.write_all(if self.begun { b"]\n" } else { b"[]\n" })?,
            Output::Csv | Output::Ndjson => {}
        }
        Ok(match (self.rows, self.cut) {
            (1, false) => "1 row".to_owned(),
            (rows, false) => format!("{rows} rows"),
            (rows, true) => format!("the first {rows} rows of more; --max-rows 0 or --output csv shows all"),
        })
    }
}

/// A batch as JSON. Null is written out, so that every row has every column.
fn json_text<F: json::writer::JsonFormat>(batch: &RecordBatch) -> Result<String> {
    let mut bytes = Vec::new();
    let mut writer = json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, F>(&mut bytes);
    writer
        .write(batch)
        .and_then(|()| writer.finish())
        .context("a column cannot be written as JSON; cast it to text in the statement")?;
    drop(writer);
    Ok(String::from_utf8(bytes)?)
}
