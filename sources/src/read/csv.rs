//! Separated text.
//!
//! With a header, columns are found by their names, whatever their order; the names must be those of the schema, no more and
//! no fewer. A text that equals `nullValue` is null, quoted or not. Within quotes, a quote is written twice or behind the
//! escape character. Empty lines are left out.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use encoding_rs::Encoding;
use jetway_odf::metadata::ReadStepCsv;

use super::bytes::Source;
use super::guess::{Guess, Members};
use super::moment::Formats;
use super::text::{self, Decoded};
use super::thread::Opened;
use super::value::{check_readable, typed};
use super::{BATCH_BYTES, ReadOptions};
use crate::{Error, ErrorKind, Result};

mod records;

use records::Records;

/// How separated text is to be read.
pub(super) struct Csv {
    dialect: Dialect,
    encoding: &'static Encoding,
    header: bool,
    infer: bool,
    null: String,
    formats: Formats,
    schema: Option<SchemaRef>,
}

/// Characters with a meaning.
#[derive(Debug, Clone, Copy)]
struct Dialect {
    separator: u8,
    quote: Option<u8>,
    escape: Option<u8>,
}

impl Csv {
    /// Understands the options of a step.
    pub(super) fn of(step: &ReadStepCsv, schema: Option<SchemaRef>) -> Result<Self> {
        if let Some(schema) = &schema {
            check_readable(schema, false)?;
        }
        let separator = character("separator", step.separator.as_deref().unwrap_or(","))?;
        Ok(Self {
            dialect: Dialect {
                separator: separator.ok_or_else(|| not_one_character("separator", ""))?,
                quote: character("quote", step.quote.as_deref().unwrap_or("\""))?,
                escape: character("escape", step.escape.as_deref().unwrap_or("\\"))?,
            },
            encoding: text::encoding(step.encoding.as_deref())?,
            header: step.header.unwrap_or(false),
            infer: step.infer_schema.unwrap_or(false),
            null: step.null_value.clone().unwrap_or_default(),
            formats: Formats::of(step.date_format.as_deref(), step.timestamp_format.as_deref())?,
            schema,
        })
    }

    pub(super) fn open(self, source: Source, options: &ReadOptions) -> Result<Opened> {
        let failure = source.failure();
        let (bytes, inferred) = if self.schema.is_none() && self.infer {
            let local = source.into_local(options)?;
            let text = Decoded::new(local.clone().read()?, self.encoding, failure.clone());
            let members = self.infer(Records::new(text, self.dialect, options.max_record_bytes), options)?;
            (local.read()?, Some(members.into_schema()?))
        } else {
            (source.into_read()?, None)
        };
        let text = Decoded::new(bytes, self.encoding, failure);
        let mut records = Records::new(text, self.dialect, options.max_record_bytes);
        let names = self.names(&mut records)?;
        let schema = match (&self.schema, inferred) {
            (Some(schema), _) => SchemaRef::clone(schema),
            (None, Some(schema)) => schema,
            (None, None) => {
                let fields = names.iter().map(|name| Field::new(name, DataType::Utf8, true));
                Arc::new(Schema::new(fields.collect::<Vec<_>>()))
            }
        };
        let positions = if self.header {
            by_name(&schema, &names)?
        } else {
            (0..schema.fields().len()).collect()
        };
        let batches = Batches {
            records,
            schema: SchemaRef::clone(&schema),
            positions,
            null: self.null,
            formats: self.formats,
            rows: options.batch_rows.max(1),
        };
        Ok((schema, Box::new(batches)))
    }

    /// What the first rows say about the columns.
    pub(super) fn members(&self, source: Source, options: &ReadOptions) -> Result<Members> {
        let failure = source.failure();
        let text = Decoded::new(source.into_read()?, self.encoding, failure);
        self.infer(Records::new(text, self.dialect, options.max_record_bytes), options)
    }

    /// Names of the file's columns: from its header, or else by number.
    fn names<R: BufRead>(&self, records: &mut Records<R>) -> Result<Vec<String>> {
        if self.header {
            if !records.next()? {
                return Err(bad("the file is empty, but its first line should name the columns"));
            }
            let names: Vec<String> = records.fields().map(str::to_owned).collect();
            let mut known = HashMap::new();
            for (position, name) in names.iter().enumerate() {
                if let Some(other) = known.insert(name, position) {
                    return Err(bad("two columns of the header have the same name")
                        .with_context("column", name)
                        .with_context("positions", format!("{} and {}", other + 1, position + 1)));
                }
            }
            return Ok(names);
        }
        if self.schema.is_some() {
            return Ok(Vec::new());
        }
        if !records.next()? {
            return Err(bad(
                "the file is empty, so that its columns are not known; declare a schema",
            ));
        }
        let count = records.fields().count();
        records.again();
        Ok((1..=count).map(|number| format!("column_{number}")).collect())
    }

