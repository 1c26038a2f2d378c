//! One committer for each dataset: pushes that wait for it share a block.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::DataSchema;
use jetway_odf::storage::{CommitOutcome, DatasetStorage, ObjectKind, ObjectSource};
use tokio::io::AsyncWriteExt;
use tokio::sync::oneshot;

use crate::ingest::append::append;
use crate::ingest::rows::{SliceSequence, WrittenSlice, WrittenSlices};
use crate::ingest::shape::Shape;
use crate::ingest::slice::SliceFile;
use crate::ingest::{IngestOutcome, Services};
use crate::summary::DatasetSummary;
use crate::{Access, Error, ErrorKind, PinnedDataset, Result, Subject};

/// How many rows of waiting pushes go into one commit.
const MAX_SHARED_ROWS: usize = 512 * 1024;

/// How often a commit is tried when other processes are faster.
const MAX_ATTEMPTS: u32 = 20;

/// The queues of all datasets that are being pushed to.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    services: Arc<Services>,
    /// A dataset is here while its committer runs.
    waiting: Arc<Mutex<HashMap<DatasetId, Vec<Push>>>>,
}

/// A push that is complete and waits for its commit.
#[derive(Debug)]
struct Push {
    subject: Subject,
    dataset: PinnedDataset,
    shape: Arc<Shape>,
    rows: Rows,
    reply: oneshot::Sender<Result<IngestOutcome>>,
}

#[derive(Debug)]
enum Rows {
    Few(Vec<RecordBatch>),
    Slices(WrittenSlices),
}

impl Queues {
    pub(super) fn new(services: Arc<Services>) -> Self {
        Self {
            services,
            waiting: Arc::default(),
        }
    }

    /// Adds a few rows; they share a slice with those of others who wait.
    pub(super) async fn push_rows(
        &self,
        subject: &Subject,
        dataset: PinnedDataset,
        shape: Arc<Shape>,
        rows: Vec<RecordBatch>,
    ) -> Result<IngestOutcome> {
        self.push(subject, dataset, shape, Rows::Few(rows)).await
    }

    /// Adds slices that are written already. They are written again if rows came in between.
    pub(super) async fn push_slices(
        &self,
        subject: &Subject,
        dataset: PinnedDataset,
        shape: Arc<Shape>,
        slices: WrittenSlices,
    ) -> Result<IngestOutcome> {
        self.push(subject, dataset, shape, Rows::Slices(slices)).await
    }

    async fn push(
        &self,
        subject: &Subject,
        dataset: PinnedDataset,
        shape: Arc<Shape>,
        rows: Rows,
    ) -> Result<IngestOutcome> {
        let (reply, answer) = oneshot::channel();
        let id = dataset.id;
        let push = Push {
            subject: subject.clone(),
            dataset,
            shape,
            rows,
            reply,
        };
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
    let rows: usize = group.iter().chain([push]).map(|push| push.rows.count()).sum();
    rows <= MAX_SHARED_ROWS
        && matches!(push.rows, Rows::Few(_))
        && group.first().is_some_and(|first| {
            matches!(first.rows, Rows::Few(_))
                && first.subject == push.subject
                && first.shape.gives_same_rows(&push.shape)
        })
}

impl Rows {
    fn count(&self) -> usize {
        match self {
            Self::Few(batches) => batches.iter().map(RecordBatch::num_rows).sum(),
            Self::Slices(slices) => usize::try_from(slices.rows).unwrap_or(usize::MAX),
        }
    }
}

impl Services {
    /// Commits the pushes of a group in one block and answers each of them.
    async fn commit_group(&self, group: Vec<Push>) {
        let mut replies = Vec::with_capacity(group.len());
        let mut batches = Vec::new();
        let mut slices = None;
        let mut about = None;
        for push in group {
            replies.push((push.rows.count() as u64, push.reply));
            match push.rows {
                Rows::Few(rows) => batches.extend(rows),
                Rows::Slices(written) => slices = Some(written),
            }
            about.get_or_insert((push.subject, push.dataset, push.shape));
        }
        let Some((subject, dataset, shape)) = about else { return };
        metrics::histogram!("jetway_ingest_pushes_per_commit").record(replies.len() as f64);
        let result = self.commit(&subject, &dataset, &shape, &batches, slices).await;
        for (rows, reply) in replies {
            let answer = match &result {
                Ok(head) => Ok(IngestOutcome {
                    dataset: dataset.id,
                    rows,
                    head: *head,
                    created: false,
                }),
                Err(error) => Err(error.repeat()),
            };
            // Whoever does not wait any more does not need the answer; the rows are in all the same.
            let _ = reply.send(answer);
        }
    }

