//! From shaped batches to a sequence of slices: order by event time, system columns, where one slice ends.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, TimestampMillisecondArray,
    UInt64Array,
};
use arrow::compute::kernels::cmp::lt_eq;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{SortColumn, cast, concat_batches, is_not_null, lexsort_to_indices, max, take_record_batch};
use arrow::datatypes::{DataType, Schema, TimeUnit, TimestampMillisecondType};
use chrono::{DateTime, Utc};
use jetway_odf::storage::DatasetStorage;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;

use crate::compute::Compute;
use crate::ingest::lane::Lane;
use crate::ingest::shape::Shape;
use crate::ingest::slice::{SliceFile, SliceWriter};
use crate::{Error, ErrorKind, Result};

/// Rows are handed to the encoders in pieces of this size, so that all of them have work.
const PIECE_ROWS: usize = 32 * 1024;

/// Rows that come with their event time are sorted in chunks that end at either limit.
const CHUNK_ROWS: usize = 512 * 1024;
const CHUNK_BYTES: usize = 64 * 1024 * 1024;

/// A slice ends here: large enough to scan at full speed, small enough to copy, cache and spread over workers.
const MAX_SLICE_ROWS: u64 = 16 * 1024 * 1024;

/// Slices with consecutive offsets, complete but not yet in the dataset.
#[derive(Debug)]
pub(super) struct WrittenSlices {
    pub(super) slices: Vec<WrittenSlice>,
    /// Offset of the first row.
    pub(super) first_offset: u64,
    /// System time of all rows.
    pub(super) system_time: DateTime<Utc>,
    pub(super) rows: u64,
}

/// One of them.
#[derive(Debug)]
pub(super) struct WrittenSlice {
    pub(super) file: SliceFile,
    pub(super) max_event_time: Option<DateTime<Utc>>,
}

/// Writes rows into as few slices as their order by event time permits.
#[derive(Debug)]
pub(super) struct SliceSequence {
    compute: Compute,
    storage: DatasetStorage,
    shape: Arc<Shape>,
    system_time: DateTime<Utc>,
    /// When rows happened that do not say it.
    event_time: DateTime<Utc>,
    first_offset: u64,
    next_offset: u64,
    current: Option<Current>,
    done: Vec<WrittenSlice>,
    chunk: Vec<RecordBatch>,
    chunk_rows: usize,
    chunk_bytes: usize,
    /// For rows that come from a client.
    lane: Option<Lane>,
}

#[derive(Debug)]
struct Current {
    writer: SliceWriter,
    /// Largest event time so far, in the column's own unit, for the decision whether rows may follow.
    last: Option<ArrayRef>,
    max_event_time: Option<DateTime<Utc>>,
}

impl SliceSequence {
    pub(super) fn new(
        compute: Compute,
        storage: DatasetStorage,
        shape: Arc<Shape>,
        first_offset: u64,
        system_time: DateTime<Utc>,
        event_time: Option<DateTime<Utc>>,
    ) -> Self {
        Self {
            compute,
            storage,
            shape,
            system_time,
            event_time: event_time.unwrap_or(system_time),
            first_offset,
            next_offset: first_offset,
            current: None,
            done: Vec::new(),
            chunk: Vec::new(),
            chunk_rows: 0,
            chunk_bytes: 0,
            lane: None,
        }
    }

    /// Lets a large sequence wait until others have ended.
    pub(super) fn in_lane(self, lane: Lane) -> Self {
        Self {
            lane: Some(lane),
            ..self
        }
    }

