//! Merged copies of small slices: a dataset that grew by thousands of small commits is read from a handful of files.
//!
//! ```text
//!  chain   │ slice │ slice │ slice │ ... │ slice │ slice │ slice │      never touched
//!  cache/  └────────── merged file ──────┘       └ read as they are until there are enough of them
//! ```
//!
//! The files are in `cache/slices/` of the dataset. A manifest says for which slices each of them stands, by offsets and by a
//! digest of their hashes, so that a file is used only where the chain has exactly these slices. Everything here can be
//! deleted at any time. A file that is damaged, of another version or gone costs time, but never an answer: the slices
//! themselves are read instead.

mod manifest;
mod merge;
mod piece;
mod select;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{self, StreamExt};
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::storage::{DatasetStorage, Garbage, GarbageOptions};
use object_store::ObjectStoreExt;
use tokio::sync::Semaphore;

use self::manifest::{Manifest, MergedFile};
pub(crate) use self::piece::{Piece, Pieces};
pub(crate) use self::select::Effort;
use crate::compute::Compute;
use crate::session::Engine;
use crate::statistics::KnownStatistics;
use crate::summary::DatasetSummary;
use crate::{Clock, PinnedDataset, Result};

/// A dataset with fewer slices is read well enough without an index.
const MIN_SLICES: usize = 16;

/// After how many commits somebody looks whether a compaction pays.
const COMMITS_TO_LOOK: usize = 64;

/// How long what other processes may have replaced is believed.
const BELIEVED_FOR: TimeDelta = TimeDelta::seconds(60);

/// A scan waits until so many bytes of merged files have been compared with their checksums, once for each process. What lies
/// beyond is read from the slices, and compared meanwhile.
const MAX_CHECKED_BYTES: u64 = 256 << 20;

/// How many merged files are looked at, at the same time.
const CONCURRENT_CHECKS: usize = 8;

/// How long a file stays that the manifest does not name any more, for those who are reading it.
const GRACE: TimeDelta = TimeDelta::hours(24);

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactOutcome {
    /// Slices of the dataset.
    pub slices: u64,
    /// Slices that are now read from merged files.
    pub merged_slices: u64,
    /// Merged files that there are now.
    pub files: u64,
    /// How many files a scan of the whole dataset opens now.
    pub files_to_read: u64,
    /// Merged files that this compaction wrote.
    pub written_files: u64,
    /// Bytes that it read.
    pub read_bytes: u64,
    /// Bytes that it wrote.
    pub written_bytes: u64,
}

/// What is known about the read indexes of datasets. Everything in it can be read again from storage.
#[derive(Debug)]
pub(crate) struct ReadIndexes {
    compute: Compute,
    clock: Clock,
    /// What is known about the columns of slices.
    pub(crate) statistics: Arc<KnownStatistics>,
    entries: Mutex<HashMap<DatasetId, Entry>>,
    /// One compaction at a time: it must not take much from those who wait for answers.
    turn: Semaphore,
    growth: Mutex<HashMap<DatasetId, Growth>>,
}

/// Commits that this process has seen since it last looked whether a dataset should be compacted.
#[derive(Debug, Default)]
struct Growth {
    head: Option<Multihash>,
    commits: usize,
    is_looked_at: bool,
}

#[derive(Debug, Default)]
struct Entry {
    manifest: Arc<Manifest>,
    loaded_at: Option<DateTime<Utc>>,
    /// Files that were compared with their checksums, by name.
    checked: HashMap<String, bool>,
    /// What was made of the manifest at the head that was asked for last.
    pieces: Option<Pieces>,
}

impl ReadIndexes {
    pub(crate) fn new(engine: &Engine, clock: Clock) -> Self {
        Self {
            compute: engine.compute.clone(),
            clock,
            statistics: Arc::clone(&engine.statistics),
            entries: Mutex::default(),
            turn: Semaphore::new(1),
            growth: Mutex::default(),
        }
    }

    /// What is read to see all rows of a dataset at its pinned head: merged files where there are some, slices elsewhere.
    pub(crate) async fn pieces(&self, dataset: &PinnedDataset, summary: &DatasetSummary) -> Pieces {
        if summary.slices.len() < MIN_SLICES {
            return Pieces::of_slices(summary.slices.clone());
        }
        let manifest = self.manifest(&dataset.storage).await;
        let before = self.lock().entry(dataset.id).or_default().pieces.clone();
        let pieces = Pieces::arrange(&summary.slices, &manifest, before.as_ref());
        self.lock().entry(dataset.id).or_default().pieces = Some(pieces.clone());
        pieces
    }

