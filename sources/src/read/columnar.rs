//! Parquet, Arrow IPC and Avro.
//!
//! Their columns come with types. A declared schema takes columns by name, and only values that it does not change; other
//! columns are left out.

use std::cell::RefCell;
use std::io::{self, BufReader, Cursor, Read};
use std::iter;
use std::rc::Rc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow_avro::reader::{ReaderBuilder, read_header_info};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::ReadOptions;
use super::bytes::{Local, Source};
use super::conform::Conform;
use super::ipc::IpcReader;
use super::thread::Opened;
use crate::{Error, ErrorKind, Result};

/// A format with types of its own, and the declared schema.
pub(super) enum Columnar {
    Parquet(Option<SchemaRef>),
    ArrowIpc(Option<SchemaRef>),
    Avro(Option<SchemaRef>),
}

/// Most bytes of the header of an Avro file, which grows with the columns.
const MAX_AVRO_HEADER: usize = 1 << 20;

impl Columnar {
    pub(super) fn open(self, source: Source, options: &ReadOptions) -> Result<Opened> {
        match self {
            Self::Parquet(schema) => parquet(source, schema.as_ref(), options),
            Self::ArrowIpc(schema) => arrow_ipc(source, schema.as_ref()),
            Self::Avro(schema) => avro(source, schema.as_ref(), options),
        }
    }
}

fn parquet(source: Source, schema: Option<&SchemaRef>, options: &ReadOptions) -> Result<Opened> {
    const BAD: &str = "the file is not a valid Parquet file, or it is damaged or cut off";
    let local = source.into_local(options)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(local.open()?).map_err(|error| bad(BAD, error))?;
    let mut conform = Conform::new(builder.schema(), schema)?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), conform.project());
    let reader = builder
        .with_projection(mask)
        .with_batch_size(options.batch_rows.max(1))
        .build()
        .map_err(|error| bad(BAD, error))?;
    Ok(conformed(conform, reader, BAD, Some(local)))
}

fn arrow_ipc(source: Source, schema: Option<&SchemaRef>) -> Result<Opened> {
    const BAD: &str =
        "the file is neither a valid Arrow IPC stream nor a valid Arrow IPC file, or it is damaged or cut off";
    let reader = IpcReader::new(BufReader::new(source.into_read()?)).map_err(|error| bad(BAD, error))?;
    let conform = Conform::new(&reader.schema(), schema)?;
    Ok(conformed(conform, reader, BAD, None))
}

fn avro(source: Source, schema: Option<&SchemaRef>, options: &ReadOptions) -> Result<Opened> {
    const BAD: &str = "the file is not a valid Avro object container file, or it is damaged or cut off";
    let (head, rest) = source.into_read_after(MAX_AVRO_HEADER)?;
    // The reader ends silently in the middle of a block. Blocks end with the mark that ends the header.
    let mark = read_header_info(head.as_slice())
        .map_err(|error| bad(BAD, error))?
        .sync();
    let tail = Tail::default();
    let bytes = Watched {
        input: Cursor::new(head).chain(rest),
        tail: tail.clone(),
    };
    let reader = ReaderBuilder::new()
        .with_batch_size(options.batch_rows.max(1))
        .build(BufReader::new(bytes))
        .map_err(|error| bad(BAD, error))?;
    let conform = Conform::new(&reader.schema(), schema)?;
    Ok(conformed(conform, reader.chain(tail.check(mark)), BAD, None))
}

fn conformed(
    conform: Conform,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>> + 'static,
    message: &'static str,
    kept: Option<Local>,
) -> Opened {
    let schema = conform.schema();
    let mut rows = 0;
    let batches = batches.map(move |batch| {
        // A temporary file lives as long as it is read.
        let _ = &kept;
        let batch = batch.map_err(|error| bad(message, error).with_context("after rows", rows))?;
        let conformed = conform.batch(&batch, rows);
        rows += batch.num_rows() as u64;
        conformed
    });
    (schema, Box::new(batches))
}

fn bad(message: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::BadData, message).with_source(error)
}

/// The last bytes that were read.
#[derive(Debug, Clone, Default)]
struct Tail(Rc<RefCell<Vec<u8>>>);

impl Tail {
    const LENGTH: usize = 16;

    /// To follow after the last batch: nothing, or an error if the bytes do not end with a mark by then.
    fn check(self, mark: [u8; Self::LENGTH]) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> {
        iter::once_with(move || *self.0.borrow() == mark)
            .filter(|whole| !whole)
            .map(|_| Err(ArrowError::AvroError("the last block is not whole".to_owned())))
    }
}

struct Watched<R> {
    input: R,
    tail: Tail,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(out)?;
        let read = out.get(..count).unwrap_or_default();
        let mut tail = self.tail.0.borrow_mut();
        tail.extend_from_slice(read.get(count.saturating_sub(Tail::LENGTH)..).unwrap_or_default());
        let surplus = tail.len().saturating_sub(Tail::LENGTH);
        tail.drain(..surplus);
        Ok(count)
    }
}
