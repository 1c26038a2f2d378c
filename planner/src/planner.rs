//! The entrance: plans statements, lists tables, ingests rows.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::TimeDelta;
use datafusion::execution::session_state::SessionState;
use futures::FutureExt;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::storage::{GarbageOptions, GarbageReport};

use crate::bounds::is_small;
use crate::ddl::{CreateStatement, DropStatement};
use crate::describe::Descriptions;
use crate::functions::Moments;
use crate::ingest::{Ingest, Services};
use crate::insert::InsertStatement;
use crate::merge::Merger;
use crate::modify::{Computation, Modification, ModifyStatement};
use crate::parameters::{Prepared, Unbound};
use crate::parse::Parsed;
use crate::plan_cache::PlanCache;
use crate::read_index::{Effort, ReadIndexes};
use crate::resolve::{Reading, Resolved, Resolver, Sources};
use crate::session::Engine;
use crate::summary::{DatasetSummary, SummaryCache};
use crate::system::{Datasets, SystemTableSource};
use crate::transaction::Transactions;
use crate::view::ViewStatement;
use crate::{
    Access, BatchStream, Clock, CompactOutcome, DatasetCatalog, Error, ErrorKind, IdempotencyKey, IngestOutcome,
    IngestRequest, Pin, PinnedDataset, PlanCacheFigures, PlanCacheOptions, PlanRequest, PullOptions, PullOutcome,
    Result, Rewrite, RewriteOutcome, Statement, Subject, TableName, TransactionId, TransactionOptions,
    TransactionOutcome, Update, UpdateOutcome, View, policy, rewrite, summary, view,
};

mod listing;
mod planning;
mod substrait;

pub use listing::{FunctionNames, SystemTable, TableEntry};
use planning::{Insertion, evaluate, one_batch, plan, plan_update, prepare};

/// Limits and places; the defaults suit a small machine.
#[derive(Debug, Clone)]
pub struct PlannerOptions {
    /// Memory that all running statements share, in bytes; beyond it they spill or fail.
    pub memory_limit: usize,
    /// Where statements and ingests spill; a folder of its own in the system's temporary folder when absent.
    pub spill_dir: Option<PathBuf>,
    /// How many cores one statement uses.
    pub parallelism: usize,
    /// Where the system time of new blocks comes from.
    pub clock: Clock,
    /// Memory of one statement, in bytes; no more than all have unless set.
    pub statement_memory_limit: Option<usize>,
    /// Bytes of intermediate results that one statement may have in files.
    pub statement_spill_limit: u64,
    /// How many large ingests write at once; more of them wait. Small ones always run.
    pub large_ingests: usize,
    /// Bytes of intermediate results that all statements and ingests together may have in files.
    pub spill_limit: u64,
    /// Tables of the schema `system`, besides `system.datasets`.
    pub system_tables: Vec<Arc<dyn SystemTableSource>>,
    /// Whether small slices are merged in the background after ingests, see [`Planner::compact`].
    pub compact_in_background: bool,
    /// Where rows of transactions wait; without it there are no transactions.
    pub transactions: Option<TransactionOptions>,
    /// Memory for what is known about slices without opening them, in bytes.
    pub summary_memory: usize,
    /// Memory for the footers of slices, in bytes.
    pub footer_memory: usize,
    /// Plans that are kept for statements that come again.
    pub plan_cache: PlanCacheOptions,
}

impl Default for PlannerOptions {
    fn default() -> Self {
        let parallelism = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self {
            memory_limit: 1024 * 1024 * 1024,
            spill_dir: None,
            parallelism,
            clock: Clock::system(),
            statement_memory_limit: None,
            statement_spill_limit: 64 << 30,
            large_ingests: (2 * parallelism).max(4),
            spill_limit: 256 << 30,
            system_tables: Vec::new(),
            compact_in_background: true,
            transactions: None,
            summary_memory: 512 << 20,
            footer_memory: 128 << 20,
            plan_cache: PlanCacheOptions::default(),
        }
    }
}

