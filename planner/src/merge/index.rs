//! The newest row of each key of a dataset, kept so that a write costs what it writes and not what is there.
//!
//! ```text
//!  slices ... ──────────────────────────► manifest ─────► slices since then
//!                                             │                   │
//!   runs in `cache/keys/<layout>/`:  [ largest ][ smaller ]   runs in memory: [..][.]
//!                                     oldest ◄───────────────────────────────► newest
//! ```
//!
//! A [`run`] has each key at most once, sorted, in blocks; an entry is the newest row of its key within the run's
//! offsets. What newer runs say of a key hides what older ones say. Runs never change: writes add small ones in memory,
//! from time to time these become one file, and files are merged when newer ones have grown to a part of them
//! ([`persist`]). All of it is derived from slices: what is damaged, foreign or older than the chain is made again.

mod damage;
mod layout;
mod manifest;
mod persist;
mod replay;
mod run;
mod state;
mod version;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use jetway_odf::chain::walk_back;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::storage::DatasetStorage;
use tokio::sync::Mutex;

pub(super) use crate::merge::index::layout::{Content, Layout};
pub(super) use crate::merge::index::state::OpenIndex;

use crate::merge::index::damage::Damaged;
use crate::merge::index::manifest::Manifest;
use crate::merge::index::version::{Saved, Version};
use crate::session::Engine;
use crate::summary::DatasetSummary;
use crate::{Error, ErrorKind, PinnedDataset, Result};

/// The folder of all indexes within a dataset's derived files.
const FOLDER: &str = "keys";

/// How many successive states of a dataset are remembered: merges that lost a race, or that take long, go on with theirs.
const VERSIONS: usize = 8;

/// How often an index is made again within one merge when files turn out to be damaged.
const MAX_REPAIRS: usize = 3;

/// How many times more rows than usual may be in memory while files are written.
const MAX_BEHIND: u64 = 8;

/// How many times more bytes.
const MAX_BYTES_BEHIND: u64 = 4;

/// Memory that all open indexes may take, in bytes. Beyond it the ones that were not used for longest are closed.
const OPEN_BYTES: usize = 256 * 1024 * 1024;

/// Sizes that decide when runs are written and merged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// Rows of a block, the unit of reading. Looking up a key costs reading one, and a block costs a line of the footer.
    pub(super) block_rows: usize,
    /// Runs in memory become a file when they have so many rows, or hold so many blocks of the chain.
    pub(super) memory_rows: u64,
    pub(super) memory_blocks: u64,
    /// The same in bytes, for rows that are wide.
    pub(super) memory_bytes: u64,
    /// An older run is merged with the newer ones when it has fewer than so many times their rows.
    pub(super) ratio: u64,
    /// Whether files are written while merges go on. Beyond [`MAX_BEHIND`] times `memory_rows`, or [`MAX_BYTES_BEHIND`] times
    /// `memory_bytes`, merges wait for them.
    pub(super) in_background: bool,
    /// How old a file has to be that no manifest names before it is removed: others may still read it.
    pub(super) grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            block_rows: 512,
            memory_rows: 32 * 1024,
            memory_blocks: 256,
            memory_bytes: 64 << 20,
            ratio: 8,
            in_background: true,
            grace: Duration::from_secs(3600),
        }
    }
}

/// The indexes that this process has open.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    open: std::sync::Mutex<HashMap<(DatasetId, String), Arc<Slot>>>,
    options: Options,
    clock: AtomicU64,
}

/// What is known of one index.
#[derive(Debug, Default)]
struct Slot {
    known: Mutex<Known>,
    /// Whether files are being written in the background.
    is_saving: AtomicBool,
    used: AtomicU64,
    bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    /// Newest first.
    versions: VecDeque<Arc<Version>>,
    /// Names of files that were found damaged.
    damaged: HashSet<String>,
}

