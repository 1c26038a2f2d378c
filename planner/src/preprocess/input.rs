//! The rows of a source as a table: read as they arrive, or from a file when they are needed again.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, stream};

use crate::session::Engine;
use crate::{BatchStream, Error, ErrorKind, Result};

/// How many batches are read ahead from the file.
const BATCHES_AHEAD: usize = 2;

/// Rows that can be read once, or as often as one likes after [`Self::spool`].
pub(crate) struct Input {
    schema: SchemaRef,
    rows: Mutex<Rows>,
}

enum Rows {
    Arriving(BatchStream),
    Spooled(Arc<Spool>),
    Gone,
}

/// A file that is deleted with its last reader.
type Spool = dyn datafusion::execution::spill_file::SpillFile;

impl Input {
    pub(crate) fn new(rows: BatchStream) -> Self {
        Self {
            schema: rows.schema(),
            rows: Mutex::new(Rows::Arriving(rows)),
        }
    }

    /// The table that plans scan.
    pub(super) fn table(self: &Arc<Self>) -> Result<Arc<StreamingTable>> {
        let partition = Arc::clone(self) as Arc<dyn PartitionStream>;
        Ok(Arc::new(StreamingTable::try_new(
            Arc::clone(&self.schema),
            vec![partition],
        )?))
    }

    /// Writes all rows into a temporary file, from which they can be read many times.
    pub(super) async fn spool(&self, engine: &Engine) -> Result<()> {
        let Rows::Arriving(mut rows) = self.replace(Rows::Gone) else {
            return Err(read_twice());
        };
        let file = engine
            .runtime()
            .disk_manager
            .create_tmp_file("preprocessing a source")?;
        let mut writer = StreamWriter::try_new(BufWriter::new(file.open_writer()?), &self.schema)?;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
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
        self.replace(Rows::Spooled(file));
        Ok(())
    }

    fn replace(&self, rows: Rows) -> Rows {
        std::mem::replace(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner), rows)
    }

    /// The rows, for the only or for the next reader.
    fn open(&self) -> Rows {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        match &*rows {
            Rows::Spooled(file) => Rows::Spooled(Arc::clone(file)),
            _ => std::mem::replace(&mut *rows, Rows::Gone),
        }
    }
}

impl PartitionStream for Input {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        match self.open() {
            Rows::Arriving(rows) => Box::pin(RecordBatchStreamAdapter::new(
                schema,
                rows.map(|batch| batch.map_err(carried)),
            )),
            Rows::Spooled(file) => read(schema, file),
            Rows::Gone => Box::pin(RecordBatchStreamAdapter::new(
                schema,
                stream::once(async { Err(carried(read_twice())) }),
            )),
        }
    }
}

/// Reads a spooled file from its start.
fn read(schema: SchemaRef, file: Arc<Spool>) -> SendableRecordBatchStream {
    let mut stream = RecordBatchReceiverStream::builder(schema, BATCHES_AHEAD);
    let batches = stream.tx();
    stream.spawn_blocking(move || {
        let path = file.path().ok_or_else(|| carried(read_twice()))?;
        for batch in StreamReader::try_new(BufReader::new(File::open(path)?), None)? {
            if batches.blocking_send(Ok(batch?)).is_err() {
                break;
            }
        }
        Ok(())
    });
    stream.build()
}

/// An error on its way through a plan; it comes out as it is.
pub(crate) fn carried(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn read_twice() -> Error {
    Error::new(ErrorKind::Internal, "the rows of a source were read twice")
}

fn cannot_spool(error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::ResourceExhausted,
        "the rows of the source cannot be kept in the spill folder; make room there",
    )
    .with_source(error)
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
