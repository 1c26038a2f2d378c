//! Rows in: from a stream of batches to blocks in a chain.
//!
//! ```text
//!  batches ─► preprocess ─► shape ─┬─► few rows ───────────► queue ─► one slice for all who wait ──┐
//!             (the source's  (types, ├─► many ─► slice writers ► queue ─► (offsets moved? ───────────┤
//!              SQL)           names) │           (all cores)               written again)            ├─► blocks ─► head
//!                                    └─► spool ──────────────► queue ─► merge with what is there ────┘
//! ```
//!
//! Rows that are appended take one of the upper two ways. Those that are merged wait in a spool, because a merge depends on
//! the head: when somebody else was faster, they are merged once more.
//!
//! A dataset has one committer per process, its queue: pushes that arrive while a commit is on its way to storage share
//! the next one. Other processes are met at the compare-and-swap of the head.

mod append;
mod create;
mod intake;
mod lane;
mod pull;
mod queue;
mod receipt;
mod rows;
mod shape;
mod slice;
mod together;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::MergeStrategy;
use jetway_sources::ReadOptions;
use tokio::sync::Semaphore;

use crate::ingest::create::Turns;
pub(crate) use crate::ingest::create::check_new;
use crate::ingest::intake::Intake;
use crate::ingest::lane::Lane;
pub use crate::ingest::pull::{PullOptions, PullOutcome};
use crate::ingest::queue::{Queues, Ready, Rows};
pub use crate::ingest::receipt::IdempotencyKey;
pub(crate) use crate::ingest::receipt::Receipts;
use crate::ingest::rows::SliceSequence;
use crate::ingest::shape::Shape;
pub(crate) use crate::ingest::slice::SliceWriter;
pub(crate) use crate::ingest::together::Waiting;
use crate::merge::Merger;
use crate::modify::{self, Computation};
use crate::session::Engine;
use crate::spool::Spool;
use crate::summary::{DatasetSummary, SummaryCache};
use crate::{
    Access, BatchStream, Clock, DatasetCatalog, Error, ErrorKind, PinnedDataset, Result, Subject, TableName, preprocess,
};

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
    /// Make the rows its state, which only a dataset with a primary key has: what is not among them is retracted. Its history
    /// stays.
    Replace,
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
    /// The push source whose preprocessing and merge strategy apply; without a name, the only one or the one called
    /// `default`. Rows of a dataset that has no source are appended.
    pub source: Option<String>,
    /// Makes sure that a push that is sent twice is taken in once.
    pub idempotency_key: Option<IdempotencyKey>,
    /// When rows happened that do not say it; at the commit if absent.
    pub event_time: Option<DateTime<Utc>>,
    /// Whether columns that the dataset does not have are added to it, instead of refused.
    pub evolve_schema: bool,
}

impl IngestRequest {
    /// Adds rows to a dataset that is there.
    #[must_use]
    pub fn append(table: TableName) -> Self {
        Self {
            table,
            if_exists: IfExists::Append,
            if_not_exists: IfNotExists::Fail,
            source: None,
            idempotency_key: None,
            event_time: None,
            evolve_schema: false,
        }
    }
}

/// What an ingest did.
#[derive(Debug, Clone)]
pub struct IngestOutcome {
    /// The dataset.
    pub dataset: DatasetId,
    /// Number of rows that were taken in, after the source's preprocessing.
    pub rows: u64,
    /// Number of events that they became: rows of the dataset's history. Merging may drop rows and add others.
    pub events: u64,
    /// The block that made them visible; the newest one if nothing changed.
    pub head: Multihash,
    /// Whether the dataset was made by this ingest.
    pub created: bool,
    /// Whether anything was committed: the rows may all have been known before.
    pub changed: bool,
}

/// What ingests work with.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) catalog: Arc<dyn DatasetCatalog>,
    pub(crate) engine: Engine,
    pub(crate) summaries: Arc<SummaryCache>,
    pub(crate) merger: Merger,
    /// Where files are kept that have to be read more than once.
    pub(crate) temp_dir: PathBuf,
    pub(crate) clock: Clock,
}

/// Takes rows into datasets.
#[derive(Debug)]
pub(crate) struct Ingest {
    services: Arc<Services>,
    queues: Queues,
    creations: Turns,
    pulls: Turns,
    waiting: Arc<Semaphore>,
    /// One for each large ingest that runs.
    lanes: Arc<Semaphore>,
}

impl Ingest {
    /// `large_at_once` is how many large ingests run at the same time.
    pub(crate) fn new(services: Services, large_at_once: usize) -> Self {
        let services = Arc::new(services);
        Self {
            queues: Queues::new(Arc::clone(&services)),
            creations: Turns::default(),
            pulls: Turns::default(),
            waiting: Arc::new(Semaphore::new(WAITING_KIB)),
            lanes: Arc::new(Semaphore::new(large_at_once.max(1))),
            services,
        }
    }

