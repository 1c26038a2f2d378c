//! How new rows meet the history of a dataset that has a primary key.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use jetway_odf::metadata::MergeStrategy;

use crate::session::Engine;
use crate::summary::DatasetSummary;
use crate::{BatchStream, Error, ErrorKind, PinnedDataset, Result};

/// Merges rows into datasets.
#[derive(Debug, Clone)]
pub(crate) struct Merger {
    _engine: Engine,
}

impl Merger {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { _engine: engine }
    }

    /// The events that `rows` mean for the dataset at its pinned head, in the order in which they get their offsets.
    ///
    /// `rows` has, in this order: the operation column if it was pushed (Int32), the event time if it was pushed (nullable), and
    /// the data columns of `schema`, which is the schema of the dataset's slices with its system columns. The result has the
    /// operation column (Int32, no nulls), the event time (nullable: nulls are filled in later) and the data columns.
    ///
    /// # Errors
    /// `InvalidArgument` if the strategy's columns are not there or the rows break its rules; those of storage and of `rows`.
    pub(crate) async fn merge(
        &self,
        _strategy: &MergeStrategy,
        _dataset: &PinnedDataset,
        _summary: &Arc<DatasetSummary>,
        _schema: &SchemaRef,
        _rows: BatchStream,
    ) -> Result<BatchStream> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "only datasets that append take rows",
        ))
    }
}
