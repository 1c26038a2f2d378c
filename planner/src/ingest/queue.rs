//! One committer for each dataset: pushes that wait for it share a block.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::MergeStrategy;
use jetway_odf::storage::{CommitOutcome, DatasetStorage, ObjectKind, ObjectSource};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, oneshot};

use crate::ingest::append::{Additions, append};
use crate::ingest::intake::Intake;
use crate::ingest::receipt::Receipt;
use crate::ingest::rows::{SliceSequence, WrittenSlice, WrittenSlices};
use crate::ingest::shape::Shape;
use crate::ingest::slice::SliceFile;
use crate::ingest::{IngestOutcome, Services};
use crate::modify::Computation;
use crate::spool::Spool;
use crate::summary::DatasetSummary;
use crate::{Access, Error, ErrorKind, PinnedDataset, Result, Subject};

/// How many rows of waiting pushes go into one commit.
const MAX_SHARED_ROWS: u64 = 512 * 1024;

/// How many pushes go into one commit: a block with a receipt for each of them stays small.
const MAX_SHARED_PUSHES: usize = 1024;

/// Memory for rows that a statement computes, in KiB; more of them wait on disk.
const COMPUTED_KIB: usize = 16 * 1024;

/// How often a commit is tried when other processes are faster.
const MAX_ATTEMPTS: u32 = 20;

/// The queues of all datasets that are being pushed to.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    services: Arc<Services>,
    /// A dataset is here while its committer runs.
    waiting: Arc<Mutex<HashMap<DatasetId, Vec<Push>>>>,
}

/// Rows that are complete, and all that is needed to commit them.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) subject: Subject,
    pub(super) dataset: PinnedDataset,
    pub(super) shape: Arc<Shape>,
    pub(super) intake: Intake,
    pub(super) rows: Rows,
}

/// Shaped rows.
#[derive(Debug)]
pub(super) enum Rows {
    /// Few of them: they share a slice with those of others who wait.
    Few(Vec<RecordBatch>),
    /// In slices that are written already. They are written again if rows came in between.
    Slices(WrittenSlices),
    /// To be merged with what the dataset holds at the moment of the commit.
    Merged(Spool),
    /// To be computed from what the dataset holds at the moment of the commit, and then merged with it.
    Computed(Computation),
}

/// A push that waits for its commit.
#[derive(Debug)]
struct Push {
    ready: Ready,
    /// Rows that were taken in.
    rows: u64,
    reply: oneshot::Sender<Result<IngestOutcome>>,
}

/// What a commit did.
#[derive(Debug, Clone, Copy)]
struct Done {
    head: Multihash,
    /// How many events the rows became, if they are not as many as the rows.
    events: Option<u64>,
    changed: bool,
}

impl Queues {
    pub(super) fn new(services: Arc<Services>) -> Self {
        Self {
            services,
            waiting: Arc::default(),
        }
    }

