//! What is remembered about slices, by the hash of their bytes.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jetway_odf::identity::Multihash;

use super::{FileStatistics, Layout};

/// How many different lists of columns are kept once for all files that have them.
const MAX_LAYOUTS: usize = 4096;

/// About what an entry takes beside its values.
const OVERHEAD: usize = 64;

/// Statistics of slices, bounded by memory: those that nobody asked for in a long time are forgotten.
#[derive(Debug)]
pub(crate) struct KnownStatistics {
    entries: Mutex<Entries>,
    limit: usize,
    learned: AtomicU64,
}

/// What is used moves to the young ones. When these have half of the memory, they become the old ones, and the old ones are
/// forgotten.
#[derive(Debug, Default)]
struct Entries {
    young: HashMap<Multihash, FileStatistics>,
    old: HashMap<Multihash, FileStatistics>,
    young_bytes: usize,
    layouts: HashSet<Arc<Layout>>,
}

impl KnownStatistics {
    /// With a limit of memory in bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: Mutex::default(),
            limit,
            learned: AtomicU64::new(0),
        }
    }

    /// How many slices became known so far; it only grows.
    pub(crate) fn learned(&self) -> u64 {
        self.learned.load(Ordering::Relaxed)
    }

    pub(crate) fn knows(&self, slice: &Multihash) -> bool {
        self.lock().find(slice).is_some()
    }

    pub(crate) fn insert(&self, slice: Multihash, statistics: FileStatistics) {
        let mut entries = self.lock();
        if entries.find(&slice).is_none() {
            self.learned.fetch_add(1, Ordering::Relaxed);
        }
        let layout = entries.intern(statistics.layout());
        entries.insert(slice, FileStatistics { layout, ..statistics }, self.limit);
    }

    /// Takes in what was in storage.
    pub(crate) fn extend(&self, slices: impl IntoIterator<Item = (Multihash, FileStatistics)>) {
        let mut entries = self.lock();
        for (slice, statistics) in slices {
            let layout = entries.intern(statistics.layout());
            entries.insert(slice, FileStatistics { layout, ..statistics }, self.limit);
        }
    }

    pub(crate) fn forget(&self, slices: impl IntoIterator<Item = Multihash>) {
        let mut entries = self.lock();
        for slice in slices {
            if let Some(statistics) = entries.young.remove(&slice) {
                entries.young_bytes = entries.young_bytes.saturating_sub(statistics.size() + OVERHEAD);
            }
            entries.old.remove(&slice);
        }
    }

    /// What is known about each of some slices.
    pub(crate) fn get<'a>(&self, slices: impl IntoIterator<Item = &'a Multihash>) -> Vec<Option<FileStatistics>> {
        let mut entries = self.lock();
        let limit = self.limit;
        let found = slices.into_iter().map(|slice| entries.touch(slice, limit));
        found.collect()
    }

    /// What is known about some slices together, if something is about each.
    pub(crate) fn union<'a>(&self, slices: impl IntoIterator<Item = &'a Multihash>) -> Option<FileStatistics> {
        let entries = self.lock();
        let found: Option<Vec<&FileStatistics>> = slices.into_iter().map(|slice| entries.find(slice)).collect();
        FileStatistics::union(found?)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn find(&self, slice: &Multihash) -> Option<&FileStatistics> {
        self.young.get(slice).or_else(|| self.old.get(slice))
    }

    fn touch(&mut self, slice: &Multihash, limit: usize) -> Option<FileStatistics> {
        if let Some(found) = self.young.get(slice) {
            return Some(found.clone());
        }
        let found = self.old.remove(slice)?;
        self.insert(*slice, found.clone(), limit);
        Some(found)
    }

    fn insert(&mut self, slice: Multihash, statistics: FileStatistics, limit: usize) {
        self.young_bytes += statistics.size() + OVERHEAD;
        if let Some(before) = self.young.insert(slice, statistics) {
            self.young_bytes = self.young_bytes.saturating_sub(before.size() + OVERHEAD);
        }
        if self.young_bytes > limit / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }

    fn intern(&mut self, layout: &Arc<Layout>) -> Arc<Layout> {
        if let Some(known) = self.layouts.get(layout) {
            return Arc::clone(known);
        }
        if self.layouts.len() >= MAX_LAYOUTS {
            self.layouts.clear();
        }
        self.layouts.insert(Arc::clone(layout));
        Arc::clone(layout)
    }
}