/// Plans and runs statements, and takes in rows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Planner {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    catalog: Arc<dyn DatasetCatalog>,
    engine: Engine,
    summaries: Arc<SummaryCache>,
    descriptions: Arc<Descriptions>,
    indexes: Arc<ReadIndexes>,
    compact_in_background: bool,
    clock: Clock,
    ingest: Ingest,
    sources: Arc<Sources>,
    system: Vec<Arc<dyn SystemTableSource>>,
    transactions: Option<Transactions>,
    plans: PlanCache,
}

impl Planner {
    /// A planner over the datasets of a catalog.
    ///
    /// # Errors
    /// When the spill folder or the worker threads cannot be had.
    pub fn new(catalog: Arc<dyn DatasetCatalog>, options: PlannerOptions) -> Result<Self> {
        let engine = Engine::new(&options)?;
        let clock = options.clock.clone();
        let summaries = Arc::new(SummaryCache::new(&engine, clock.clone(), options.summary_memory));
        let mut system = options.system_tables;
        system.push(Arc::new(Datasets {
            catalog: Arc::clone(&catalog),
            summaries: Arc::clone(&summaries),
        }));
        let indexes = Arc::new(ReadIndexes::new(&engine, options.clock.clone()));
        let transactions = options
            .transactions
            .map(|transactions| Transactions::new(transactions, engine.compute.clone(), clock.clone()));
        let ingest = Ingest::new(
            Services {
                catalog: Arc::clone(&catalog),
                engine: engine.clone(),
                summaries: Arc::clone(&summaries),
                merger: Merger::new(engine.clone()),
                temp_dir: options.spill_dir.unwrap_or_else(std::env::temp_dir),
                clock: options.clock,
            },
            options.large_ingests,
        );
        let descriptions = Arc::default();
        let sources = Sources {
            engine: engine.clone(),
            catalog: Arc::clone(&catalog),
            summaries: Arc::clone(&summaries),
            descriptions: Arc::clone(&descriptions),
            indexes: Arc::clone(&indexes),
            moments: Moments::default(),
            system: system.clone(),
        };
        Ok(Self {
            shared: Arc::new(Shared {
                catalog,
                engine,
                summaries,
                descriptions,
                sources: Arc::new(sources),
                indexes,
                compact_in_background: options.compact_in_background,
                clock,
                ingest,
                system,
                transactions,
                plans: PlanCache::new(options.plan_cache),
            }),
        })
    }

    /// Parses a statement, resolves its names for the subject and types it; runs nothing.
    ///
    /// With `pins` (from an earlier plan of the same text) the datasets are read at those heads, otherwise at their
    /// current ones.
    ///
    /// # Errors
    /// `InvalidSql` with line and column, `NotFound` with a suggestion, `Unsupported` for what does more than read.
    pub async fn plan(&self, subject: &Subject, sql: &str, pins: Option<&[Pin]>) -> Result<Statement> {
        let request = PlanRequest {
            pins: pins.map(<[Pin]>::to_vec),
            ..PlanRequest::sql(subject, sql)
        };
        self.plan_request(request).await
    }

    /// Parses a query, resolves its names for the subject and types it, under the settings of its session; runs nothing.
    ///
    /// # Errors
    /// Those of [`Self::plan`]; `InvalidArgument` for parameters that do not fit.
    pub async fn plan_request(&self, request: PlanRequest) -> Result<Statement> {
        let (shared, is_small) = (&self.shared, is_small(&request.query));
        let planning = plan(Arc::clone(shared), request);
        shared.engine.compute.plan(is_small, planning).await
    }

    pub(crate) fn catalog(&self) -> &Arc<dyn DatasetCatalog> {
        &self.shared.catalog
    }

    /// What became of the plans that were kept.
    pub fn plan_cache(&self) -> PlanCacheFigures {
        self.shared.plans.figures()
    }

    /// Memory that running statements use and may use, in bytes.
    pub fn memory(&self) -> (usize, usize) {
        self.shared.engine.memory()
    }

    /// Bytes of intermediate results that are in files.
    pub fn spilled(&self) -> u64 {
        self.shared.engine.spilled()
    }

