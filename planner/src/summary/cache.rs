//! Summaries that a process remembers, and when they go into storage.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::storage::DatasetStorage;

use super::{DatasetSummary, SliceEntry, stored};
use crate::compute::Compute;
use crate::session::Engine;
use crate::statistics::KnownStatistics;
use crate::{Clock, Error, ErrorKind, PinnedDataset, Result};

/// How many (dataset, head) pairs are kept.
const MAX_SUMMARIES: usize = 1024;

/// A summary goes into storage when the stored one is so many blocks behind: those are what a process reads that starts.
const BLOCKS_BEHIND: u64 = 32;

/// A summary goes into storage as well when the columns of so many slices became known.
const SLICES_LEARNED: u64 = 1024;

/// Between two writes of one dataset's summary.
const PAUSE: Duration = Duration::from_secs(2);

/// Memory for slices and their statistics unless something else is said, in bytes.
pub(crate) const DEFAULT_MEMORY: usize = 512 << 20;

/// Summaries of recently used heads. Everything in it can be read again from storage.
#[derive(Debug)]
pub(crate) struct SummaryCache {
    entries: Arc<Mutex<Entries>>,
    statistics: Arc<KnownStatistics>,
    /// Who writes summaries into storage; nobody unless set.
    background: Option<Background>,
    /// Memory for lists of slices, in bytes.
    limit: usize,
}

#[derive(Debug, Clone)]
struct Background {
    compute: Compute,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Entries {
    by_head: HashMap<(DatasetId, Multihash), (u64, Arc<DatasetSummary>)>,
    newest: HashMap<DatasetId, Multihash>,
    stored: HashMap<DatasetId, Stored>,
    /// Who makes the summary of a dataset. Others wait for it instead of doing the same.
    turns: HashMap<DatasetId, Arc<tokio::sync::Mutex<()>>>,
    clock: u64,
}

/// What is known about the summary of a dataset in storage.
#[derive(Debug, Clone, Copy, Default)]
struct Stored {
    sequence_number: u64,
    /// [`KnownStatistics::learned`] when it was written.
    learned: u64,
    is_being_written: bool,
}

impl Default for SummaryCache {
    /// One that stores nothing.
    fn default() -> Self {
        Self {
            entries: Arc::default(),
            statistics: Arc::new(KnownStatistics::new(DEFAULT_MEMORY / 2)),
            background: None,
            limit: DEFAULT_MEMORY / 2,
        }
    }
}

impl SummaryCache {
    /// One that keeps summaries in storage up to date. `memory` is in bytes, of which slices may take half; the engine has
    /// the other half for what is known about columns.
    pub(crate) fn new(engine: &Engine, clock: Clock, memory: usize) -> Self {
        Self {
            entries: Arc::default(),
            statistics: Arc::clone(&engine.statistics),
            background: Some(Background {
                compute: engine.compute.clone(),
                clock,
            }),
            limit: memory / 2,
        }
    }

    /// The summary of a dataset at its pinned head.
    pub(crate) async fn get(&self, dataset: &PinnedDataset) -> Result<Arc<DatasetSummary>> {
        let key = (dataset.id, dataset.head);
        let turn = {
            let mut entries = self.lock();
            if let Some(found) = entries.touch(key) {
                self.store_if_due(&mut entries, &dataset.storage, &found);
                return Ok(found);
            }
            entries.turn(dataset.id)
        };
        let _turn = turn.lock().await;
        let base = {
            let mut entries = self.lock();
            if let Some(found) = entries.touch(key) {
                return Ok(found);
            }
            let newest = entries.newest.get(&dataset.id).copied();
            newest.and_then(|head| entries.touch((dataset.id, head)))
        };
        if let Some(base) = &base
            && let Some(summary) = base.advance(&dataset.storage, dataset.head).await?
        {
            check_identity(&summary, dataset)?;
            return Ok(self.insert(&dataset.storage, Arc::new(summary), false));
        }
        let summary = Arc::new(self.load(dataset).await?);
        // With a history that was rewritten, what is newest has perhaps fewer blocks than before.
        let is_rewritten = base.is_some() && dataset.storage.head().await? == Some(dataset.head);
        Ok(self.insert(&dataset.storage, summary, is_rewritten))
    }

