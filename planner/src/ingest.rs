//! Rows in: from a stream of batches to a block in the chain.

use jetway_odf::identity::{DatasetId, Multihash};

use crate::TableName;

/// What to do when the dataset is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// Add the rows to it.
    Append,
    /// Refuse.
    Fail,
}

/// What to do when the dataset is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfNotExists {
    /// Make it, with the schema of the rows.
    Create,
    /// Refuse.
    Fail,
}

/// Where rows go.
#[derive(Debug, Clone)]
pub struct IngestRequest {
    /// The dataset.
    pub table: TableName,
    /// What to do when it is there.
    pub if_exists: IfExists,
    /// What to do when it is not.
    pub if_not_exists: IfNotExists,
}

/// What an ingest did.
#[derive(Debug, Clone)]
pub struct IngestOutcome {
    /// The dataset.
    pub dataset: DatasetId,
    /// Number of rows that were taken in.
    pub rows: u64,
    /// The block that made them visible.
    pub head: Multihash,
    /// Whether the dataset was made by this ingest.
    pub created: bool,
}
