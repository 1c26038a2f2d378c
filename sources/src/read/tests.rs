//! Readers over inputs made here.

use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use jetway_odf::metadata::ReadStep;
use serde_json::Value;

use super::{ReadOptions, read};
use crate::{Content, Error, Input, Result, RowStream};

mod columnar;
mod csv;
mod ddl;
mod fixtures;
mod flow;
mod garbage;
mod geo;
mod json;
mod values;

fn step(definition: Value) -> ReadStep {
    serde_json::from_value(definition).unwrap()
}

/// Bytes that arrive in small pieces, so that everything is cut somewhere.
fn arriving(bytes: impl Into<Vec<u8>>) -> Input {
    let bytes = bytes.into();
    let size = if bytes.len() > 10_000 { 1000 } else { 7 };
    let pieces: Vec<Result<Bytes>> = bytes
        .chunks(size)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    Input {
        name: "input".to_owned(),
        content: Content::Stream(stream::iter(pieces).boxed()),
    }
}

fn at_rest(path: impl Into<PathBuf>) -> Input {
    Input {
        name: "input".to_owned(),
        content: Content::File(path.into()),
    }
}

/// Columns as `name TYPE`, `NOT NULL` where it is so, and rows with `|` between values, null as `∅`.
#[derive(Debug, PartialEq)]
struct Table {
    columns: Vec<String>,
    rows: Vec<String>,
}

async fn table(rows: RowStream) -> Result<Table> {
    let schema = rows.schema();
    let columns = schema.fields().iter().map(|field| {
        let required = if field.is_nullable() { "" } else { " NOT NULL" };
        format!("{} {}{required}", field.name(), field.data_type())
    });
    let batches: Vec<RecordBatch> = rows.try_collect().await?;
    assert!(
        batches.iter().all(|batch| batch.schema() == schema),
        "a batch has another schema than the stream"
    );
    Ok(Table {
        columns: columns.collect(),
        rows: batches.iter().flat_map(lines).collect(),
    })
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::default().with_null("∅");
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            let values = columns.iter().map(|column| column.value(row).to_string());
            values.collect::<Vec<_>>().join("|")
        })
        .collect()
}

async fn try_table(definition: Value, bytes: impl Into<Vec<u8>>) -> Result<Table> {
    table(read(&step(definition), arriving(bytes), &ReadOptions::default()).await?).await
}

/// The rows that a step reads from bytes.
async fn rows(definition: Value, bytes: impl Into<Vec<u8>>) -> Vec<String> {
    try_table(definition, bytes).await.unwrap().rows
}

async fn columns(definition: Value, bytes: impl Into<Vec<u8>>) -> Vec<String> {
    try_table(definition, bytes).await.unwrap().columns
}

async fn error(definition: Value, bytes: impl Into<Vec<u8>>) -> Error {
    try_table(definition, bytes).await.unwrap_err()
}

/// Asserts that an error says all of these.
#[track_caller]
fn assert_says(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "'{text}' does not say '{part}'");
    }
}
