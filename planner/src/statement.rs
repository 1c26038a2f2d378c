//! A planned statement: its schema and the heads that it reads, ready to run.

use std::fmt;
use std::pin::Pin as StdPin;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;
use jetway_odf::identity::{DatasetId, Multihash};
use serde::{Deserialize, Serialize};

use crate::Result;

/// A dataset at one block: what a statement read, or is to read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The dataset.
    pub dataset: DatasetId,
    /// Its newest block, as the statement sees it.
    pub head: Multihash,
}

/// Batches of a running statement, with their schema. Dropping it stops the work.
pub struct BatchStream {
    schema: SchemaRef,
    batches: StdPin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>,
}

impl BatchStream {
    /// Batches that all have the given schema.
    pub fn new(schema: SchemaRef, batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static) -> Self {
        Self { schema, batches: Box::pin(batches) }
    }

    /// Schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

impl Stream for BatchStream {
    type Item = Result<RecordBatch>;

    fn poll_next(
        mut self: StdPin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.batches.as_mut().poll_next(context)
    }
}

impl fmt::Debug for BatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchStream").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// A planned statement: parsed, resolved and typed, but not run.
#[derive(Debug, Clone)]
pub struct Statement {}

impl Statement {
    /// Schema of the result, exactly as [`Self::execute`] streams it.
    pub fn schema(&self) -> SchemaRef {
        todo!()
    }

    /// The datasets that it reads, each at the block that was its head when the statement was planned.
    pub fn pins(&self) -> &[Pin] {
        todo!()
    }

    /// Starts running. Work happens as the stream is polled, and stops when it is dropped.
    pub async fn execute(&self) -> Result<BatchStream> {
        todo!()
    }
}
