//! Writes one merged file.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{BatchCoalescer, cast, min};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMillisecondType};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use jetway_odf::hash::HashingWriter;
use jetway_odf::identity::Multihash;
use jetway_odf::storage::{DatasetStorage, ObjectKind};
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use parquet::arrow::AsyncArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::async_writer::AsyncFileWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use tokio::io::AsyncWriteExt;

use crate::read_index::manifest::{self, FOLDER, MergedFile};
use crate::read_index::piece::Piece;
use crate::session::BATCH_ROWS;
use crate::summary::{DatasetSummary, SliceEntry};
use crate::{Error, ErrorKind, Result};

/// How many inputs are on their way at the same time; the largest have [`super::select`]'s limits.
const INPUTS_AHEAD: usize = 8;

/// A row group ends when so many bytes of it are in memory.
const GROUP_BYTES: usize = 64 << 20;

/// Marks an error as one about a merged file among the inputs, not about the dataset.
const BAD_COPY: &str = "merged file";

/// Makes one file out of consecutive pieces. It is in storage when this returns, and nothing names it yet.
///
/// # Errors
/// `Corrupt` if an input does not have its hash; those of storage.
pub(super) async fn merge(storage: DatasetStorage, summary: DatasetSummary, inputs: Vec<Piece>) -> Result<MergedFile> {
    let slices: Vec<SliceEntry> = inputs
        .iter()
        .flat_map(|piece| piece.slices(&summary.slices))
        .filter_map(|piece| match piece {
            Piece::Slice(slice) => Some(slice),
            Piece::Merged(..) => None,
        })
        .collect();
    let (Some(first), Some(last)) = (slices.first(), slices.last()) else {
        return Err(Error::new(ErrorKind::Internal, "there is nothing to merge"));
    };
    let name = format!(
        "{:012}-{:012}-{}.parquet",
        first.first_offset,
        last.last_offset,
        uuid::Uuid::new_v4().simple()
    );
    let path = storage.derived().path(&format!("{FOLDER}/{name}"));
    let mut file = Upload {
        writer: BufWriter::new(Arc::clone(storage.store()), path),
        hasher: manifest::hasher(),
    };
    let (rows, first_system_time) = write(&storage, &summary, inputs, &mut file).await?;
    let expected: u64 = slices.iter().map(SliceEntry::rows).sum();
    if rows != expected {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "slices do not have as many rows as the chain says; verify the dataset",
        )
        .with_context("first offset", first.first_offset.to_string())
        .with_context("last offset", last.last_offset.to_string()));
    }
    // The file is visible only from here on.
    file.writer.shutdown().await.map_err(unavailable)?;
    let (_, hashed) = file.hasher.finish();
    Ok(MergedFile {
        name,
        size: hashed.size,
        checksum: hashed.hash,
        first_offset: first.first_offset,
        last_offset: last.last_offset,
        first_system_time,
        last_system_time: last.system_time,
        slice_count: slices.len() as u64,
        slices: manifest::digest(slices.iter()),
    })
}

/// Whether merging failed because of a merged file from before.
pub(super) fn is_bad_copy(error: &Error) -> bool {
    error.kind() == ErrorKind::Corrupt && error.has_context(BAD_COPY)
}

/// Whether the bytes of a merged file are those that were written.
pub(super) async fn has_checksum(storage: &DatasetStorage, file: &MergedFile) -> bool {
    let read = async {
        let mut bytes = storage.store().get(&file.path(storage)).await?.into_stream();
        let mut hasher = manifest::hasher();
        while let Some(piece) = bytes.try_next().await? {
            // A sink takes everything.
            let _ = hasher.write_all(&piece);
        }
        Ok::<_, object_store::Error>(hasher.finish().1.hash)
    };
    read.await.is_ok_and(|hash| hash == file.checksum)
}