    /// Adds a batch that [`Shape::apply`] gave.
    pub(super) async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if let Some(lane) = &mut self.lane {
            lane.enter(batch.get_array_memory_size()).await?;
        }
        if !self.shape.has_event_time() {
            let event_time = self.fallback_event_time(batch.num_rows())?;
            return self.emit(None, &event_time, batch.columns()).await;
        }
        self.chunk_rows += batch.num_rows();
        self.chunk_bytes += batch.get_array_memory_size();
        self.chunk.push(batch);
        if self.chunk_rows >= CHUNK_ROWS || self.chunk_bytes >= CHUNK_BYTES {
            self.flush_chunk().await
        } else {
            Ok(())
        }
    }

    /// Adds a batch that a merge gave: its operations and its order stand.
    pub(super) async fn write_merged(&mut self, batch: &RecordBatch) -> Result<()> {
        let [operation, event_time, data @ ..] = batch.columns() else {
            return Err(Error::new(
                ErrorKind::Internal,
                "merged rows have no operation and event time",
            ));
        };
        let event_time = fill_nulls(event_time, self.event_time)?;
        self.emit(Some(operation), &event_time, data).await
    }

    pub(super) async fn finish(mut self) -> Result<WrittenSlices> {
        self.flush_chunk().await?;
        self.end_slice().await?;
        Ok(WrittenSlices {
            slices: self.done,
            first_offset: self.first_offset,
            system_time: self.system_time,
            rows: self.next_offset - self.first_offset,
        })
    }

    /// Sorts what has come by event time; earlier rows of equal time stay first.
    async fn flush_chunk(&mut self) -> Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        (self.chunk_rows, self.chunk_bytes) = (0, 0);
        let Some(first) = chunk.first() else { return Ok(()) };
        let schema = first.schema();
        let fallback = self.event_time;
        let (sorted, bounds) = self
            .compute
            .block(move || sort_by_event_time(&schema, &chunk, fallback))
            .await?;
        let Some(event_time) = sorted.columns().first().map(Arc::clone) else {
            return Ok(());
        };
        if let (Some(current), Some((smallest, _))) = (&self.current, &bounds)
            && let Some(last) = &current.last
            && !lt_eq(last, smallest)?.value(0)
        {
            self.end_slice().await?;
        }
        self.emit(None, &event_time, sorted.columns().get(1..).unwrap_or_default())
            .await?;
        if let (Some(current), Some((_, largest))) = (&mut self.current, bounds) {
            current.last = Some(largest);
        }
        Ok(())
    }

    /// Adds the system columns and hands rows to the current slice. Rows without operations are new ones.
    async fn emit(&mut self, operation: Option<&ArrayRef>, event_time: &ArrayRef, columns: &[ArrayRef]) -> Result<()> {
        let rows = event_time.len();
        let mut start = 0;
        while start < rows {
            let mut current = match self.current.take() {
                Some(current) => current,
                None => self.begin_slice()?,
            };
            let room = usize::try_from(MAX_SLICE_ROWS - current.writer.rows()).unwrap_or(usize::MAX);
            let length = (rows - start).min(PIECE_ROWS).min(room);
            let piece = event_time.slice(start, length);
            current.max_event_time = current.max_event_time.max(latest(&piece)?);
            let columns: Vec<ArrayRef> = columns.iter().map(|column| column.slice(start, length)).collect();
            let operation = operation.map(|operation| operation.slice(start, length));
            let batch = self.with_system_columns(operation, &piece, columns)?;
            current.writer.write(&batch).await?;
            let full = current.writer.rows() >= MAX_SLICE_ROWS;
            self.current = Some(current);
            self.next_offset += length as u64;
            start += length;
            if full {
                self.end_slice().await?;
            }
        }
        Ok(())
    }

    fn begin_slice(&self) -> Result<Current> {
        let writer = SliceWriter::new(
            self.compute.clone(),
            Arc::clone(&self.shape.schema),
            self.storage.clone(),
            &self.shape.vocabulary.offset,
        )?;
        Ok(Current {
            writer,
            last: None,
            max_event_time: None,
        })
    }

    async fn end_slice(&mut self) -> Result<()> {
        if let Some(current) = self.current.take() {
            let file = current.writer.finish().await?;
            self.done.push(WrittenSlice {
                file,
                max_event_time: current.max_event_time,
            });
        }
        Ok(())
    }

    /// Rows without an event time happened when their source says, or when they arrived.
    fn fallback_event_time(&self, rows: usize) -> Result<ArrayRef> {
        let field = self.shape.schema.field_with_name(&self.shape.vocabulary.event_time)?;
        constant_time(self.event_time, rows, field.data_type())
    }

    /// A batch of the slice's schema, in which columns stand in the dataset's own order.
    fn with_system_columns(
        &self,
        operation: Option<ArrayRef>,
        event_time: &ArrayRef,
        data: Vec<ArrayRef>,
    ) -> Result<RecordBatch> {
        let rows = event_time.len();
        let operation = operation.unwrap_or_else(|| Arc::new(Int32Array::from(vec![0; rows])));
        let vocabulary = &self.shape.vocabulary;
        let mut data = data.into_iter();
        let columns = self.shape.schema.fields().iter().map(|field| {
            let data_type = field.data_type();
            if *field.name() == vocabulary.offset {
                offsets(self.next_offset, rows, data_type)
            } else if *field.name() == vocabulary.operation_type {
                Ok(cast(&operation, data_type)?)
            } else if *field.name() == vocabulary.system_time {
                Ok(constant_time(self.system_time, rows, data_type)?)
            } else if *field.name() == vocabulary.event_time {
                Ok(Arc::clone(event_time))
            } else {
                data.next()
                    .ok_or_else(|| Error::new(ErrorKind::Internal, "a data column got lost on the way into a slice"))
            }
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.shape.schema),
            columns,
            &options,
        )?)
    }

    /// Writes slices again with other offsets and another system time: somebody else's rows came first.
    pub(super) async fn rewrite(
        compute: Compute,
        storage: DatasetStorage,
        shape: Arc<Shape>,
        written: WrittenSlices,
        first_offset: u64,
        system_time: DateTime<Utc>,
    ) -> Result<WrittenSlices> {
        let mut sequence = Self::new(compute, storage, shape, first_offset, system_time, None);
        for slice in written.slices {
            sequence.copy(&slice).await?;
            sequence.end_slice().await?;
        }
        sequence.finish().await
    }

    async fn copy(&mut self, slice: &WrittenSlice) -> Result<()> {
        use jetway_odf::storage::ObjectSource;
        match &slice.file.source {
            ObjectSource::Bytes(bytes) => self.copy_from(bytes.clone()).await,
            ObjectSource::File { file, .. } => {
                let file = file.reopen()?;
                self.copy_from(file).await
            }
        }
    }

    async fn copy_from(&mut self, source: impl ChunkReader + 'static) -> Result<()> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(source)?
            .with_batch_size(PIECE_ROWS)
            .build()?;
        let vocabulary = Arc::clone(&self.shape.vocabulary);
        let mut reader = Some(reader);
        loop {
            let next = reader.take();
            let (batch, rest) = self
                .compute
                .block(move || {
                    let mut reader = next;
                    let batch = reader.as_mut().and_then(Iterator::next).transpose()?;
                    Ok((batch, reader))
                })
                .await?;
            reader = rest;
            let Some(batch) = batch else { return Ok(()) };
            let event_time = batch
                .column_by_name(&vocabulary.event_time)
                .map(Arc::clone)
                .ok_or_else(|| Error::new(ErrorKind::Internal, "a slice that was just written has no event time"))?;
            let names = vocabulary.names();
            let data: Vec<ArrayRef> = batch
                .schema_ref()
                .fields()
                .iter()
                .zip(batch.columns())
                .filter(|(field, _)| !names.contains(&field.name().as_str()))
                .map(|(_, column)| Arc::clone(column))
                .collect();
            self.emit(None, &event_time, &data).await?;
        }
    }
}