    /// Takes rows into a dataset. When it returns, they are durable in storage and part of the chain; when it fails,
    /// nothing of them is.
    ///
    /// # Errors
    /// `SchemaMismatch` when the rows do not fit the dataset, `NotFound` and `AlreadyExists` as the request asks, and
    /// whatever the stream itself fails with.
    pub async fn ingest(&self, subject: &Subject, request: IngestRequest, rows: BatchStream) -> Result<IngestOutcome> {
        let outcome = self.shared.ingest.run(subject, request, rows).await?;
        self.added(subject, outcome.dataset, outcome.head, outcome.events);
        Ok(outcome)
    }

    /// Whether there are transactions here.
    #[must_use]
    pub fn has_transactions(&self) -> bool {
        self.shared.transactions.is_some()
    }

    /// Keeps rows until their transaction is committed, and looks whether they will fit. Gives how many there are.
    ///
    /// # Errors
    /// Those of [`Self::ingest`] that can be known before; `ResourceExhausted` when the transaction has too many; `InvalidArgument`
    /// when it was ended or is too old.
    pub async fn stage(
        &self,
        subject: &Subject,
        transaction: &TransactionId,
        request: IngestRequest,
        rows: BatchStream,
    ) -> Result<u64> {
        let shared = &self.shared;
        shared
            .transactions()?
            .stage(&shared.ingest, subject, transaction, (request, false), rows)
            .await
    }

    pub(crate) async fn stage_insert(
        &self,
        subject: &Subject,
        transaction: &TransactionId,
        dataset: &PinnedDataset,
        key: Option<IdempotencyKey>,
        rows: BatchStream,
    ) -> Result<u64> {
        let shared = &self.shared;
        let request = IngestRequest {
            idempotency_key: key,
            ..IngestRequest::append(TableName::Id(dataset.id))
        };
        shared
            .transactions()?
            .stage(&shared.ingest, subject, transaction, (request, true), rows)
            .await
    }

    /// Commits what a transaction has, all of a dataset in one step. Committing again adds nothing; after a failure that left
    /// some datasets without their rows, it goes on.
    ///
    /// # Errors
    /// Those of [`Self::ingest`], telling which datasets are committed; `InvalidArgument` when the transaction was rolled back or
    /// is too old.
    pub async fn commit_transaction(
        &self,
        subject: &Subject,
        transaction: &TransactionId,
    ) -> Result<TransactionOutcome> {
        let shared = &self.shared;
        // An ingest is a large future.
        let outcome = Box::pin(shared.transactions()?.commit(&shared.ingest, subject, transaction)).await?;
        for commit in &outcome.commits {
            self.added(subject, commit.dataset, commit.head, commit.events);
        }
        Ok(outcome)
    }

    /// Forgets what a transaction has. Rolling back again changes nothing.
    ///
    /// # Errors
    /// `InvalidArgument` when it was committed or is too old; those of storage.
    pub async fn roll_back(&self, transaction: &TransactionId) -> Result<()> {
        self.shared.transactions()?.roll_back(transaction).await
    }

    /// Removes the rows of transactions that are too old to be ended. Gives how many there were.
    ///
    /// # Errors
    /// Those of storage.
    pub async fn collect_transactions(&self) -> Result<usize> {
        match &self.shared.transactions {
            Some(transactions) => transactions.collect().await,
            None => Ok(0),
        }
    }

    /// Takes the rows of a file into a dataset, read as its push source says. New columns that the source declares are added
    /// to the dataset.
    ///
    /// # Errors
    /// Those of [`Self::ingest`]; `InvalidArgument` when the dataset has no such source, or a place in the file cannot be
    /// read, with its line and column.
    pub async fn ingest_file(
        &self,
        subject: &Subject,
        request: IngestRequest,
        file: jetway_sources::Input,
    ) -> Result<IngestOutcome> {
        let outcome = self.shared.ingest.file(subject, &request, file).await?;
        self.added(subject, outcome.dataset, outcome.head, outcome.events);
        Ok(outcome)
    }

