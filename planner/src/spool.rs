//! Rows that can be read as often as one likes: in memory while they are few, in a temporary file beyond that.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use futures::{StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::session::Engine;
use crate::{BatchStream, Error, ErrorKind, Result};

/// How many batches are read ahead from the file.
const BATCHES_AHEAD: usize = 2;

/// More rows of one stream than this go to disk, in bytes.
const MEMORY_BYTES: usize = 8 * 1024 * 1024;

/// Rows that are complete.
pub(crate) struct Spool {
    schema: SchemaRef,
    rows: u64,
    kept: Kept,
    _memory: Vec<OwnedSemaphorePermit>,
}

enum Kept {
    Memory(Vec<RecordBatch>),
    File(Arc<SpillFile>),
}

/// A file that is deleted with its last reader.
type SpillFile = dyn datafusion::execution::spill_file::SpillFile;

impl Spool {
    /// Takes in all rows of a stream. `memory` has a permit for each KiB that all who share it may use; when they are gone,
    /// rows go to disk.
    ///
    /// # Errors
    /// Those of the stream; `ResourceExhausted` when the spill folder is full.
    pub(crate) async fn keep(mut rows: BatchStream, engine: &Engine, memory: &Arc<Semaphore>) -> Result<Self> {
        let schema = rows.schema();
        let (mut batches, mut permits) = (Vec::new(), Vec::new());
        let (mut count, mut bytes) = (0, 0);
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let size = batch.get_array_memory_size();
            bytes += size;
            count += batch.num_rows() as u64;
            batches.push(batch);
            let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
            let room = Arc::clone(memory)
                .try_acquire_many_owned(kib)
                .map(|permit| permits.push(permit));
            if bytes > MEMORY_BYTES || room.is_err() {
                drop(permits);
                return Self::write(batches, rows, engine).await;
            }
        }
        Ok(Self {
            schema,
            rows: count,
            kept: Kept::Memory(batches),
            _memory: permits,
        })
    }

    /// Writes all rows of a stream into a temporary file.
    ///
    /// # Errors
    /// As [`Self::keep`].
    pub(crate) async fn on_disk(rows: BatchStream, engine: &Engine) -> Result<Self> {
        Self::write(Vec::new(), rows, engine).await
    }

    async fn write(first: Vec<RecordBatch>, rest: BatchStream, engine: &Engine) -> Result<Self> {
        let schema = rest.schema();
        let file = engine
            .runtime()
            .disk_manager
            .create_tmp_file("keeping rows of a source")?;
        let mut writer = StreamWriter::try_new(BufWriter::new(file.open_writer()?), &schema)?;
        let mut count = 0;
        let mut rows = stream::iter(first.into_iter().map(Ok)).chain(rest);
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            count += batch.num_rows() as u64;
            writer = engine
                .compute
                .block(move || {
                    writer.write(&batch)?;
                    Ok(writer)
                })
                .await?;
        }
        let mut file_writer = writer
            .into_inner()?
            .into_inner()
            .map_err(|error| cannot_spool(error.into_error()))?;
        file_writer.finish()?;
        Ok(Self {
            schema,
            rows: count,
            kept: Kept::File(file),
            _memory: Vec::new(),
        })
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// All rows from the first one, in the order in which they came.
    pub(crate) fn open(&self) -> BatchStream {
        let schema = Arc::clone(&self.schema);
        match &self.kept {
            Kept::Memory(batches) => BatchStream::new(schema, stream::iter(batches.clone().into_iter().map(Ok))),
            Kept::File(file) => read(schema, Arc::clone(file)),
        }
    }
}

/// Reads a file from its start.
fn read(schema: SchemaRef, file: Arc<SpillFile>) -> BatchStream {
    let mut stream = RecordBatchReceiverStream::builder(Arc::clone(&schema), BATCHES_AHEAD);
    let batches = stream.tx();
    stream.spawn_blocking(move || {
        let path = file.path().ok_or_else(|| {
            datafusion::error::DataFusionError::Internal("a temporary file has no path on this machine".to_owned())
        })?;
        for batch in StreamReader::try_new(BufReader::new(File::open(path)?), None)? {
            if batches.blocking_send(Ok(batch?)).is_err() {
                break;
            }
        }
        Ok(())
    });
    BatchStream::new(schema, stream.build().map(|batch| Ok(batch?)))
}

fn cannot_spool(error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::ResourceExhausted,
        "the rows of the source cannot be kept in the spill folder; make room there",
    )
    .with_source(error)
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool")
            .field("schema", &self.schema)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}