    /// The pieces with those merged files replaced by their slices that cannot be trusted.
    pub(crate) async fn trusted(
        self: &Arc<Self>,
        storage: &DatasetStorage,
        summary: &DatasetSummary,
        pieces: Vec<Piece>,
    ) -> Vec<Piece> {
        let merged = pieces.iter().filter_map(Piece::merged).map(Arc::clone);
        let merged: Vec<Arc<MergedFile>> = merged.collect();
        if merged.is_empty() {
            return pieces;
        }
        let mut budget = MAX_CHECKED_BYTES;
        let checks = merged.into_iter().map(|file| {
            let known = self.verdict(storage.id(), &file.name);
            let waits = known.is_some() || budget >= file.size;
            if known.is_none() && waits {
                budget -= file.size;
            }
            let (indexes, storage) = (Arc::clone(self), storage.clone());
            async move {
                let name = file.name.clone();
                let is_good = match known {
                    Some(false) => false,
                    Some(true) => has_size(&storage, &file).await,
                    None if waits => indexes.check(&storage, &file).await,
                    None => {
                        let later = Arc::clone(&indexes);
                        indexes.compute.detach(async move {
                            later.check(&storage, &file).await;
                        });
                        false
                    }
                };
                (name, is_good)
            }
        });
        let checks: Vec<_> = checks.collect();
        let checked: Vec<(String, bool)> = stream::iter(checks).buffer_unordered(CONCURRENT_CHECKS).collect().await;
        let good = checked.into_iter().filter(|(_, is_good)| *is_good);
        let good: HashSet<String> = good.map(|(name, _)| name).collect();
        let trusted = pieces.into_iter().flat_map(|piece| match piece.merged() {
            Some(file) if !good.contains(&file.name) => {
                metrics::counter!("jetway_read_index_files_skipped_total").increment(1);
                piece.slices(&summary.slices)
            }
            _ => vec![piece],
        });
        trusted.collect()
    }

    /// Merges small slices of a dataset at its pinned head.
    pub(crate) async fn compact(
        &self,
        dataset: &PinnedDataset,
        summary: &DatasetSummary,
        effort: Effort,
    ) -> Result<CompactOutcome> {
        // Closed by nobody.
        let _turn = self.turn.acquire().await;
        let storage = &dataset.storage;
        let stored = Manifest::load(storage).await?;
        let mut manifest = stored.clone();
        self.drop_bad(storage, &mut manifest, effort).await;
        let pieces: Vec<Piece> = Pieces::arrange(&summary.slices, &manifest, None).iter().collect();
        let mut outcome = CompactOutcome::default();
        let ranges = match summary.slices.len() {
            ..MIN_SLICES => Vec::new(),
            _ => select::ranges(&pieces, effort),
        };
        for range in ranges {
            let Some(inputs) = pieces.get(range) else { continue };
            let merged = match self.merge(storage, summary, inputs.to_vec()).await {
                Err(error) if merge::is_bad_copy(&error) => {
                    tracing::warn!(dataset.id = %dataset.id, %error, "a merged file is damaged; it is made anew from its slices");
                    let slices = inputs.iter().flat_map(|piece| piece.slices(&summary.slices));
                    self.merge(storage, summary, slices.collect()).await?
                }
                outcome => outcome?,
            };
            outcome.read_bytes += inputs.iter().map(Piece::size).sum::<u64>();
            outcome.written_bytes += merged.size;
            outcome.written_files += 1;
            manifest.replace(merged, self.clock.now());
        }
        manifest.forget(self.clock.now() - GRACE);
        if manifest != stored {
            manifest.store(storage).await?;
        }
        for file in manifest.unnamed(storage, self.clock.now() - GRACE).await? {
            storage.derived().remove(&file.name).await?;
        }
        let pieces: Vec<Piece> = Pieces::arrange(&summary.slices, &manifest, None).iter().collect();
        outcome.slices = summary.slices.len() as u64;
        outcome.files_to_read = pieces.len() as u64;
        for file in pieces.iter().filter_map(Piece::merged) {
            outcome.files += 1;
            outcome.merged_slices += file.slice_count;
        }
        self.believe(&dataset.id, manifest);
        Ok(outcome)
    }