    /// Takes in what the polling source of a dataset has that is new. Each file is a commit of its own: if a later one fails,
    /// the earlier ones are in, and the next pull goes on behind them. Nothing is committed when nothing changed.
    ///
    /// # Errors
    /// `InvalidArgument` when the dataset has no polling source, or its data cannot be read as the source says; `Unavailable`
    /// when the source does not answer; `Conflict` when somebody else pulled at the same moment; those of [`Self::ingest`].
    pub async fn pull(&self, subject: &Subject, name: &TableName, options: PullOptions) -> Result<PullOutcome> {
        let outcome = self.shared.ingest.pull(subject, name, options).await?;
        self.added(subject, outcome.dataset, outcome.head, outcome.events);
        Ok(outcome)
    }

    /// Tells what a statement needs and gives: the types of its parameters and the schema of its result. Nothing runs, and
    /// values in the request are not looked at.
    ///
    /// # Errors
    /// Those of [`Self::plan`]; `PermissionDenied` when it changes what the subject may not write.
    pub async fn prepare(&self, request: PlanRequest) -> Result<Prepared> {
        let (shared, is_small) = (&self.shared, is_small(&request.query));
        let planning = prepare(Arc::clone(shared), request);
        shared.engine.compute.plan(is_small, planning).await
    }

    /// Plans a statement that changes datasets, such as INSERT or CREATE TABLE; none if the text is anything else. Nothing runs.
    ///
    /// # Errors
    /// Those of [`Self::plan`]; `PermissionDenied` when the subject may not write.
    pub async fn plan_update(&self, request: PlanRequest) -> Result<Option<Update>> {
        let rows = request.parameters.clone().map(one_batch);
        self.plan_change(request, rows).await
    }

    async fn plan_change(&self, request: PlanRequest, rows: Option<BatchStream>) -> Result<Option<Update>> {
        let is_small = is_small(&request.query);
        let planning = plan_update(self.clone(), request, rows);
        self.shared.engine.compute.plan(is_small, planning).await
    }

    /// Runs a statement that changes a dataset for each row of parameters: all that they add is one commit, or nothing is.
    /// The rows of an `INSERT ... VALUES (...)` are taken in while they arrive; for other statements they are kept in memory.
    ///
    /// # Errors
    /// Those of [`Self::update`] and of the rows; `ResourceExhausted` when more are to be kept than is allowed.
    pub async fn update_rows(
        &self,
        request: PlanRequest,
        rows: BatchStream,
        key: Option<IdempotencyKey>,
    ) -> Result<UpdateOutcome> {
        match self.plan_change(request.clone(), Some(rows)).await? {
            Some(update) => update.run(key).await,
            None => self.update(request, key).await,
        }
    }

    /// Runs a statement that changes a dataset.
    ///
    /// # Errors
    /// Those of [`Self::plan_update`] and [`Update::run`]; `Unsupported` for statements that only read, or that are not
    /// possible.
    pub async fn update(&self, request: PlanRequest, key: Option<IdempotencyKey>) -> Result<UpdateOutcome> {
        self.only_update(request).await?.run(key).await
    }

    /// Plans a statement that has to change datasets.
    ///
    /// # Errors
    /// Those of [`Self::plan_update`]; `Unsupported` for statements that only read, or that are not possible.
    pub async fn only_update(&self, request: PlanRequest) -> Result<Update> {
        match self.plan_update(request.clone()).await? {
            Some(update) => Ok(update),
            None => {
                self.plan_request(request).await?;
                Err(Error::new(
                    ErrorKind::Unsupported,
                    "the statement changes nothing; send it as a query, or write INSERT INTO ... or CREATE TABLE ...",
                ))
            }
        }
    }

    pub(crate) async fn insert(
        &self,
        subject: &Subject,
        dataset: PinnedDataset,
        summary: &DatasetSummary,
        key: Option<IdempotencyKey>,
        rows: BatchStream,
    ) -> Result<IngestOutcome> {
        let outcome = self.shared.ingest.insert(subject, dataset, summary, key, rows).await?;
        self.added(subject, outcome.dataset, outcome.head, outcome.events);
        Ok(outcome)
    }

