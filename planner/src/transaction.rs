//! Transactions: rows that wait in a shared folder until somebody says commit.
//!
//! ```text
//!  ingest, INSERT ─► checked as far as can be known ─► staging folder ─┐
//!                                                     COMMIT ──────────┴─► one commit for each dataset
//! ```
//!
//! Nothing of a transaction is in this process: any replica over the same staging folder takes more rows for it, or ends it.
//! The key of what it commits is made of its id, so that committing it again adds nothing.

mod store;

use std::fmt;
use std::time::Duration;

use arrow::array::RecordBatch;
use chrono::{DateTime, TimeDelta, Utc};
use jetway_odf::storage::ScratchStore;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::compute::Compute;
use crate::ingest::{Ingest, Waiting};
use crate::transaction::store::{Decision, Folder, StoredPart};
use crate::{
    BatchStream, Clock, Error, ErrorKind, IdempotencyKey, IfExists, IfNotExists, IngestOutcome, IngestRequest, Result,
    Subject, TableName,
};

/// How long after its end a transaction is remembered, and how far clocks of replicas may differ.
const SLACK: Duration = Duration::from_secs(15 * 60);

/// Names a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionId(pub(crate) Uuid);

impl TransactionId {
    /// One that nobody has. It tells when the transaction began.
    #[must_use]
    pub fn unique() -> Self {
        Self(Uuid::now_v7())
    }

    /// The 16 bytes of [`Self::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where rows of transactions wait, and how many of them may.
#[derive(Debug, Clone)]
pub struct TransactionOptions {
    /// The folder or bucket; the same for all replicas.
    pub staging: ScratchStore,
    /// Encoded bytes of one transaction.
    pub max_bytes: u64,
    /// Ingests and statements of one transaction.
    pub max_parts: usize,
    /// What is older is removed.
    pub lifetime: Duration,
}

impl TransactionOptions {
    /// The usual limits.
    #[must_use]
    pub fn new(staging: ScratchStore) -> Self {
        Self {
            staging,
            max_bytes: 16 << 30,
            max_parts: 10_000,
            lifetime: Duration::from_secs(60 * 60),
        }
    }
}

/// Where the rows of one ingest or statement go.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    /// Account and name, or the identity of a dataset that was there.
    table: String,
    /// Whether the rows have the columns of the dataset, and no source's SQL is to be applied.
    is_insert: bool,
    may_create: bool,
    may_exist: bool,
    #[serde(default)]
    replaces: bool,
    source: Option<String>,
    event_time: Option<DateTime<Utc>>,
    evolve_schema: bool,
    key: Option<IdempotencyKey>,
    rows: u64,
    bytes: u64,
}

impl Part {
    fn is_for(&self, table: &str) -> bool {
        self.table.eq_ignore_ascii_case(table)
    }

    fn request(&self) -> Result<IngestRequest> {
        Ok(IngestRequest {
            table: TableName::parse(None, None, &self.table)?,
            if_exists: match (self.replaces, self.may_exist) {
                (true, _) => IfExists::Replace,
                (false, true) => IfExists::Append,
                (false, false) => IfExists::Fail,
            },
            if_not_exists: match self.may_create {
                true => IfNotExists::Create,
                false => IfNotExists::Fail,
            },
            source: self.source.clone(),
            idempotency_key: None,
            event_time: self.event_time,
            evolve_schema: self.evolve_schema,
        })
    }
}

/// What a commit did to each dataset.
#[derive(Debug, Clone, Default)]
pub struct TransactionOutcome {
    /// The commits, in the order in which the transaction first wrote to the datasets. Empty when nothing was written, or when
    /// the transaction had been committed before.
    pub commits: Vec<IngestOutcome>,
}

/// Transactions of a planner.
#[derive(Debug)]
pub(crate) struct Transactions {
    options: TransactionOptions,
    compute: Compute,
    clock: Clock,
}

impl Transactions {
    pub(crate) fn new(options: TransactionOptions, compute: Compute, clock: Clock) -> Self {
        Self {
            options,
            compute,
            clock,
        }
    }