type Bounds = Option<(ArrayRef, ArrayRef)>;

/// One batch sorted by its first column, the event time, with nulls replaced; and the smallest and largest value.
fn sort_by_event_time(
    schema: &Arc<Schema>,
    chunk: &[RecordBatch],
    fallback: DateTime<Utc>,
) -> Result<(RecordBatch, Bounds)> {
    let batch = concat_batches(schema, chunk)?;
    let rows = batch.num_rows();
    let mut columns = batch.columns().to_vec();
    let Some(times) = columns.first_mut() else {
        return Ok((batch, None));
    };
    *times = fill_nulls(times, fallback)?;
    let times = Arc::clone(times);
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?;
    if rows == 0 {
        return Ok((batch, None));
    }
    let in_order = lt_eq(&times.slice(0, rows - 1), &times.slice(1, rows - 1))?;
    if in_order.true_count() + 1 == rows {
        return Ok((batch, Some((times.slice(0, 1), times.slice(rows - 1, 1)))));
    }
    let arrival: ArrayRef = Arc::new((0..rows as u64).collect::<UInt64Array>());
    let order = lexsort_to_indices(
        &[
            SortColumn {
                values: times,
                options: None,
            },
            SortColumn {
                values: arrival,
                options: None,
            },
        ],
        None,
    )?;
    let sorted = take_record_batch(&batch, &order)?;
    let bounds = sorted
        .columns()
        .first()
        .map(|times| (times.slice(0, 1), times.slice(rows - 1, 1)));
    Ok((sorted, bounds))
}

fn fill_nulls(times: &ArrayRef, fallback: DateTime<Utc>) -> Result<ArrayRef> {
    if times.null_count() == 0 {
        return Ok(Arc::clone(times));
    }
    let fallback = constant_time(fallback, times.len(), times.data_type())?;
    Ok(zip(&is_not_null(times)?, times, &fallback)?)
}

fn offsets(first: u64, rows: usize, data_type: &DataType) -> Result<ArrayRef> {
    let too_many = || Error::new(ErrorKind::ResourceExhausted, "the dataset cannot hold more rows");
    let first = i64::try_from(first).map_err(|_| too_many())?;
    let last = first.checked_add(rows as i64).ok_or_else(too_many)?;
    let offsets: Int64Array = (first..last).collect::<Vec<i64>>().into();
    Ok(cast(&offsets, data_type)?)
}

fn constant_time(time: DateTime<Utc>, rows: usize, data_type: &DataType) -> Result<ArrayRef> {
    let times = TimestampMillisecondArray::from(vec![time.timestamp_millis(); rows]).with_timezone("UTC");
    Ok(cast(&times, data_type)?)
}

/// The largest event time of a column, in whole milliseconds as blocks have it.
fn latest(times: &ArrayRef) -> Result<Option<DateTime<Utc>>> {
    let millis = cast(times, &DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())))?;
    let latest = max(millis.as_primitive::<TimestampMillisecondType>());
    Ok(latest.and_then(DateTime::from_timestamp_millis))
}