    /// Changes or removes rows.
    pub(crate) async fn modify(
        &self,
        modification: &Arc<Modification>,
        key: Option<IdempotencyKey>,
    ) -> Result<IngestOutcome> {
        let (shared, evaluated) = (Arc::clone(&self.shared), Arc::clone(modification));
        let (deletes, runs) = (
            modification.statement.is_delete(),
            modification.values.as_ref().map_or(1, RecordBatch::num_rows),
        );
        let computation = Computation {
            rows: Arc::new(move |dataset| evaluate(Arc::clone(&shared), Arc::clone(&evaluated), dataset)),
            each_key_once: !deletes && runs > 1,
            counts_events: deletes,
        };
        let (subject, dataset) = (&modification.subject, modification.dataset.clone());
        let modified = self
            .shared
            .ingest
            .modify(subject, dataset, &modification.schema, key, computation);
        let outcome = modified.await?;
        self.added(subject, outcome.dataset, outcome.head, outcome.events);
        Ok(outcome)
    }

    /// Makes a dataset that nobody has pushed to.
    pub(crate) async fn make(
        &self,
        subject: &Subject,
        create: &CreateStatement,
        key: Option<IdempotencyKey>,
        rows: BatchStream,
    ) -> Result<IngestOutcome> {
        let outcome = self.shared.ingest.make(subject, create, key, rows).await?;
        self.added(subject, outcome.dataset, outcome.head, outcome.events);
        Ok(outcome)
    }

    /// Removes datasets. All names are looked up before anything is removed.
    pub(crate) async fn drop_datasets(&self, subject: &Subject, drop: &DropStatement) -> Result<()> {
        let mut found: Vec<PinnedDataset> = Vec::new();
        for name in &drop.tables {
            match self.shared.writable_dataset(subject, name).await {
                Ok(dataset) if found.iter().all(|other| other.id != dataset.id) => found.push(dataset),
                Ok(_) => {}
                Err(error) if drop.if_exists && error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        for dataset in found {
            self.shared.catalog.delete(subject, &dataset).await?;
        }
        Ok(())
    }

    /// Keeps a view that has been looked at.
    pub(crate) async fn create_view(&self, subject: &Subject, create: &ViewStatement, view: &View) -> Result<()> {
        let kept = self.shared.catalog.set_view(subject, view, create.replaces).await;
        match kept {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && create.if_not_exists => {
                match self.shared.catalog.view(subject, &view.alias).await? {
                    Some(_) => Ok(()),
                    None => Err(error),
                }
            }
            kept => kept,
        }
    }

    /// Removes views.
    pub(crate) async fn drop_views(&self, subject: &Subject, drop: &DropStatement) -> Result<()> {
        for name in &drop.tables {
            let alias = view::alias(subject, name)?;
            if !self.shared.catalog.remove_view(subject, &alias).await? && !drop.if_exists {
                let is_dataset = self.shared.catalog.resolve(subject, name, Access::Read).await.is_ok();
                let advice = if is_dataset {
                    "; it is a dataset: write DROP TABLE"
                } else {
                    ""
                };
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("there is no view {alias}{advice}"),
                ));
            }
        }
        Ok(())
    }

    /// Merges small slices in the background when there are many.
    fn added(&self, subject: &Subject, dataset: DatasetId, head: Multihash, events: u64) {
        if self.shared.compact_in_background && events > 0 && self.shared.indexes.grew(dataset, head) {
            self.compact_later(subject, dataset);
        }
    }

    /// Merges small slices of a dataset into a derived index that scans read instead. The chain stays as it is.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`; `Corrupt` when a slice does not have its hash; `Unavailable`.
    pub async fn compact(&self, subject: &Subject, name: &TableName) -> Result<CompactOutcome> {
        let dataset = self.shared.writable(subject, name).await?;
        let summary = self.shared.summaries.get(&dataset).await?;
        self.shared.indexes.compact(&dataset, &summary, Effort::Asked).await
    }