    /// Keeps rows for the end of a transaction. Gives how many there are.
    pub(crate) async fn stage(
        &self,
        ingest: &Ingest,
        subject: &Subject,
        id: &TransactionId,
        (request, is_insert): (IngestRequest, bool),
        rows: BatchStream,
    ) -> Result<u64> {
        let folder = self.folder(id)?;
        check_open(folder.decision().await?)?;
        let before = folder.parts().await?;
        if before.len() >= self.options.max_parts {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "a transaction has at most {} ingests and statements; commit more often",
                    self.options.max_parts
                ),
            ));
        }
        if let Some(known) = known(&before, &request) {
            return repeated(known, rows).await;
        }
        let mut request = request;
        let key = request.idempotency_key.take();
        let table = ingest
            .place(subject, &request, |table| {
                before.iter().any(|other| other.part.is_for(&table))
            })
            .await?;
        let full = table.to_string();
        let first = before.iter().find(|other| other.part.is_for(&full));
        // Names that differ in case alone mean the same dataset.
        let name_in_parts = first.map_or(full, |first| first.part.table.clone());
        let first = match first {
            Some(first) => {
                check_together(first, &request)?;
                Some((
                    first.part.request()?,
                    first.part.is_insert,
                    folder.schema(&first.name).await?,
                ))
            }
            None => None,
        };
        let target = IngestRequest {
            table: table.clone(),
            ..request.clone()
        };
        let check = ingest
            .foresee(subject, &target, is_insert, &rows.schema(), first)
            .await?;
        let used: u64 = before.iter().map(|part| part.part.bytes).sum();
        let room = self.options.max_bytes.saturating_sub(used);
        let name = Folder::next_name(&before);
        let look = |batch: &RecordBatch| check.batch(batch);
        let (count, bytes) = folder.write_rows(&name, &self.compute, rows, room, look).await?;
        let part = Part {
            table: name_in_parts,
            is_insert,
            may_create: request.if_not_exists == IfNotExists::Create,
            may_exist: request.if_exists != IfExists::Fail,
            replaces: request.if_exists == IfExists::Replace,
            source: request.source,
            event_time: request.event_time,
            evolve_schema: request.evolve_schema,
            key,
            rows: count,
            bytes,
        };
        check_open(folder.decision().await?)?;
        folder.describe(&name, &part).await?;
        // Whoever ended the transaction meanwhile may have seen the part or not.
        if folder.decision().await?.is_some() {
            return Err(Error::new(
                ErrorKind::Conflict,
                "the transaction was ended while rows were added to it; look whether they are there before sending them again",
            ));
        }
        metrics::counter!("jetway_transaction_parts_total").increment(1);
        Ok(count)
    }

    /// Commits the rows, each dataset in one step.
    pub(crate) async fn commit(
        &self,
        ingest: &Ingest,
        subject: &Subject,
        id: &TransactionId,
    ) -> Result<TransactionOutcome> {
        let folder = self.folder(id)?;
        match folder.decide(Decision::Commit).await? {
            Decision::Commit => {}
            Decision::Rollback => return Err(ended("the transaction was rolled back; begin a new one")),
            Decision::Undone => {
                return Err(ended(
                    "the transaction failed to commit and was rolled back; begin a new one",
                ));
            }
        }
        if folder.is_done().await? {
            return Ok(TransactionOutcome::default());
        }
        let mut outcome = TransactionOutcome::default();
        let mut done: Vec<String> = Vec::new();
        for (table, parts) in by_dataset(folder.parts().await?) {
            match self.commit_dataset(ingest, subject, id, &folder, parts).await {
                Ok(commit) => {
                    outcome.commits.push(commit);
                    done.push(table);
                }
                Err(error) if done.is_empty() && !error.is_retryable() && error.kind() != ErrorKind::Internal => {
                    folder.undo().await?;
                    folder.clear_parts().await?;
                    return Err(Error::new(
                        error.kind(),
                        format!(
                            "nothing was committed, and the transaction is rolled back: {}",
                            error.message()
                        ),
                    )
                    .with_context("dataset", table)
                    .with_source(error));
                }
                Err(error) => return Err(partial(&done, table, error)),
            }
        }
        folder.set_done().await?;
        folder.clear_parts().await?;
        metrics::counter!("jetway_transactions_total", "end" => "commit").increment(1);
        Ok(outcome)
    }

    async fn commit_dataset(
        &self,
        ingest: &Ingest,
        subject: &Subject,
        id: &TransactionId,
        folder: &Folder,
        parts: Vec<StoredPart>,
    ) -> Result<IngestOutcome> {
        let mut waiting = Vec::with_capacity(parts.len());
        for part in parts {
            let schema = folder.schema(&part.name).await?;
            waiting.push(Waiting {
                request: part.part.request()?,
                is_insert: part.part.is_insert,
                rows: folder.rows(&part, schema, &self.compute),
            });
        }
        let key = IdempotencyKey::new(format!("transaction:{id}"))?;
        ingest.together(subject, waiting, key).await
    }

    /// Forgets the rows.
    pub(crate) async fn roll_back(&self, id: &TransactionId) -> Result<()> {
        let folder = self.folder(id)?;
        match folder.decide(Decision::Rollback).await? {
            Decision::Commit if folder.is_done().await? => {
                return Err(ended("the transaction is committed already, and cannot be rolled back"));
            }
            Decision::Commit => {
                return Err(ended(
                    "the transaction is being committed and cannot be rolled back any more; commit it again to finish it",
                ));
            }
            Decision::Rollback | Decision::Undone => {}
        }
        folder.clear_parts().await?;
        metrics::counter!("jetway_transactions_total", "end" => "rollback").increment(1);
        Ok(())
    }

    /// Removes transactions that are too old to be ended. Gives their number.
    pub(crate) async fn collect(&self) -> Result<usize> {
        let lifetime = TimeDelta::from_std(self.options.lifetime + SLACK).unwrap_or(TimeDelta::MAX);
        let mut removed = 0;
        for id in Folder::all(&self.options.staging).await? {
            let is_old = store::began(&id).is_none_or(|began| self.clock.now() - began > lifetime);
            if is_old {
                Folder::new(&self.options.staging, &id).remove_all().await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The folder of a transaction that is young enough.
    fn folder(&self, id: &TransactionId) -> Result<Folder> {
        let lifetime = TimeDelta::from_std(self.options.lifetime).unwrap_or(TimeDelta::MAX);
        match store::began(id) {
            Some(began) if self.clock.now() - began <= lifetime => Ok(Folder::new(&self.options.staging, id)),
            _ => Err(ended(
                "the transaction is too old, and its rows are gone; begin a new one",
            )),
        }
    }
}

/// The ingest that a repetition repeats.
fn known<'a>(before: &'a [StoredPart], request: &IngestRequest) -> Option<&'a Part> {
    let key = request.idempotency_key.as_ref()?;
    before
        .iter()
        .map(|part| &part.part)
        .find(|part| part.key.as_ref() == Some(key))
}