    /// Finds files that the manifest has not named for longer than a grace period, and removes them unless it is a dry run.
    pub(crate) async fn collect_garbage(
        &self,
        storage: &DatasetStorage,
        options: &GarbageOptions,
    ) -> Result<Vec<Garbage>> {
        let manifest = Manifest::load(storage).await?;
        let mut garbage = Vec::new();
        for file in manifest.unnamed(storage, options.now - options.grace).await? {
            if !options.dry_run {
                storage.derived().remove(&file.name).await?;
            }
            garbage.push(Garbage {
                path: format!("cache/{}", file.name),
                size: file.size,
                last_modified: file.last_modified,
            });
        }
        Ok(garbage)
    }

    async fn merge(
        &self,
        storage: &DatasetStorage,
        summary: &DatasetSummary,
        inputs: Vec<Piece>,
    ) -> Result<MergedFile> {
        let work = merge::merge(storage.clone(), summary.clone(), inputs);
        self.compute.spawn(work).join().await?
    }

    /// Takes files out of the manifest that are known to be damaged; looks at all of them if somebody asked.
    async fn drop_bad(&self, storage: &DatasetStorage, manifest: &mut Manifest, effort: Effort) {
        let mut bad = HashSet::new();
        for file in &manifest.files {
            let is_good = match self.verdict(storage.id(), &file.name) {
                None if effort == Effort::Asked => self.check(storage, file).await,
                known => known != Some(false),
            };
            if !is_good {
                bad.insert(file.name.clone());
            }
        }
        manifest.retire(self.clock.now(), |file| bad.contains(&file.name));
    }

    /// Takes note of a commit. True if there have been so many that somebody should look whether a compaction pays, and then
    /// say [`Self::looked`].
    pub(crate) fn grew(&self, id: DatasetId, head: Multihash) -> bool {
        let mut growth = self.growth.lock().unwrap_or_else(PoisonError::into_inner);
        let growth = growth.entry(id).or_default();
        if growth.head != Some(head) {
            growth.head = Some(head);
            growth.commits += 1;
        }
        if growth.is_looked_at || growth.commits < COMMITS_TO_LOOK {
            return false;
        }
        growth.commits = 0;
        growth.is_looked_at = true;
        true
    }

    pub(crate) fn looked(&self, id: &DatasetId) {
        let mut growth = self.growth.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(growth) = growth.get_mut(id) {
            growth.is_looked_at = false;
        }
    }

    /// Whether a dataset has so many small slices outside of merged files that a compaction in the background pays.
    pub(crate) async fn wants_compaction(&self, dataset: &PinnedDataset, summary: &DatasetSummary) -> bool {
        let pieces: Vec<Piece> = self.pieces(dataset, summary).await.iter().collect();
        !select::ranges(&pieces, Effort::Background).is_empty()
    }

    async fn manifest(&self, storage: &DatasetStorage) -> Arc<Manifest> {
        let now = self.clock.now();
        if let Some(entry) = self.lock().get(storage.id())
            && entry.loaded_at.is_some_and(|loaded| now - loaded < BELIEVED_FOR)
        {
            return Arc::clone(&entry.manifest);
        }
        let manifest = Manifest::load(storage).await.unwrap_or_else(|error| {
            tracing::warn!(dataset.id = %storage.id(), %error, "the read index cannot be read; slices are read instead");
            Manifest::default()
        });
        self.believe(storage.id(), manifest)
    }

    fn believe(&self, id: &DatasetId, manifest: Manifest) -> Arc<Manifest> {
        let mut entries = self.lock();
        let entry = entries.entry(*id).or_default();
        entry.loaded_at = Some(self.clock.now());
        if *entry.manifest != manifest {
            entry.checked.retain(|name, _| manifest.names(name));
            entry.manifest = Arc::new(manifest);
            entry.pieces = None;
        }
        Arc::clone(&entry.manifest)
    }

    fn verdict(&self, id: &DatasetId, name: &str) -> Option<bool> {
        self.lock().get(id)?.checked.get(name).copied()
    }

    /// Compares a file with its checksum and remembers what came out.
    async fn check(&self, storage: &DatasetStorage, file: &MergedFile) -> bool {
        let is_good = has_size(storage, file).await && merge::has_checksum(storage, file).await;
        if !is_good {
            tracing::warn!(dataset.id = %storage.id(), file.name, "a merged file is damaged or gone; its slices are read instead");
        }
        let mut entries = self.lock();
        let entry = entries.entry(*storage.id()).or_default();
        entry.checked.insert(file.name.clone(), is_good);
        is_good
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DatasetId, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn has_size(storage: &DatasetStorage, file: &MergedFile) -> bool {
    let path = file.path(storage);
    storage
        .store()
        .head(&path)
        .await
        .is_ok_and(|meta| meta.size == file.size)
}