async fn write(
    storage: &DatasetStorage,
    summary: &DatasetSummary,
    inputs: Vec<Piece>,
    file: &mut Upload,
) -> Result<(u64, Option<DateTime<Utc>>)> {
    let schema = &summary.schema;
    let properties = properties(&summary.state.vocabulary().offset);
    let mut writer = AsyncArrowWriter::try_new(file, Arc::clone(schema), Some(properties))?;
    let mut coalescer = BatchCoalescer::new(Arc::clone(schema), BATCH_ROWS);
    let (mut rows, mut earliest) = (0, None);
    let mut bytes = stream::iter(inputs.into_iter().map(|piece| fetch(storage.clone(), piece))).buffered(INPUTS_AHEAD);
    while let Some(bytes) = bytes.try_next().await? {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.with_batch_size(BATCH_ROWS);
        for batch in reader.build()? {
            let batch = conform(&batch?, schema)?;
            rows += batch.num_rows() as u64;
            let time = earliest_time(&batch, &summary.state.vocabulary().system_time)?;
            earliest = earliest.into_iter().chain(time).min();
            coalescer.push_batch(batch)?;
            while let Some(batch) = coalescer.next_completed_batch() {
                writer.write(&batch).await?;
            }
            if writer.in_progress_size() > GROUP_BYTES {
                writer.flush().await?;
            }
        }
        // Decoding may take long without ever waiting.
        tokio::task::yield_now().await;
    }
    coalescer.finish_buffered_batch()?;
    while let Some(batch) = coalescer.next_completed_batch() {
        writer.write(&batch).await?;
    }
    writer.finish().await?;
    Ok((rows, earliest.and_then(DateTime::from_timestamp_millis)))
}

/// The bytes of an input, which have their hash: what is wrong in storage must not get into a copy of it.
async fn fetch(storage: DatasetStorage, piece: Piece) -> Result<Bytes> {
    let path = piece.path(&storage);
    let (hash, about, name) = match &piece {
        Piece::Slice(slice) => (slice.physical_hash, "slice", slice.physical_hash.to_string()),
        Piece::Merged(file, _) => (file.checksum, BAD_COPY, file.name.clone()),
    };
    let read = async { storage.store().get(&path).await?.bytes().await };
    let corrupt = |message: &str| Error::new(ErrorKind::Corrupt, message).with_context(about, name.clone());
    let bytes = match (read.await, &piece) {
        (Ok(bytes), _) => bytes,
        (Err(error @ object_store::Error::NotFound { .. }), Piece::Merged(..)) => {
            return Err(corrupt("a merged file is gone").with_source(error));
        }
        (Err(error), Piece::Merged(..)) => return Err(unavailable(error)),
        // Says in the words of the format what is wrong.
        (Err(error), Piece::Slice(slice)) => {
            storage.open_object(ObjectKind::Data, &slice.physical_hash).await?;
            return Err(unavailable(error));
        }
    };
    if Multihash::sha3_256(&bytes) != hash {
        return Err(corrupt("a file does not have the hash that it was written with"));
    }
    Ok(bytes)
}

/// A batch with the columns of the dataset: slices from before a column was added do not have it.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let columns = schema.fields().iter().map(|field| {
        let column = batch.column_by_name(field.name());
        match column {
            None => Ok(new_null_array(field.data_type(), rows)),
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(column) => cast(column, field.data_type()),
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

/// The earliest time of a column in milliseconds; none if the column does not have such.
fn earliest_time(batch: &RecordBatch, column: &str) -> Result<Option<i64>> {
    let Some(times) = batch.column_by_name(column) else {
        return Ok(None);
    };
    let millis = cast(times, &DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())))?;
    Ok(min(millis.as_primitive::<TimestampMillisecondType>()))
}

fn properties(offset_column: &str) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_column_dictionary_enabled(ColumnPath::from(offset_column), false)
        .build()
}

/// An object that is written and hashed at the same time.
struct Upload {
    writer: BufWriter,
    hasher: HashingWriter<std::io::Sink>,
}

impl AsyncFileWriter for &mut Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), ParquetError>> {
        Box::pin(async move {
            self.hasher.write_all(&bytes)?;
            let written = self.writer.put(bytes).await;
            written.map_err(|error| ParquetError::External(Box::new(error)))
        })
    }

    /// What is complete is not yet known to be right.
    fn complete(&mut self) -> BoxFuture<'_, Result<(), ParquetError>> {
        Box::pin(async { Ok(()) })
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "files of the read index cannot be read or written",
    )
    .with_source(error)
}