async fn repeated(known: &Part, rows: BatchStream) -> Result<u64> {
    use futures::TryStreamExt;
    let count = rows.try_fold(0, |count, batch| {
        std::future::ready(Ok(count + batch.num_rows() as u64))
    });
    match count.await? {
        count if count == known.rows => Ok(count),
        count => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "the idempotency key was used in this transaction for another push, of {} rows, and this one has {count}",
                known.rows
            ),
        )),
    }
}

/// Whether rows can go into one commit with those that came first.
fn check_together(first: &StoredPart, request: &IngestRequest) -> Result<()> {
    let first = &first.part;
    let conflict = if first.replaces || request.if_exists == IfExists::Replace {
        "rows that replace a dataset are the only ones that a transaction sends to it"
    } else if first.may_create && request.if_exists == IfExists::Fail {
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            "the transaction makes that dataset already; append to it",
        ));
    } else if first.event_time != request.event_time {
        "all ingests of a transaction into a dataset have the same option event_time"
    } else if first.source != request.source {
        "all ingests of a transaction into a dataset go through the same source"
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!("{conflict}: commit, and begin another transaction"),
    ))
}

/// Parts in order, together with the others of their dataset.
fn by_dataset(parts: Vec<StoredPart>) -> Vec<(String, Vec<StoredPart>)> {
    let mut datasets: Vec<(String, Vec<StoredPart>)> = Vec::new();
    for part in parts {
        match datasets.iter_mut().find(|(table, _)| *table == part.part.table) {
            Some((_, parts)) => parts.push(part),
            None => datasets.push((part.part.table.clone(), vec![part])),
        }
    }
    datasets
}

fn check_open(decision: Option<Decision>) -> Result<()> {
    match decision {
        None => Ok(()),
        Some(Decision::Commit) => Err(ended("the transaction is committed; begin a new one")),
        Some(Decision::Rollback | Decision::Undone) => Err(ended("the transaction was rolled back; begin a new one")),
    }
}

fn ended(message: &str) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

fn partial(done: &[String], table: String, error: Error) -> Error {
    let committed = match done {
        [] => "none".to_owned(),
        done => done.join(", "),
    };
    Error::new(
        error.kind(),
        format!(
            "the transaction is not wholly committed; commit it again to go on: {}",
            error.message()
        ),
    )
    .with_context("committed", committed)
    .with_context("failed", table)
    .with_source(error)
}