impl Indexes {
    #[cfg(test)]
    pub(super) fn with_options(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    #[cfg(test)]
    pub(super) fn options(&self) -> Options {
        self.options
    }

    /// The index with a layout over a dataset at its pinned head. Nothing is read yet.
    pub(super) fn get(
        &self,
        engine: &Engine,
        dataset: &PinnedDataset,
        summary: &Arc<DatasetSummary>,
        layout: Layout,
    ) -> StateIndex {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Arc::clone(open.entry((dataset.id, layout.folder.clone())).or_default());
        slot.used.store(now, Ordering::Relaxed);
        let mut bytes: u64 = open.values().map(|slot| slot.bytes.load(Ordering::Relaxed)).sum();
        while bytes > OPEN_BYTES as u64 && open.len() > 1 {
            let oldest = open.iter().min_by_key(|(_, slot)| slot.used.load(Ordering::Relaxed));
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            let closed = open.remove(&key);
            bytes = bytes.saturating_sub(closed.map_or(0, |slot| slot.bytes.load(Ordering::Relaxed)));
        }
        StateIndex {
            engine: engine.clone(),
            dataset: dataset.clone(),
            summary: Arc::clone(summary),
            layout: Arc::new(layout),
            options: self.options,
            slot,
        }
    }

    /// Forgets and removes all indexes of a dataset.
    pub(super) async fn drop_all(&self, storage: &DatasetStorage) -> Result<()> {
        let id = *storage.id();
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(dataset, _), _| *dataset != id);
        Ok(storage.derived().clear(FOLDER).await?)
    }
}

/// An index over a dataset at its pinned head. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct StateIndex {
    engine: Engine,
    dataset: PinnedDataset,
    summary: Arc<DatasetSummary>,
    layout: Arc<Layout>,
    options: Options,
    slot: Arc<Slot>,
}

impl StateIndex {
    /// Brings the index to the pinned head.
    pub(super) async fn open(self) -> Result<OpenIndex> {
        let index = self.clone();
        let version = self.engine.compute.spawn(async move { index.version().await });
        let version = version.join().await??;
        Ok(OpenIndex { index: self, version })
    }

    /// The state at the pinned head, made again when files of it turn out to be damaged on the way.
    async fn version(&self) -> Result<Arc<Version>> {
        let mut known = self.slot.known.lock().await;
        let mut repairs = 0;
        loop {
            match self.bring_forward(&mut known).await {
                Ok(version) => {
                    let bytes = known.versions.front().map_or(0, |version| version.memory());
                    self.slot.bytes.store(bytes as u64, Ordering::Relaxed);
                    return Ok(version);
                }
                Err(error) if repairs < MAX_REPAIRS && known.distrust(&error) => repairs += 1,
                Err(error) => return Err(error),
            }
        }
    }