    async fn commit(
        &self,
        subject: &Subject,
        dataset: &PinnedDataset,
        shape: &Arc<Shape>,
        batches: &[RecordBatch],
        mut slices: Option<WrittenSlices>,
    ) -> Result<Multihash> {
        let id = dataset.id;
        for attempt in 0..MAX_ATTEMPTS {
            let dataset = self.catalog.resolve_id(subject, &id, Access::Write).await?;
            let summary = self.summaries.get(&dataset).await?;
            let schema = missing_schema(&summary, shape)?;
            let written = match slices.take() {
                Some(slices) => self.in_place(&dataset, &summary, shape, slices).await?,
                None => self.write(&dataset, &summary, shape, batches).await?,
            };
            let is_stream = batches.is_empty();
            let kept: Vec<Kept> = written.slices.iter().map(Kept::from).collect();
            let (first_offset, system_time, rows) = (written.first_offset, written.system_time, written.rows);
            let made = append(&summary.state, schema, written)?;
            let blocks = made.blocks.clone();
            match self
                .catalog
                .commit(subject, &dataset, dataset.head, made.blocks, made.objects)
                .await?
            {
                CommitOutcome::Committed { head } => {
                    self.summaries.put(Arc::new(summary.append(&blocks, made.state)?)).await;
                    metrics::counter!("jetway_ingest_rows_total").increment(rows);
                    metrics::counter!("jetway_ingest_commits_total").increment(1);
                    return Ok(head);
                }
                CommitOutcome::Unchanged => return Ok(dataset.head),
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
        .with_context("dataset", dataset.alias.to_string()))
    }

    async fn write(
        &self,
        dataset: &PinnedDataset,
        summary: &DatasetSummary,
        shape: &Arc<Shape>,
        batches: &[RecordBatch],
    ) -> Result<WrittenSlices> {
        let system_time = summary.state.next_system_time(self.clock.now());
        let mut sequence = SliceSequence::new(
            self.engine.compute.clone(),
            dataset.storage.clone(),
            Arc::clone(shape),
            summary.state.next_offset(),
            system_time,
        );
        for batch in batches {
            sequence.write(batch.clone()).await?;
        }
        sequence.finish().await
    }

    /// Slices whose offsets follow the dataset's last one: as they are, or written again.
    async fn in_place(
        &self,
        dataset: &PinnedDataset,
        summary: &DatasetSummary,
        shape: &Arc<Shape>,
        slices: WrittenSlices,
    ) -> Result<WrittenSlices> {
        let next = summary.state.next_offset();
        if slices.first_offset == next && slices.system_time >= summary.state.system_time() {
            return Ok(slices);
        }
        metrics::counter!("jetway_ingest_rewrites_total").increment(1);
        let system_time = summary.state.next_system_time(self.clock.now());
        let (compute, storage) = (self.engine.compute.clone(), dataset.storage.clone());
        SliceSequence::rewrite(compute, storage, Arc::clone(shape), slices, next, system_time).await
    }
}

/// The schema to announce, if the chain has none; an error if it has another one than the rows were shaped for.
fn missing_schema<'a>(summary: &DatasetSummary, shape: &'a Shape) -> Result<Option<&'a DataSchema>> {
    if summary.state.schema().is_none() {
        return Ok(Some(&shape.data_schema));
    }
    if summary.schema == shape.schema {
        return Ok(None);
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "the dataset's schema changed while rows were sent; send them again",
    ))
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
