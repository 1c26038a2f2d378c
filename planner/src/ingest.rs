//! Rows in: from a stream of batches to blocks in a chain.
//!
//! ```text
//!  batches ─► shape ─► few rows ─────────────► queue ─► one slice for all who wait ─┐
//!             (types,  └► many ─► slice writers ──────► queue ─► (offsets moved? ───┴─► blocks ─► head ─► answers
//!              names)             (all cores)                     written again)
//! ```
//!
//! A dataset has one committer per process, its queue: pushes that arrive while a commit is on its way to storage share
//! the next one. Other processes are met at the compare-and-swap of the head.

mod append;
mod create;
mod queue;
mod rows;
mod shape;
mod slice;

use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::StreamExt;
use jetway_odf::identity::{DatasetId, Multihash};
use tokio::sync::Semaphore;

use crate::ingest::create::Creations;
use crate::ingest::queue::Queues;
use crate::ingest::rows::SliceSequence;
use crate::ingest::shape::Shape;
pub(crate) use crate::ingest::slice::SliceWriter;
use crate::session::Engine;
use crate::summary::SummaryCache;
use crate::{Access, BatchStream, Clock, DatasetCatalog, Error, ErrorKind, PinnedDataset, Result, Subject, TableName};

/// A push below both limits shares a slice with others; a larger one gets slices of its own.
const SHARED_ROWS: usize = 64 * 1024;
const SHARED_BYTES: usize = 8 * 1024 * 1024;

/// Memory that all pushes which wait to share a slice may take together, in KiB. When it is used up, pushes are written into
/// slices of their own at once.
const WAITING_KIB: usize = 192 * 1024;

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

/// What ingests work with.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) catalog: Arc<dyn DatasetCatalog>,
    pub(crate) engine: Engine,
    pub(crate) summaries: Arc<SummaryCache>,
    pub(crate) clock: Clock,
}

/// Takes rows into datasets.
#[derive(Debug)]
pub(crate) struct Ingest {
    services: Arc<Services>,
    queues: Queues,
    creations: Creations,
    waiting: Arc<Semaphore>,
}

impl Ingest {
    pub(crate) fn new(services: Services) -> Self {
        let services = Arc::new(services);
        Self {
            queues: Queues::new(Arc::clone(&services)),
            creations: Creations::default(),
            waiting: Arc::new(Semaphore::new(WAITING_KIB)),
            services,
        }
    }

    pub(crate) async fn run(
        &self,
        subject: &Subject,
        request: IngestRequest,
        rows: BatchStream,
    ) -> Result<IngestOutcome> {
        if let Some(dataset) = self.find(subject, &request).await? {
            return self.append(subject, dataset, rows).await;
        }
        // Of several pushes that would make the same dataset one does, and the others append to it.
        let _turn = self.creations.turn(subject, &request.table).await;
        match self.find(subject, &request).await? {
            Some(dataset) => self.append(subject, dataset, rows).await,
            None => self.create(subject, &request, rows).await,
        }
    }

    /// The dataset that rows are to be appended to; none if it is to be made.
    async fn find(&self, subject: &Subject, request: &IngestRequest) -> Result<Option<PinnedDataset>> {
        let catalog = &self.services.catalog;
        let found = match &request.table {
            TableName::Id(id) => catalog.resolve_id(subject, id, Access::Write).await,
            TableName::Alias(_) => catalog.resolve(subject, &request.table, Access::Write).await,
        };
        match (found, request.if_exists, request.if_not_exists) {
            (Ok(dataset), IfExists::Append, _) => Ok(Some(dataset)),
            (Ok(_), IfExists::Fail, _) => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!(
                    "{} is already there; append to it, or choose another name",
                    request.table
                ),
            )),
            (Err(error), _, IfNotExists::Create) if error.kind() == ErrorKind::NotFound => Ok(None),
            (Err(error), _, _) => Err(error),
        }
    }

    async fn append(&self, subject: &Subject, dataset: PinnedDataset, mut rows: BatchStream) -> Result<IngestOutcome> {
        append::check_root(&dataset)?;
        let summary = self.services.summaries.get(&dataset).await?;
        let vocabulary = Arc::clone(summary.state.vocabulary());
        let shape = match summary.state.schema() {
            Some(_) => Shape::existing(&rows.schema(), &summary.schema, &vocabulary)?,
            None => Shape::new(&rows.schema(), &vocabulary)?,
        };
        let shape = Arc::new(shape);
        // Whatever turns out to be small waits for its end here; only then does anybody else have to wait for it.
        let (mut batches, mut count, mut bytes) = (Vec::new(), 0, 0);
        let mut held = Vec::new();
        while let Some(batch) = rows.next().await {
            let batch = shape.apply(&batch?)?;
            let size = batch.get_array_memory_size();
            count += batch.num_rows();
            bytes += size;
            batches.push(batch);
            let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
            let room = Arc::clone(&self.waiting)
                .try_acquire_many_owned(kib)
                .map(|permit| held.push(permit));
            if count > SHARED_ROWS || bytes > SHARED_BYTES || room.is_err() {
                drop(held);
                let slices = self
                    .write_slices(&dataset, &shape, batches, rows, summary.state.next_offset())
                    .await?;
                return self.queues.push_slices(subject, dataset, shape, slices).await;
            }
        }
        if count == 0 {
            return Ok(IngestOutcome {
                dataset: dataset.id,
                rows: 0,
                head: dataset.head,
                created: false,
            });
        }
        let outcome = self.queues.push_rows(subject, dataset, shape, batches).await;
        drop(held);
        outcome
    }

    /// Writes a stream into slices while it arrives.
    async fn write_slices(
        &self,
        dataset: &PinnedDataset,
        shape: &Arc<Shape>,
        first: Vec<RecordBatch>,
        mut rest: BatchStream,
        first_offset: u64,
    ) -> Result<rows::WrittenSlices> {
        let (compute, storage) = (self.services.engine.compute.clone(), dataset.storage.clone());
        let system_time = self.services.clock.now();
        let mut sequence = SliceSequence::new(compute, storage, Arc::clone(shape), first_offset, system_time);
        for batch in first {
            sequence.write(batch).await?;
        }
        while let Some(batch) = rest.next().await {
            sequence.write(shape.apply(&batch?)?).await?;
        }
        sequence.finish().await
    }
}