    async fn bring_forward(&self, known: &mut Known) -> Result<Arc<Version>> {
        if known.versions.is_empty()
            && let Some(version) = self.load(&known.damaged).await?
        {
            known.versions.push_front(Arc::new(version));
        }
        let base = match self.ancestor(&known.versions).await? {
            Some(base) if base.head == self.dataset.head => return Ok(base),
            Some(base) => Some(base),
            None if self.is_behind(&known.versions).await? => {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    "others have written to the dataset in the meantime; send the rows again",
                )
                .with_context("dataset", self.dataset.alias.to_string()));
            }
            None => {
                known.versions.clear();
                None
            }
        };
        let base = base.unwrap_or_else(|| Arc::new(Version::empty()));
        let version = Arc::new(self.replay(&base).await?);
        known.versions.push_front(Arc::clone(&version));
        known.versions.truncate(VERSIONS);
        if !version.wants_saving(&self.options) {
            return Ok(version);
        }
        if !self.options.in_background || version.is_far_behind(&self.options) {
            let saved = persist::save(self, &version, None).await?;
            known.saved(&version, saved);
        } else if !self.slot.is_saving.swap(true, Ordering::AcqRel) {
            let (index, version) = (self.clone(), Arc::clone(&version));
            self.engine.compute.detach(async move { index.save(&version).await });
        }
        Ok(version)
    }

    /// Writes what a version has in memory into files while merges go on.
    async fn save(&self, version: &Arc<Version>) {
        let saved = persist::save(self, version, None).await;
        let mut known = self.slot.known.lock().await;
        match saved {
            Ok(saved) => known.saved(version, saved),
            Err(error) if known.distrust(&error) => {}
            // Everything is in the slices too; the next merge tries again.
            Err(error) => tracing::warn!(dataset = %self.dataset.alias, error = %error, "a key index cannot be saved"),
        }
        self.slot.is_saving.store(false, Ordering::Release);
    }

    /// What the newest manifest names.
    async fn load(&self, damaged: &HashSet<String>) -> Result<Option<Version>> {
        let Some(manifest) = Manifest::read(&self.dataset.storage.derived(), &self.layout).await? else {
            return Ok(None);
        };
        if manifest.runs.iter().any(|run| damaged.contains(&run.name)) {
            return Ok(None);
        }
        Version::open(manifest, &self.dataset.storage.derived(), &self.layout)
            .await
            .map(Some)
    }

    /// The newest of the versions that the pinned head continues. Reads blocks back to the oldest version at most.
    async fn ancestor(&self, versions: &VecDeque<Arc<Version>>) -> Result<Option<Arc<Version>>> {
        let at = |head: Multihash| versions.iter().find(|version| version.head == head).map(Arc::clone);
        if let Some(version) = at(self.dataset.head) {
            return Ok(Some(version));
        }
        let Some(oldest) = versions.iter().map(|version| version.sequence_number).min() else {
            return Ok(None);
        };
        let mut blocks = pin!(walk_back(&self.dataset.storage, self.dataset.head, None));
        while let Some(block) = blocks.try_next().await? {
            if block.block.sequence_number <= oldest {
                break;
            }
            if let Some(version) = block.block.prev_block_hash.and_then(at) {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// Whether others have written since the dataset was pinned, so that it is no use to make the index again for its head.
    async fn is_behind(&self, versions: &VecDeque<Arc<Version>>) -> Result<bool> {
        let pinned = self.summary.state.sequence_number();
        let Some(newest) = versions.front().filter(|version| version.sequence_number > pinned) else {
            return Ok(false);
        };
        // A dataset that was reset to the pinned head will not get further without us.
        if self.dataset.storage.head().await? == Some(self.dataset.head) {
            return Ok(false);
        }
        let mut blocks = pin!(walk_back(&self.dataset.storage, newest.head, None));
        while let Some(block) = blocks.next().await {
            match block {
                Ok(block) if block.block.sequence_number > pinned => {}
                Ok(block) => return Ok(block.hash == self.dataset.head),
                // The blocks of a history that was rewritten may be gone.
                Err(_) => return Ok(false),
            }
        }
        Ok(false)
    }

    /// The state after `broken` was found to name a file that is damaged.
    async fn repair(&self, error: &Error) -> Result<Arc<Version>> {
        self.slot.known.lock().await.distrust(error);
        self.version().await
    }
}

impl Known {
    /// Lets versions go on from files into which one of them was written; none means that somebody else has saved a later
    /// state, from which the next merge goes on.
    fn saved(&mut self, version: &Arc<Version>, saved: Option<Saved>) {
        let Some(saved) = saved.map(Arc::new) else {
            self.versions.clear();
            return;
        };
        for known in &mut self.versions {
            if let Some(next) = known.with_saved(version, &saved) {
                *known = Arc::new(next);
            }
        }
    }

    /// Whether the error is about a damaged file; then nothing is known any more that names it.
    fn distrust(&mut self, error: &Error) -> bool {
        let Some(damage) = Damaged::of(error) else {
            return false;
        };
        tracing::warn!(file = damage.name, error = %error, "a file of a key index is damaged; the index is made again");
        self.versions.retain(|version| !version.names(&damage.name));
        self.damaged.insert(damage.name.clone());
        true
    }
}

/// Counts what merges read besides their input.
fn count_read(bytes: u64) {
    metrics::counter!("jetway_merge_read_bytes_total").increment(bytes);
}