    /// As [`Self::get`], but a chain that nobody queries takes no place from those that somebody does.
    pub(crate) async fn look(&self, dataset: &PinnedDataset) -> Result<Arc<DatasetSummary>> {
        let is_known = self.lock().newest.contains_key(&dataset.id);
        if is_known {
            return self.get(dataset).await;
        }
        Ok(Arc::new(self.load(dataset).await?))
    }

    /// Keeps a summary that somebody made already.
    pub(crate) fn put(&self, storage: &DatasetStorage, summary: Arc<DatasetSummary>) {
        self.insert(storage, summary, false);
    }

    /// Forgets all that was derived from a dataset, so that it is made anew from the chain.
    pub(crate) fn forget(&self, id: &DatasetId) {
        let mut entries = self.lock();
        if let Some((_, summary)) = entries
            .newest
            .get(id)
            .and_then(|head| entries.by_head.get(&(*id, *head)))
        {
            let hashes = summary.slices.iter().map(|slice| slice.physical_hash);
            self.statistics.forget(hashes);
        }
        entries.by_head.retain(|(dataset, _), _| dataset != id);
        entries.newest.remove(id);
        entries.stored.remove(id);
    }

    /// From the summary in storage and the blocks since, or from all blocks.
    async fn load(&self, dataset: &PinnedDataset) -> Result<DatasetSummary> {
        let storage = &dataset.storage;
        let stored = stored::load(storage, &self.statistics).await.unwrap_or_else(|error| {
            tracing::warn!(dataset.id = %dataset.id, %error, "the stored summary cannot be read; it is made anew from the chain");
            None
        });
        if let Some(stored) = stored {
            let written = Stored {
                sequence_number: stored.state.sequence_number(),
                learned: self.statistics.learned(),
                is_being_written: false,
            };
            match stored.advance(storage, dataset.head).await {
                Ok(Some(summary)) => {
                    check_identity(&summary, dataset)?;
                    self.lock().stored.entry(dataset.id).or_insert(written);
                    metrics::counter!("jetway_summary_loads_total", "from" => "cache").increment(1);
                    return Ok(summary);
                }
                Ok(None) => tracing::debug!(dataset.id = %dataset.id, "the stored summary is of another history"),
                // If it is the chain that is damaged, it is found again.
                Err(error) => {
                    tracing::warn!(dataset.id = %dataset.id, %error, "the stored summary cannot be continued")
                }
            }
        }
        let summary = DatasetSummary::load(storage, dataset.head).await?;
        check_identity(&summary, dataset)?;
        metrics::counter!("jetway_summary_loads_total", "from" => "chain").increment(1);
        Ok(summary)
    }

    fn insert(&self, storage: &DatasetStorage, summary: Arc<DatasetSummary>, is_newest: bool) -> Arc<DatasetSummary> {
        let mut entries = self.lock();
        entries.insert(Arc::clone(&summary), is_newest, self.limit);
        self.store_if_due(&mut entries, storage, &summary);
        summary
    }

    /// Writes the newest summary of a dataset into storage, in the background, when the stored one is far behind.
    fn store_if_due(&self, entries: &mut Entries, storage: &DatasetStorage, summary: &Arc<DatasetSummary>) {
        let Some(background) = &self.background else { return };
        let (id, learned) = (summary.state.id(), self.statistics.learned());
        if !entries.is_due(summary, learned) {
            return;
        }
        entries.stored.entry(id).or_default().is_being_written = true;
        let work = Work {
            storage: storage.clone(),
            summary: Arc::clone(summary),
            statistics: Arc::clone(&self.statistics),
            entries: Arc::clone(&self.entries),
            clock: background.clock.clone(),
            learned,
        };
        background.compute.detach(work.run());
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A summary on its way into storage.
struct Work {
    storage: DatasetStorage,
    summary: Arc<DatasetSummary>,
    statistics: Arc<KnownStatistics>,
    entries: Arc<Mutex<Entries>>,
    clock: Clock,
    learned: u64,
}

impl Work {
    async fn run(self) {
        let id = self.summary.state.id();
        if let Err(error) = stored::store(&self.storage, &self.summary, &self.statistics, self.clock.now()).await {
            tracing::warn!(dataset.id = %id, %error, "the summary of a dataset cannot be stored; starts take longer");
        }
        // Tried again later also after a failure, which mostly means that nothing can be written.
        let written = Stored {
            sequence_number: self.summary.state.sequence_number(),
            learned: self.learned,
            is_being_written: true,
        };
        let lock = || self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stored) = lock().stored.get_mut(&id) {
            *stored = written;
        }
        tokio::time::sleep(PAUSE).await;
        if let Some(stored) = lock().stored.get_mut(&id) {
            stored.is_being_written = false;
        }
    }
}

fn check_identity(summary: &DatasetSummary, dataset: &PinnedDataset) -> Result<()> {
    if summary.state.id() == dataset.id {
        return Ok(());
    }
    Err(
        Error::new(ErrorKind::Corrupt, "the dataset's first block names another dataset")
            .with_context("dataset", dataset.alias.to_string())
            .with_context("found", summary.state.id().to_string()),
    )
}

impl Entries {
    fn touch(&mut self, key: (DatasetId, Multihash)) -> Option<Arc<DatasetSummary>> {
        self.clock += 1;
        let clock = self.clock;
        self.by_head.get_mut(&key).map(|(used, summary)| {
            *used = clock;
            Arc::clone(summary)
        })
    }