    fn infer<R: BufRead>(&self, mut records: Records<R>, options: &ReadOptions) -> Result<Members> {
        let names = self.names(&mut records)?;
        let mut members = Members::default();
        for name in &names {
            members.add(name, Guess::Nothing)?;
        }
        let mut left = options.infer_rows.unwrap_or(usize::MAX);
        while left > 0 && records.next()? {
            left -= 1;
            for (name, text) in names.iter().zip(records.fields()) {
                if text != self.null {
                    members.add(name, Guess::of_text(text, &self.formats))?;
                }
            }
        }
        Ok(members)
    }
}

/// For every column of the schema its position in the file.
fn by_name(schema: &Schema, names: &[String]) -> Result<Vec<usize>> {
    let positions: HashMap<&str, usize> = names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let declared = schema.fields().iter().map(|field| field.name());
    let missing: Vec<&str> = declared
        .clone()
        .map(String::as_str)
        .filter(|name| !positions.contains_key(name))
        .collect();
    let unknown = names.iter().filter(|name| schema.index_of(name).is_err());
    let unknown: Vec<&str> = unknown.map(String::as_str).collect();
    if missing.is_empty() && unknown.is_empty() {
        return Ok(declared
            .filter_map(|name| positions.get(name.as_str()).copied())
            .collect());
    }
    let mut error = bad("the header does not name the columns of the schema; names are compared exactly");
    for (what, names) in [("missing in the header", missing), ("missing in the schema", unknown)] {
        if !names.is_empty() {
            error = error.with_context(what, names.join(", "));
        }
    }
    Err(error.with_context("line", 1))
}

struct Batches<R> {
    records: Records<R>,
    schema: SchemaRef,
    positions: Vec<usize>,
    null: String,
    formats: Formats,
    rows: usize,
}

impl<R: BufRead> Batches<R> {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let width = self.positions.len();
        let mut columns: Vec<StringBuilder> = std::iter::repeat_with(StringBuilder::new).take(width).collect();
        let mut lines = Vec::new();
        let mut bytes = 0;
        let mut order = vec![0; width];
        for (column, position) in self.positions.iter().enumerate() {
            if let Some(slot) = order.get_mut(*position) {
                *slot = column;
            }
        }
        while lines.len() < self.rows && bytes < BATCH_BYTES && self.records.next()? {
            let count = self.records.fields().count();
            if count != width {
                return Err(bad(format!("a record has {count} fields instead of {width}"))
                    .with_context("line", self.records.line())
                    .with_context("text", self.records.shown()));
            }
            for (text, column) in self.records.fields().zip(&order) {
                let Some(column) = columns.get_mut(*column) else {
                    continue;
                };
                if text == self.null {
                    column.append_null();
                } else {
                    column.append_value(text);
                    bytes += text.len();
                }
            }
            lines.push(self.records.line());
        }
        if lines.is_empty() {
            return Ok(None);
        }
        let texts: Vec<ArrayRef> = columns
            .into_iter()
            .map(|mut column| Arc::new(column.finish()) as ArrayRef)
            .collect();
        match typed(&self.schema, &texts, &self.formats)? {
            Ok(batch) => Ok(Some(batch)),
            Err(bad) => {
                let line = lines.get(bad.row).copied().unwrap_or_default();
                Err(bad.into_error().with_context("line", line))
            }
        }
    }
}

impl<R: BufRead> Iterator for Batches<R> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

/// One ASCII character, or none; `\t` may be spelled out.
fn character(option: &'static str, text: &str) -> Result<Option<u8>> {
    match text.as_bytes() {
        [] => Ok(None),
        b"\\t" => Ok(Some(b'\t')),
        [character] if character.is_ascii() && !b"\r\n".contains(character) => Ok(Some(*character)),
        _ => Err(not_one_character(option, text)),
    }
}

fn not_one_character(option: &'static str, text: &str) -> Error {
    Error::new(
        ErrorKind::InvalidSource,
        format!("{option} must be one ASCII character"),
    )
    .with_context(option, text)
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadData, message)
}