    /// Writes the history of a dataset again with larger slices, or without its rows: hard compaction. Blocks get new hashes;
    /// datasets that are computed from this one have to be reset.
    ///
    /// # Errors
    /// `InvalidArgument` for slices of a dataset that is computed; `Conflict` when somebody else wrote meanwhile, and then
    /// nothing was changed; `Corrupt` when a slice does not have its hash; `NotFound`, `PermissionDenied`, `Unavailable`.
    pub async fn rewrite(&self, subject: &Subject, name: &TableName, rewrite: Rewrite) -> Result<RewriteOutcome> {
        let dataset = self.shared.writable(subject, name).await?;
        let (shared, compute) = (Arc::clone(&self.shared), self.shared.engine.compute.clone());
        let work = async move {
            let summary = shared.summaries.get(&dataset).await?;
            rewrite::rewrite(&shared.engine, &dataset, &summary, rewrite).await
        };
        compute.spawn(work.boxed()).join().await?
    }

    /// Removes everything that is derived from a dataset, and makes anew what its readers and its sources need: merged
    /// slices and indexes of keys.
    ///
    /// # Errors
    /// As [`Self::compact`].
    pub async fn reindex(&self, subject: &Subject, name: &TableName) -> Result<CompactOutcome> {
        let dataset = self.shared.writable(subject, name).await?;
        let merger = self.shared.ingest.merger();
        merger.forget(&dataset.storage).await?;
        dataset.storage.derived().clear("").await?;
        self.shared.summaries.forget(&dataset.id);
        let summary = self.shared.summaries.get(&dataset).await?;
        let (state, mut strategies) = (&summary.state, Vec::new());
        strategies.extend(state.push_sources().values().map(|source| &source.merge));
        strategies.extend(state.polling_source().map(|source| &source.merge));
        for strategy in strategies {
            merger.build(strategy, &dataset, &summary).await?;
        }
        self.shared.indexes.compact(&dataset, &summary, Effort::Asked).await
    }

    /// Finds files of a dataset that nothing names and that are older than `grace`, an hour at least; removes them unless it is
    /// a dry run.
    ///
    /// # Errors
    /// `Unsupported` for a grace period that is too short; `Corrupt` when the chain has holes, and then nothing was removed;
    /// `NotFound`, `PermissionDenied`, `Unavailable`.
    pub async fn collect_garbage(
        &self,
        subject: &Subject,
        name: &TableName,
        grace: TimeDelta,
        dry_run: bool,
    ) -> Result<GarbageReport> {
        let storage = self.shared.writable(subject, name).await?.storage;
        let options = GarbageOptions {
            now: self.shared.clock.now(),
            grace,
            dry_run,
        };
        let mut report = storage.collect_garbage(&options).await?;
        report
            .garbage
            .extend(self.shared.indexes.collect_garbage(&storage, &options).await?);
        report
            .garbage
            .extend(summary::collect_garbage(&storage, &options).await?);
        Ok(report)
    }

    /// Compacts in the background if it pays. Nobody waits for it, so what it fails with is logged.
    fn compact_later(&self, subject: &Subject, id: DatasetId) {
        let (shared, subject) = (Arc::clone(&self.shared), subject.clone());
        let compute = shared.engine.compute.clone();
        compute.detach(async move {
            if let Err(error) = shared.compact_if_worth(&subject, id).await {
                tracing::warn!(dataset.id = %id, %error, "small slices could not be merged");
            }
            shared.indexes.looked(&id);
        });
    }
}