    fn turn(&mut self, id: DatasetId) -> Arc<tokio::sync::Mutex<()>> {
        if self.turns.len() >= MAX_SUMMARIES {
            self.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(self.turns.entry(id).or_default())
    }

    fn is_due(&self, summary: &DatasetSummary, learned: u64) -> bool {
        let (id, sequence_number) = (summary.state.id(), summary.state.sequence_number());
        let stored = self.stored.get(&id).copied().unwrap_or_default();
        let is_behind = sequence_number.saturating_sub(stored.sequence_number) >= BLOCKS_BEHIND
            || learned.saturating_sub(stored.learned) >= SLICES_LEARNED && sequence_number >= BLOCKS_BEHIND;
        is_behind && !stored.is_being_written && self.newest.get(&id) == Some(&summary.state.head())
    }

    fn insert(&mut self, summary: Arc<DatasetSummary>, is_newest: bool, limit: usize) {
        self.clock += 1;
        let (id, head) = (summary.state.id(), summary.state.head());
        if is_newest {
            self.stored.remove(&id);
        }
        let is_newest = is_newest
            || self
                .newest
                .get(&id)
                .and_then(|newest| self.by_head.get(&(id, *newest)))
                .is_none_or(|(_, newest)| newest.state.sequence_number() <= summary.state.sequence_number());
        if is_newest {
            self.newest.insert(id, head);
        }
        let has_many = summary.slices.len() > super::SLICES_PER_CHUNK;
        self.by_head.insert((id, head), (self.clock, summary));
        if self.by_head.len() > MAX_SUMMARIES {
            self.forget_old();
        }
        if has_many {
            self.make_room(id, limit);
        }
    }

    /// Drops the half that was not used for longest.
    fn forget_old(&mut self) {
        let mut uses: Vec<u64> = self.by_head.values().map(|(used, _)| *used).collect();
        let (_, middle, _) = uses.select_nth_unstable(MAX_SUMMARIES / 2);
        let middle = *middle;
        self.by_head.retain(|_, (used, _)| *used >= middle);
        self.forget_gone();
    }

    /// Drops datasets that were not used for longest while their slices take too much memory, but not the one that is being
    /// used. Heads of one dataset share nearly all.
    fn make_room(&mut self, kept: DatasetId, limit: usize) {
        let size = |summary: &DatasetSummary| summary.slices.len() * size_of::<SliceEntry>();
        let mut datasets: Vec<(u64, usize, DatasetId)> = Vec::with_capacity(self.newest.len());
        for (id, head) in &self.newest {
            if let Some((used, summary)) = self.by_head.get(&(*id, *head)) {
                datasets.push((*used, size(summary), *id));
            }
        }
        let mut total: usize = datasets.iter().map(|(_, size, _)| size).sum();
        if total <= limit {
            return;
        }
        datasets.sort_unstable_by_key(|(used, ..)| *used);
        for (_, size, id) in datasets {
            if total > limit && id != kept {
                self.by_head.retain(|(dataset, _), _| *dataset != id);
                total -= size;
            }
        }
        self.forget_gone();
    }

    fn forget_gone(&mut self) {
        let by_head = &self.by_head;
        self.newest.retain(|id, head| by_head.contains_key(&(*id, *head)));
        let newest = &self.newest;
        self.stored
            .retain(|id, stored| newest.contains_key(id) || stored.is_being_written);
    }
}