    /// What merges rows into datasets here.
    pub(crate) fn merger(&self) -> &Merger {
        &self.services.merger
    }

    pub(crate) async fn run(
        &self,
        subject: &Subject,
        request: IngestRequest,
        rows: BatchStream,
    ) -> Result<IngestOutcome> {
        if let Some(dataset) = self.find(subject, &request).await? {
            return self.push(subject, dataset, &request, rows).await;
        }
        // Of several pushes that would make the same dataset one does, and the others append to it.
        let _turn = self.creations.turn(subject, &request.table).await;
        match self.find(subject, &request).await? {
            Some(dataset) => self.push(subject, dataset, &request, rows).await,
            None => self.create(subject, &request, MergeStrategy::Append {}, rows).await,
        }
    }

    /// The dataset that rows are to be added to; none if it is to be made.
    async fn find(&self, subject: &Subject, request: &IngestRequest) -> Result<Option<PinnedDataset>> {
        let found = self.services.writable(subject, &request.table).await;
        match (found, request.if_exists, request.if_not_exists) {
            (Ok(dataset), IfExists::Append | IfExists::Replace, _) => Ok(Some(dataset)),
            (Ok(dataset), IfExists::Fail, _) if self.made_before(&dataset, request).await? => Ok(Some(dataset)),
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

    /// Whether it was this request that made the dataset, and only its answer got lost.
    async fn made_before(&self, dataset: &PinnedDataset, request: &IngestRequest) -> Result<bool> {
        let Some(key) = &request.idempotency_key else {
            return Ok(false);
        };
        let summary = self.services.summaries.get(dataset).await?;
        Ok(summary.receipts.find(key).is_some())
    }

    async fn push(
        &self,
        subject: &Subject,
        dataset: PinnedDataset,
        request: &IngestRequest,
        rows: BatchStream,
    ) -> Result<IngestOutcome> {
        append::check_root(&dataset)?;
        let summary = self.services.summaries.get(&dataset).await?;
        let intake = Intake::of_push(&summary.state, request)?;
        self.take_in(subject, dataset, &summary, intake, rows).await
    }

    /// The dataset that a statement adds rows to.
    pub(crate) async fn writable(&self, subject: &Subject, name: &TableName) -> Result<PinnedDataset> {
        let dataset = self.services.writable(subject, name).await?;
        append::check_root(&dataset)?;
        Ok(dataset)
    }

    /// Takes in rows that have the columns of the dataset.
    pub(crate) async fn insert(
        &self,
        subject: &Subject,
        dataset: PinnedDataset,
        summary: &DatasetSummary,
        key: Option<IdempotencyKey>,
        rows: BatchStream,
    ) -> Result<IngestOutcome> {
        let request = IngestRequest {
            idempotency_key: key,
            ..IngestRequest::append(TableName::Id(dataset.id))
        };
        let intake = Intake {
            preprocess: None,
            ..Intake::of_push(&summary.state, &request)?
        };
        self.take_in(subject, dataset, summary, intake, rows).await
    }

    /// Merges rows into a dataset that are computed from its state. `schema` is that of the rows.
    pub(crate) async fn modify(
        &self,
        subject: &Subject,
        dataset: PinnedDataset,
        schema: &SchemaRef,
        key: Option<IdempotencyKey>,
        computation: Computation,
    ) -> Result<IngestOutcome> {
        let summary = self.services.summaries.get(&dataset).await?;
        if let Some(known) = key.as_ref().and_then(|key| summary.receipts.find(key)) {
            return Ok(known.answer(dataset.id));
        }
        let intake = Intake::of_modification(modify::merge(&dataset, &summary)?, key);
        let shape = Arc::new(Shape::of(schema, &summary, intake.shape_rules())?);
        let ready = Ready {
            subject: subject.clone(),
            dataset,
            shape,
            intake,
            rows: Rows::Computed(computation),
        };
        self.queues.push(ready).await
    }

    /// Takes in a file that is read as the push source says.
    pub(crate) async fn file(
        &self,
        subject: &Subject,
        request: &IngestRequest,
        file: jetway_sources::Input,
    ) -> Result<IngestOutcome> {
        let dataset = self.writable(subject, &request.table).await?;
        let summary = self.services.summaries.get(&dataset).await?;
        let read = intake::read_step(&summary.state, request.source.as_deref())?;
        let intake = Intake::of_push(&summary.state, request)?;
        let intake = Intake {
            evolves: intake.evolves || intake::declares_columns(read),
            ..intake
        };
        let rows = jetway_sources::read(read, file, &self.read_options()).await?;
        let rows = BatchStream::new(rows.schema(), rows.map_err(Error::from));
        self.take_in(subject, dataset, &summary, intake, rows).await
    }

    fn read_options(&self) -> ReadOptions {
        ReadOptions {
            temp_dir: self.services.temp_dir.clone(),
            ..ReadOptions::default()
        }
    }

    /// Takes rows into a root dataset.
    async fn take_in(
        &self,
        subject: &Subject,
        dataset: PinnedDataset,
        summary: &DatasetSummary,
        intake: Intake,
        rows: BatchStream,
    ) -> Result<IngestOutcome> {
        let engine = &self.services.engine;
        let rows = match &intake.preprocess {
            Some(transform) => preprocess::run(transform, rows, engine).await?,
            None => rows,
        };
        if let Some(known) = intake.key.as_ref().and_then(|key| summary.receipts.find(key)) {
            let count = rows.try_fold(0, |count, batch| async move { Ok(count + batch.num_rows() as u64) });
            return known.outcome(dataset.id, count.await?);
        }
        let shape = Arc::new(Shape::of(&rows.schema(), summary, intake.shape_rules())?);
        let rows = shape.apply_to(rows);
        self.take_in_shaped(subject, dataset, summary, shape, intake, rows)
            .await
    }

    /// Takes in rows that have the columns of the dataset.
    async fn take_in_shaped(
        &self,
        subject: &Subject,
        dataset: PinnedDataset,
        summary: &DatasetSummary,
        shape: Arc<Shape>,
        intake: Intake,
        rows: BatchStream,
    ) -> Result<IngestOutcome> {
        if intake.merge == (MergeStrategy::Append {}) {
            return self.append(subject, dataset, summary, shape, intake, rows).await;
        }
        let spool = Spool::keep(rows, &self.services.engine, &self.waiting).await?;
        let ready = Ready {
            subject: subject.clone(),
            dataset,
            shape,
            intake,
            rows: Rows::Merged(spool),
        };
        self.queues.push(ready).await
    }

    /// Adds shaped rows to what is there.
    async fn append(
        &self,
        subject: &Subject,
        dataset: PinnedDataset,
        summary: &DatasetSummary,
        shape: Arc<Shape>,
        intake: Intake,
        mut rows: BatchStream,
    ) -> Result<IngestOutcome> {
        // Whatever turns out to be small waits for its end here; only then does anybody else have to wait for it.
        let (mut batches, mut count, mut bytes) = (Vec::new(), 0, 0);
        let mut held = Vec::new();
        let ready = |rows| Ready {
            subject: subject.clone(),
            dataset: dataset.clone(),
            shape: Arc::clone(&shape),
            intake: intake.clone(),
            rows,
        };
        while let Some(batch) = rows.next().await {
            let batch = batch?;
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
                    .write_slices(&dataset, &shape, &intake, batches, rows, summary.state.next_offset())
                    .await?;
                return self.queues.push(ready(Rows::Slices(slices))).await;
            }
        }
        if count == 0 && intake.polled.is_none() && shape.announcement(summary)?.is_none() {
            return Ok(IngestOutcome {
                dataset: dataset.id,
                rows: 0,
                events: 0,
                head: dataset.head,
                created: false,
                changed: false,
            });
        }
        let outcome = self.queues.push(ready(Rows::Few(batches))).await;
        drop(held);
        outcome
    }

    /// Writes a stream into slices while it arrives.
    async fn write_slices(
        &self,
        dataset: &PinnedDataset,
        shape: &Arc<Shape>,
        intake: &Intake,
        first: Vec<RecordBatch>,
        mut rest: BatchStream,
        first_offset: u64,
    ) -> Result<rows::WrittenSlices> {
        let (compute, storage) = (self.services.engine.compute.clone(), dataset.storage.clone());
        let system_time = self.services.clock.now();
        let (shape, event_time) = (Arc::clone(shape), intake.event_time);
        let mut sequence = SliceSequence::new(compute, storage, shape, first_offset, system_time, event_time)
            .in_lane(Lane::new(&self.lanes));
        for batch in first {
            sequence.write(batch).await?;
        }
        while let Some(batch) = rest.next().await {
            sequence.write(batch?).await?;
        }
        sequence.finish().await
    }
}

impl Services {
    /// The dataset of a name, for writing.
    pub(crate) async fn writable(&self, subject: &Subject, name: &TableName) -> Result<PinnedDataset> {
        match name {
            TableName::Id(id) => self.catalog.resolve_id(subject, id, Access::Write).await,
            TableName::Alias(_) => self.catalog.resolve(subject, name, Access::Write).await,
        }
    }
}
