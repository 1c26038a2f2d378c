//! JSON as an array of objects, as one object per line, and both with GeoJSON features.
//!
//! Members that a declared schema does not have are left out, missing ones are null; when columns were inferred from the first
//! rows, a member that these did not have is an error. Numbers keep all their digits on the way to
//! their columns, and are taken for texts where a column is text. Of a feature the columns are its properties, and `geometry`
//! with its geometry as GeoJSON text.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::reader::{Decoder, ReaderBuilder};
use encoding_rs::Encoding;
use serde_json::Value;

use super::bytes::Source;
use super::guess::{Guess, Members};
use super::moment::Formats;
use super::text::Decoded;
use super::thread::Opened;
use super::value::{check_readable, lexical, shorten, typed};
use super::{BATCH_BYTES, ReadOptions};
use crate::{Error, ErrorKind, Result};

mod feature;
mod rows;
mod scan;

use rows::Rows;
use scan::Position;

/// How JSON is to be read.
pub(super) struct Json {
    pub(super) layout: Layout,
    /// Whether the objects are GeoJSON features.
    pub(super) features: bool,
    pub(super) encoding: &'static Encoding,
    pub(super) formats: Formats,
    pub(super) schema: Option<SchemaRef>,
}

/// Where the objects are.
#[derive(Debug, Clone)]
pub(super) enum Layout {
    /// In an array, which is the document or is inside of objects under these names.
    Array(Vec<String>),
    /// One on each line.
    Lines,
}

impl Layout {
    /// An array under a path of names with dots between them.
    pub(super) fn array(path: Option<&str>) -> Self {
        let names = path.unwrap_or_default().split('.').filter(|name| !name.is_empty());
        Self::Array(names.map(str::to_owned).collect())
    }
}

impl Json {
    pub(super) fn open(self, source: Source, options: &ReadOptions) -> Result<Opened> {
        let failure = source.failure();
        // What the looked at rows did not have would be lost.
        let strict = options.strict || self.schema.is_none();
        let (bytes, schema) = match &self.schema {
            Some(schema) => (source.into_read()?, SchemaRef::clone(schema)),
            None => {
                let local = source.into_local(options)?;
                let text = Decoded::new(local.clone().read()?, self.encoding, failure.clone());
                let members = infer(Rows::new(text, &self.layout, self.features, options), options)?;
                (local.read()?, members.into_schema()?)
            }
        };
        check_readable(&schema, true)?;
        let text = Decoded::new(bytes, self.encoding, failure);
        let lexical = Schema::new(schema.fields().iter().map(|field| lexical(field)).collect::<Vec<_>>());
        let batches = Batches {
            rows: Rows::new(text, &self.layout, self.features, options),
            schema: SchemaRef::clone(&schema),
            lexical: Arc::new(lexical),
            formats: self.formats,
            strict,
            batch_rows: options.batch_rows.max(1),
        };
        Ok((schema, Box::new(batches)))
    }

    /// What the first rows say about the columns.
    pub(super) fn members(&self, source: Source, options: &ReadOptions) -> Result<Members> {
        let failure = source.failure();
        let text = Decoded::new(source.into_read()?, self.encoding, failure);
        infer(Rows::new(text, &self.layout, self.features, options), options)
    }
}

fn infer<R: BufRead>(mut rows: Rows<R>, options: &ReadOptions) -> Result<Members> {
    let mut members = Members::default();
    let mut left = options.infer_rows.unwrap_or(usize::MAX);
    let mut row = Vec::new();
    while left > 0 {
        row.clear();
        let Some(position) = rows.next(&mut row)? else { break };
        left -= 1;
        let value = serde_json::from_slice(&row).map_err(|error| not_json(&error, position))?;
        if let Value::Object(object) = value {
            for (name, value) in &object {
                members.add(name, Guess::of_json(value)?)?;
            }
        }
    }
    Ok(members)
}

struct Batches<R> {
    rows: Rows<R>,
    schema: SchemaRef,
    lexical: SchemaRef,
    formats: Formats,
    strict: bool,
    batch_rows: usize,
}

impl<R: BufRead> Batches<R> {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut text = Vec::new();
        let mut starts = Vec::new();
        while starts.len() < self.batch_rows && text.len() < BATCH_BYTES {
            let start = text.len();
            let Some(position) = self.rows.next(&mut text)? else {
                break;
            };
            starts.push((start, position));
            text.push(b'\n');
        }
        if starts.is_empty() {
            return Ok(None);
        }
        let texts = match self.decode(&text, starts.len()) {
            Ok(texts) => texts,
            Err(error) => return Err(self.blame(&text, &starts, &error)),
        };
        match typed(&self.schema, texts.columns(), &self.formats)? {
            Ok(batch) => Ok(Some(batch)),
            Err(bad) => {
                let position = starts.get(bad.row).map(|(_, position)| *position);
                Err(position.unwrap_or_default().told_in(bad.into_error()))
            }
        }
    }

    /// Columns of texts.
    fn decode(&self, text: &[u8], rows: usize) -> Result<RecordBatch, ArrowError> {
        let mut decoder: Decoder = ReaderBuilder::new(SchemaRef::clone(&self.lexical))
            .with_coerce_primitive(true)
            .with_strict_mode(self.strict)
            .with_batch_size(rows)
            .build_decoder()?;
        decoder.decode(text)?;
        match decoder.flush()? {
            Some(batch) if batch.num_rows() == rows => Ok(batch),
            _ => Err(ArrowError::JsonError("the rows are not whole objects".to_owned())),
        }
    }

    /// The error of the first row that is bad on its own.
    fn blame(&self, text: &[u8], starts: &[(usize, Position)], error: &ArrowError) -> Error {
        let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([text.len()]);
        for ((start, position), end) in starts.iter().zip(ends) {
            let row = text.get(*start..end).unwrap_or_default();
            if let Err(error) = self.decode(row, 1) {
                let shown = shorten(String::from_utf8_lossy(row).trim_end());
                let error =
                    bad(format!("a row does not fit the columns: {}", told(&error))).with_context("text", shown);
                return position.told_in(error);
            }
        }
        bad(format!("rows do not fit the columns: {}", told(error)))
    }
}

impl<R: BufRead> Iterator for Batches<R> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

fn told(error: &ArrowError) -> String {
    let text = error.to_string();
    shorten_to_line(text.strip_prefix("Json error: ").unwrap_or(&text))
}

/// Messages of the decoder repeat values, which may be long.
fn shorten_to_line(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The error of a text that begins at a position.
fn not_json(error: &serde_json::Error, start: Position) -> Error {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or(&text);
    let position = start.after(error.line() as u64, error.column() as u64);
    position.told_in(bad(format!("the text is not valid JSON: {message}")))
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadData, message)
}
