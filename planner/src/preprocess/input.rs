//! The rows of a source as a table: read as they arrive, or from a file when they are needed again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::{StreamExt, stream};

use crate::session::Engine;
use crate::spool::Spool;
use crate::{BatchStream, Error, ErrorKind, Result};

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

impl Input {
    pub(crate) fn new(rows: BatchStream) -> Self {
        Self {
            schema: rows.schema(),
            rows: Mutex::new(Rows::Arriving(rows)),
        }
    }

    /// The table that plans scan.
    pub(crate) fn table(self: &Arc<Self>) -> Result<Arc<StreamingTable>> {
        let partition = Arc::clone(self) as Arc<dyn PartitionStream>;
        Ok(Arc::new(StreamingTable::try_new(
            Arc::clone(&self.schema),
            vec![partition],
        )?))
    }

    /// Writes all rows into a temporary file, from which they can be read many times.
    pub(super) async fn spool(&self, engine: &Engine) -> Result<()> {
        let Rows::Arriving(rows) = self.replace(Rows::Gone) else {
            return Err(read_twice());
        };
        self.replace(Rows::Spooled(Arc::new(Spool::on_disk(rows, engine).await?)));
        Ok(())
    }

    fn replace(&self, rows: Rows) -> Rows {
        std::mem::replace(&mut *self.rows.lock().unwrap_or_else(PoisonError::into_inner), rows)
    }

    /// The rows, for the only or for the next reader.
    fn open(&self) -> Rows {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        match &*rows {
            Rows::Spooled(rows) => Rows::Spooled(Arc::clone(rows)),
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
        let rows = match self.open() {
            Rows::Arriving(rows) => rows,
            Rows::Spooled(rows) => rows.open(),
            Rows::Gone => BatchStream::new(Arc::clone(&schema), stream::once(async { Err(read_twice()) })),
        };
        Box::pin(RecordBatchStreamAdapter::new(
            schema,
            rows.map(|batch| batch.map_err(carried)),
        ))
    }
}

/// An error on its way through a plan; it comes out as it is.
pub(crate) fn carried(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn read_twice() -> Error {
    Error::new(ErrorKind::Internal, "the rows of a source were read twice")
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