impl Shared {
    fn transactions(&self) -> Result<&Transactions> {
        self.transactions.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "there are no transactions on this node: leave transaction_id empty, and turn autocommit on in the client",
            )
        })
    }

    /// Plans a query over the datasets that it names, with placeholders for its parameters.
    async fn resolve(
        &self,
        session: &mut SessionState,
        reading: Reading<'_>,
        query: Parsed,
    ) -> Result<(Unbound, Resolved)> {
        policy::check_kind(&query.statement)?;
        let resolved = self.resolver(reading).register(session, &query.statement).await?;
        Ok((Unbound::new(session, query).await?, resolved))
    }

    fn resolver<'a>(&'a self, reading: Reading<'a>) -> Resolver<'a> {
        Resolver::new(&self.sources, reading)
    }

    /// Plans the query of an INSERT, with the types of the columns that it fills.
    async fn resolve_insert(
        &self,
        session: &mut SessionState,
        reading: Reading<'_>,
        insert: &InsertStatement,
        parameters: usize,
    ) -> Result<Insertion> {
        let dataset = self.changeable(reading.subject, &insert.table).await?;
        let summary = self.summaries.get(&dataset).await?;
        self.resolve_rows(session, reading, (dataset, summary), insert, parameters)
            .await
    }

    /// Plans the query of an UPDATE or DELETE over the state of a dataset at its pinned head.
    async fn resolve_modify(
        &self,
        session: &mut SessionState,
        reading: Reading<'_>,
        modify: &ModifyStatement,
        dataset: PinnedDataset,
        parameters: usize,
    ) -> Result<(Insertion, InsertStatement)> {
        if reading.as_of.is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the session reads the past (as_of), which cannot be changed: unset the option first",
            ));
        }
        let summary = self.summaries.get(&dataset).await?;
        let insert = modify.rows(&dataset, &summary)?;
        let known = Some(Pin {
            dataset: dataset.id,
            head: dataset.head,
        });
        let reading = Reading { known, ..reading };
        let insertion = self.resolve_rows(session, reading, (dataset, summary), &insert, parameters);
        Ok((insertion.await?, insert))
    }

    async fn resolve_rows(
        &self,
        session: &mut SessionState,
        reading: Reading<'_>,
        (dataset, summary): (PinnedDataset, Arc<DatasetSummary>),
        insert: &InsertStatement,
        parameters: usize,
    ) -> Result<Insertion> {
        let query = Parsed {
            statement: insert.query.clone(),
            parameters,
        };
        let (mut query, Resolved { pins, .. }) = self.resolve(session, reading, query).await?;
        query.fill(&insert.types(&summary)?, |plan| insert.project(plan, &summary))?;
        Ok(Insertion {
            dataset,
            summary,
            query,
            pins,
        })
    }

    /// Looks whether a view can be read, at the present.
    async fn check_view(&self, reading: Reading<'_>, view: View) -> Result<()> {
        let reading = Reading { as_of: None, ..reading };
        self.resolver(reading).check_view(view).await
    }

    /// As [`Self::writable`], and says of a view that it is one.
    async fn writable_dataset(&self, subject: &Subject, name: &TableName) -> Result<PinnedDataset> {
        match self.writable(subject, name).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(self.no_dataset(subject, name, error).await),
            found => found,
        }
    }

    async fn no_dataset(&self, subject: &Subject, name: &TableName, error: Error) -> Error {
        let view = match view::alias(subject, name) {
            Ok(alias) => self.catalog.view(subject, &alias).await,
            Err(_) => Ok(None),
        };
        match view {
            Ok(Some(view)) => Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "{} is a view and has no rows of its own: change the datasets that it reads, or write DROP VIEW to remove it",
                    view.alias
                ),
            ),
            Ok(None) => error,
            Err(error) => error,
        }
    }

    /// The dataset that a statement adds rows to or changes.
    async fn changeable(&self, subject: &Subject, name: &TableName) -> Result<PinnedDataset> {
        match self.ingest.writable(subject, name).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Err(self.no_dataset(subject, name, error).await),
            found => found,
        }
    }

    async fn writable(&self, subject: &Subject, name: &TableName) -> Result<PinnedDataset> {
        match name {
            TableName::Id(id) => self.catalog.resolve_id(subject, id, Access::Write).await,
            TableName::Alias(_) => self.catalog.resolve(subject, name, Access::Write).await,
        }
    }

    async fn compact_if_worth(&self, subject: &Subject, id: DatasetId) -> Result<()> {
        let dataset = self.catalog.resolve_id(subject, &id, Access::Write).await?;
        let summary = self.summaries.get(&dataset).await?;
        if self.indexes.wants_compaction(&dataset, &summary).await {
            self.indexes.compact(&dataset, &summary, Effort::Background).await?;
            metrics::counter!("jetway_compactions_total").increment(1);
        }
        Ok(())
    }
}
