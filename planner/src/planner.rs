//! The entrance: plans statements, lists tables, ingests rows.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::stream::BoxStream;
use jetway_odf::metadata::DatasetKind;

use crate::{BatchStream, DatasetCatalog, IngestOutcome, IngestRequest, Pin, PinnedDataset, Result, Statement, Subject};

/// Limits and places; the defaults suit a small machine.
#[derive(Debug, Clone)]
pub struct PlannerOptions {
    /// Memory that all running statements share, in bytes; beyond it they spill or fail.
    pub memory_limit: usize,
    /// Where statements and ingests spill; a folder of its own in the system's temporary folder when absent.
    pub spill_dir: Option<PathBuf>,
    /// How many cores one statement uses.
    pub parallelism: usize,
}

/// A dataset as a table of the SQL catalog.
#[derive(Debug, Clone)]
pub struct TableEntry {
    /// The account, which is the schema in SQL.
    pub account: String,
    /// The dataset's name, which is the table in SQL.
    pub name: String,
    /// Root or derivative.
    pub kind: DatasetKind,
    /// The dataset, pinned.
    pub dataset: PinnedDataset,
}

/// Plans and runs statements, and takes in rows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Planner {}

impl Planner {
    /// A planner over the datasets of a catalog.
    pub fn new(catalog: Arc<dyn DatasetCatalog>, options: PlannerOptions) -> Result<Self> {
        let _ = (catalog, options);
        todo!()
    }

    /// Parses a statement, resolves its names for the subject and types it; runs nothing.
    ///
    /// With `pins` (from an earlier plan of the same text) the datasets are read at those heads, otherwise at their
    /// current ones.
    pub async fn plan(&self, subject: &Subject, sql: &str, pins: Option<&[Pin]>) -> Result<Statement> {
        let _ = (subject, sql, pins);
        todo!()
    }

    /// Names of all accounts whose datasets the subject may read: the schemas of the SQL catalog.
    pub async fn schemas(&self, subject: &Subject) -> Result<Vec<String>> {
        let _ = subject;
        todo!()
    }

    /// The tables that the subject may read, ordered by account and name.
    pub fn tables<'a>(&'a self, subject: &'a Subject) -> BoxStream<'a, Result<TableEntry>> {
        let _ = subject;
        todo!()
    }

    /// Schema of a table as `SELECT *` gives it.
    pub async fn table_schema(&self, table: &TableEntry) -> Result<SchemaRef> {
        let _ = table;
        todo!()
    }

    /// Takes rows into a dataset. When it returns, they are durable in storage and part of the chain; when it fails,
    /// nothing of them is.
    pub async fn ingest(&self, subject: &Subject, request: IngestRequest, rows: BatchStream) -> Result<IngestOutcome> {
        let _ = (subject, request, rows);
        todo!()
    }
}