    /// Waits until the rows are in the dataset.
    pub(super) async fn push(&self, ready: Ready) -> Result<IngestOutcome> {
        let (reply, answer) = oneshot::channel();
        let id = ready.dataset.id;
        let rows = ready.rows.count();
        let push = Push { ready, rows, reply };
        let starts = {
            let mut waiting = self.lock();
            let starts = !waiting.contains_key(&id);
            waiting.entry(id).or_default().push(push);
            starts
        };
        if starts {
            let committer = Committer {
                queues: self.clone(),
                id,
                done: false,
            };
            self.services.engine.compute.detach(committer.run());
        }
        answer.await.map_err(|_| {
            Error::new(
                ErrorKind::Internal,
                "the commit was interrupted; look whether the rows are there before sending them again",
            )
        })?
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DatasetId, Vec<Push>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commits what waits for one dataset, until nothing does.
struct Committer {
    queues: Queues,
    id: DatasetId,
    done: bool,
}

impl Drop for Committer {
    /// A committer that panicked must not leave its dataset without one; those who wait get an error.
    fn drop(&mut self) {
        if !self.done {
            self.queues.lock().remove(&self.id);
        }
    }
}

impl Committer {
    async fn run(mut self) {
        while let Some(pushes) = self.take() {
            for group in group(pushes) {
                self.queues.services.commit_group(group).await;
            }
        }
    }

    fn take(&mut self) -> Option<Vec<Push>> {
        let mut waiting = self.queues.lock();
        let pushes = waiting.get_mut(&self.id).map(std::mem::take).unwrap_or_default();
        if pushes.is_empty() {
            waiting.remove(&self.id);
            self.done = true;
            return None;
        }
        Some(pushes)
    }
}

/// Pushes that can share a slice, in the order of their arrival.
fn group(pushes: Vec<Push>) -> Vec<Vec<Push>> {
    let mut groups: Vec<Vec<Push>> = Vec::new();
    for push in pushes {
        match groups.last_mut() {
            Some(group) if can_share(group, &push) => group.push(push),
            _ => groups.push(vec![push]),
        }
    }
    groups
}

fn can_share(group: &[Push], push: &Push) -> bool {
    let rows: u64 = group.iter().chain([push]).map(|push| push.rows).sum();
    let Some(first) = group.first() else { return false };
    let (ready, first) = (&push.ready, &first.ready);
    rows <= MAX_SHARED_ROWS
        && group.len() < MAX_SHARED_PUSHES
        && matches!((&first.rows, &ready.rows), (Rows::Few(_), Rows::Few(_)))
        && first.subject == ready.subject
        && first.shape.gives_same_rows(&ready.shape)
        && first.intake.event_time == ready.intake.event_time
        && first.intake.polled.is_none()
        && ready.intake.polled.is_none()
        && (ready.intake.key.is_none() || group.iter().all(|other| other.ready.intake.key != ready.intake.key))
}

impl Rows {
    fn count(&self) -> u64 {
        match self {
            Self::Few(batches) => batches.iter().map(|batch| batch.num_rows() as u64).sum(),
            Self::Slices(slices) => slices.rows,
            Self::Merged(spool) => spool.rows(),
            // Not known yet.
            Self::Computed(_) => 0,
        }
    }
}

impl Push {
    fn answer(self, answer: Result<IngestOutcome>) {
        // Whoever does not wait any more does not need the answer; the rows are in all the same.
        let _ = self.reply.send(answer);
    }
}

impl Services {
    /// Commits the pushes of a group together and answers each of them.
    async fn commit_group(&self, mut group: Vec<Push>) {
        metrics::histogram!("jetway_ingest_pushes_per_commit").record(group.len() as f64);
        let result = self.commit(&mut group).await;
        for push in group {
            let answer = match &result {
                Ok(done) => Ok(IngestOutcome {
                    dataset: push.ready.dataset.id,
                    rows: push.rows,
                    events: done.events.unwrap_or(push.rows),
                    head: done.head,
                    created: false,
                    changed: done.changed,
                }),
                Err(error) => Err(error.repeat()),
            };
            push.answer(answer);
        }
    }

    /// Commits what is left of a group when those pushes are answered whose rows are in the dataset already.
    async fn commit(&self, group: &mut Vec<Push>) -> Result<Done> {
        let mut slices = take_slices(group);
        let Some((subject, id)) = group
            .first()
            .map(|push| (push.ready.subject.clone(), push.ready.dataset.id))
        else {
            return Err(Error::new(ErrorKind::Internal, "there is nothing to commit"));
        };
        for attempt in 0..MAX_ATTEMPTS {
            let dataset = self.catalog.resolve_id(&subject, &id, Access::Write).await?;
            let summary = self.summaries.get(&dataset).await?;
            answer_known(group, &summary);
            let computed = self.computed(group, &dataset, &summary).await?;
            let Some(Push { ready, .. }) = group.first() else {
                return Ok(Done::nothing(&dataset));
            };
            let counts_events = matches!(&ready.rows, Rows::Computed(computation) if computation.counts_events);
            let first = computed.as_ref().unwrap_or(ready);
            check_not_polled(first, &summary)?;
            let schema = first.shape.announcement(&summary)?.cloned();
            let (mut merged, mut is_stream) = (false, false);
            let written = match (slices.take(), &first.rows) {
                (Some(slices), _) => {
                    is_stream = true;
                    self.in_place(&dataset, &summary, first, slices).await?
                }
                (None, Rows::Merged(rows)) => match self.merge(&dataset, &summary, first, rows).await {
                    Ok(written) => {
                        merged = true;
                        written
                    }
                    Err(error) if error.kind() == ErrorKind::Conflict => {
                        metrics::counter!("jetway_ingest_conflicts_total").increment(1);
                        tokio::time::sleep(backoff(attempt)).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                },
                (None, Rows::Few(_) | Rows::Slices(_) | Rows::Computed(_)) => {
                    self.write(&dataset, &summary, group).await?
                }
            };
            let kept: Vec<Kept> = written.slices.iter().map(Kept::from).collect();
            let (first_offset, system_time, rows) = (written.first_offset, written.system_time, written.rows);
            let events = merged.then_some(rows);
            let taken = computed
                .as_ref()
                .map(|computed| if counts_events { rows } else { computed.rows.count() });
            if let (Some(taken), Some(push)) = (taken, group.first_mut()) {
                push.rows = taken;
            }
            let polled = group.first().and_then(|push| push.ready.intake.polled.as_ref());
            let additions = Additions {
                schema: schema.as_ref(),
                source_state: polled.and_then(|polled| polled.after.as_ref()),
                receipts: &receipts(group, events),
            };
            self.learn(&written);
            let made = append(&summary.state, &additions, written)?;
            if made.blocks.is_empty() {
                return Ok(Done::nothing(&dataset));
            }
            let blocks = made.blocks.clone();
            match self
                .catalog
                .commit(&subject, &dataset, dataset.head, made.blocks, made.objects)
                .await?
            {
                CommitOutcome::Committed { head } => {
                    match summary.append(&blocks, made.state) {
                        Ok(summary) => self.summaries.put(&dataset.storage, Arc::new(summary)),
                        // The rows are in. Whoever asks next makes the summary from the chain.
                        Err(error) => {
                            tracing::warn!(dataset = %dataset.alias, %error, "the summary of a dataset cannot be continued");
                        }
                    }
                    metrics::counter!("jetway_ingest_rows_total").increment(rows);
                    metrics::counter!("jetway_ingest_commits_total").increment(1);
                    return Ok(Done {
                        head,
                        events,
                        changed: true,
                    });
                }
                CommitOutcome::Unchanged => return Ok(Done::nothing(&dataset)),
                CommitOutcome::Conflict { .. } => {
                    metrics::counter!("jetway_ingest_conflicts_total").increment(1);
                    if is_stream {
                        slices = Some(reread(&dataset.storage, kept, first_offset, system_time, rows).await?);
                    }
                    tokio::time::sleep(backoff(attempt)).await;
                }
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            "other writers were faster each time; send the rows again",
        )
        .with_context("dataset", id.to_string()))
    }

    /// Remembers what is in slices that were written here, so that they need not be opened to know.
    pub(super) fn learn(&self, written: &WrittenSlices) {
        for slice in &written.slices {
            if let Some(statistics) = &slice.file.statistics {
                let hash = slice.file.physical_hash;
                self.engine.statistics.insert(hash, statistics.clone());
            }
        }
    }

    /// What is to be merged instead of the first push, if that is to be computed.
    async fn computed(
        &self,
        group: &mut [Push],
        dataset: &PinnedDataset,
        summary: &Arc<DatasetSummary>,
    ) -> Result<Option<Ready>> {
        let Some(Push { ready, reply, .. }) = group.first_mut() else {
            return Ok(None);
        };
        let Rows::Computed(computation) = &ready.rows else {
            return Ok(None);
        };
        tokio::select! {
            computed = self.compute(ready, computation, dataset, summary) => computed.map(Some),
            // Nobody waits for it any more.
            () = reply.closed() => Err(Error::new(ErrorKind::Cancelled, "the statement was cancelled")),
        }
    }

    /// The rows that a statement means for the dataset as it is now.
    async fn compute(
        &self,
        ready: &Ready,
        computation: &Computation,
        dataset: &PinnedDataset,
        summary: &Arc<DatasetSummary>,
    ) -> Result<Ready> {
        let rows = (computation.rows)(dataset.clone()).await?;
        let shape = Arc::new(Shape::of(&rows.schema(), summary, ready.intake.shape_rules())?);
        let memory = Arc::new(Semaphore::new(COMPUTED_KIB));
        let rows = Spool::keep(shape.apply_to(rows), &self.engine, &memory).await?;
        if computation.each_key_once {
            let merge = &ready.intake.merge;
            self.merger
                .check_keys(merge, summary, &shape.schema, rows.open())
                .await?;
        }
        Ok(Ready {
            subject: ready.subject.clone(),
            dataset: dataset.clone(),
            shape,
            intake: ready.intake.clone(),
            rows: Rows::Merged(rows),
        })
    }

    /// The events that rows mean for the dataset as it is now.
    async fn merge(
        &self,
        dataset: &PinnedDataset,
        summary: &Arc<DatasetSummary>,
        first: &Ready,
        rows: &Spool,
    ) -> Result<WrittenSlices> {
        let strategy: &MergeStrategy = &first.intake.merge;
        let schema = &first.shape.schema;
        let mut events = self
            .merger
            .merge(strategy, dataset, summary, schema, rows.open())
            .await?;
        let mut sequence = self.sequence(dataset, summary, first);
        while let Some(batch) = events.try_next().await? {
            sequence.write_merged(&batch).await?;
        }
        sequence.finish().await
    }

    /// Slices that continue the dataset.
    fn sequence(&self, dataset: &PinnedDataset, summary: &DatasetSummary, first: &Ready) -> SliceSequence {
        SliceSequence::new(
            self.engine.compute.clone(),
            dataset.storage.clone(),
            Arc::clone(&first.shape),
            summary.state.next_offset(),
            summary.state.next_system_time(self.clock.now()),
            first.intake.event_time,
        )
    }

    async fn write(&self, dataset: &PinnedDataset, summary: &DatasetSummary, group: &[Push]) -> Result<WrittenSlices> {
        let Some(Push { ready: first, .. }) = group.first() else {
            return Err(Error::new(ErrorKind::Internal, "there is nothing to write"));
        };
        let mut sequence = self.sequence(dataset, summary, first);
        for push in group {
            if let Rows::Few(batches) = &push.ready.rows {
                for batch in batches {
                    sequence.write(batch.clone()).await?;
                }
            }
        }
        sequence.finish().await
    }

    /// Slices whose offsets follow the dataset's last one: as they are, or written again.
    async fn in_place(
        &self,
        dataset: &PinnedDataset,
        summary: &DatasetSummary,
        first: &Ready,
        slices: WrittenSlices,
    ) -> Result<WrittenSlices> {
        let next = summary.state.next_offset();
        if slices.first_offset == next
            && slices.system_time.timestamp_millis() >= summary.state.system_time().timestamp_millis()
        {
            return Ok(slices);
        }
        metrics::counter!("jetway_ingest_rewrites_total").increment(1);
        let system_time = summary.state.next_system_time(self.clock.now());
        let (compute, storage) = (self.engine.compute.clone(), dataset.storage.clone());
        SliceSequence::rewrite(compute, storage, Arc::clone(&first.shape), slices, next, system_time).await
    }
}

impl Done {
    fn nothing(dataset: &PinnedDataset) -> Self {
        Self {
            head: dataset.head,
            events: Some(0),
            changed: false,
        }
    }
}

/// The slices of a push that has written some. They are gone with the first attempt to commit them.
fn take_slices(group: &mut [Push]) -> Option<WrittenSlices> {
    let ready = &mut group.first_mut()?.ready;
    if !matches!(ready.rows, Rows::Slices(_)) {
        return None;
    }
    match std::mem::replace(&mut ready.rows, Rows::Few(Vec::new())) {
        Rows::Slices(slices) => Some(slices),
        Rows::Few(_) | Rows::Merged(_) | Rows::Computed(_) => None,
    }
}

/// Answers the pushes whose keys the dataset knows: their rows are in it.
fn answer_known(group: &mut Vec<Push>, summary: &DatasetSummary) {
    let is_known = |push: &mut Push| {
        let key = push.ready.intake.key.as_ref();
        key.is_some_and(|key| summary.receipts.find(key).is_some())
    };
    for push in group.extract_if(.., is_known).collect::<Vec<_>>() {
        let known = push
            .ready
            .intake
            .key
            .as_ref()
            .and_then(|key| summary.receipts.find(key));
        if let Some(known) = known {
            let answer = match push.ready.rows {
                Rows::Computed(_) => Ok(known.answer(push.ready.dataset.id)),
                Rows::Few(_) | Rows::Slices(_) | Rows::Merged(_) => known.outcome(push.ready.dataset.id, push.rows),
            };
            push.answer(answer);
        }
    }
}

/// Of two polls that have fetched the same, one is taken in.
fn check_not_polled(ready: &Ready, summary: &DatasetSummary) -> Result<()> {
    let Some(polled) = &ready.intake.polled else {
        return Ok(());
    };
    // A source without a state leaves no trace but its rows.
    let is_traced = polled.after.is_some() || polled.next_offset == summary.state.next_offset();
    if is_traced && polled.before.as_ref() == summary.state.source_state() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "somebody else added to the dataset while it was pulled, and nothing was added; pull again",
    ))
}

/// What the block says about pushes with keys.
fn receipts(group: &[Push], events: Option<u64>) -> Vec<Receipt> {
    let receipts = group.iter().filter_map(|push| {
        Some(Receipt {
            key: push.ready.intake.key.clone()?,
            rows: push.rows,
            events: events.unwrap_or(push.rows),
            created: false,
        })
    });
    receipts.collect()
}

/// What is remembered of a slice whose file went into storage with a commit that lost the race.
struct Kept {
    physical_hash: Multihash,
    logical_hash: Multihash,
    rows: u64,
    max_event_time: Option<chrono::DateTime<chrono::Utc>>,
}

impl From<&WrittenSlice> for Kept {
    fn from(slice: &WrittenSlice) -> Self {
        Self {
            physical_hash: slice.file.physical_hash,
            logical_hash: slice.file.logical_hash,
            rows: slice.file.rows,
            max_event_time: slice.max_event_time,
        }
    }
}

async fn reread(
    storage: &DatasetStorage,
    kept: Vec<Kept>,
    first_offset: u64,
    system_time: chrono::DateTime<chrono::Utc>,
    rows: u64,
) -> Result<WrittenSlices> {
    let mut slices = Vec::with_capacity(kept.len());
    for slice in kept {
        let mut stream = storage.open_object(ObjectKind::Data, &slice.physical_hash).await?;
        let pending = storage.new_pending_file().await?;
        let mut file = tokio::fs::File::from_std(pending.reopen()?);
        let mut size = 0;
        while let Some(bytes) = stream.bytes.try_next().await? {
            size += bytes.len() as u64;
            file.write_all(&bytes).await.map_err(jetway_odf::Error::from)?;
        }
        file.flush().await.map_err(jetway_odf::Error::from)?;
        let source = ObjectSource::File { file: pending, size };
        let file = SliceFile {
            source,
            physical_hash: slice.physical_hash,
            logical_hash: slice.logical_hash,
            rows: slice.rows,
            statistics: None,
        };
        slices.push(WrittenSlice {
            file,
            max_event_time: slice.max_event_time,
        });
    }
    Ok(WrittenSlices {
        slices,
        first_offset,
        system_time,
        rows,
    })
}

/// Waits longer each time, and not as long as the others.
fn backoff(attempt: u32) -> Duration {
    let longest = 10_u64.saturating_mul(1 << attempt.min(6));
    let random = u64::from(uuid::Uuid::new_v4().as_fields().0);
    Duration::from_millis(random % longest + 1)
}
