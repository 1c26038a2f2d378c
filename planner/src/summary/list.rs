//! The slices of a dataset, in memory shared by the summaries of successive heads.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::statistics::FileStatistics;
use crate::summary::SliceEntry;
use crate::summary::stored::StoredChunk;

/// How many slices a full piece of the list has.
pub(crate) const SLICES_PER_CHUNK: usize = 1024;

/// How many of the newest slices are copied for each block at most.
const SLICES_PER_RUN: usize = 32;

/// Slices by offset. Cheap to clone, and cheap to keep for every head: lists of successive heads share all but the newest few.
///
/// ```text
///  full chunks of 1024 slices                   │ runs of 32
///  ├─────────────────────┼─────────────────────┤├──┼──┼─┤
/// ```
#[derive(Debug, Clone, Default)]
pub(crate) struct SliceList {
    full: Arc<Vec<Arc<Chunk>>>,
    tail: Vec<Arc<Vec<SliceEntry>>>,
    rows: u64,
    bytes: u64,
}

/// Slices that never change any more.
#[derive(Debug)]
pub(crate) struct Chunk {
    slices: Box<[SliceEntry]>,
    /// The file that has them, if they are in storage.
    stored: Mutex<Option<StoredChunk>>,
    /// What is known about the columns of all of them together, once it is known about each.
    statistics: OnceLock<FileStatistics>,
}

impl Chunk {
    pub(super) fn new(slices: Vec<SliceEntry>, stored: Option<StoredChunk>) -> Self {
        Self {
            slices: slices.into_boxed_slice(),
            stored: Mutex::new(stored),
            statistics: OnceLock::new(),
        }
    }

    pub(crate) fn slices(&self) -> &[SliceEntry] {
        &self.slices
    }

    pub(super) fn stored(&self) -> Option<StoredChunk> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_stored(&self, stored: StoredChunk) {
        *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = Some(stored);
    }

    /// Made by `union` the first time that it can.
    pub(crate) fn statistics(&self, union: impl FnOnce() -> Option<FileStatistics>) -> Option<&FileStatistics> {
        if self.statistics.get().is_none()
            && let Some(statistics) = union()
        {
            // Somebody else may have been faster, with the same.
            let _ = self.statistics.set(statistics);
        }
        self.statistics.get()
    }
}

impl SliceList {
    pub(crate) fn push(&mut self, slice: SliceEntry) {
        self.rows = self.rows.saturating_add(slice.rows());
        self.bytes = self.bytes.saturating_add(slice.size);
        match self.tail.last_mut().filter(|run| run.len() < SLICES_PER_RUN) {
            Some(run) => Arc::make_mut(run).push(slice),
            None => self.tail.push(Arc::new(vec![slice])),
        }
        if self.tail_len() == SLICES_PER_CHUNK {
            let slices = self.tail.drain(..).flat_map(|run| run.to_vec()).collect();
            Arc::make_mut(&mut self.full).push(Arc::new(Chunk::new(slices, None)));
        }
    }

    /// A list that begins with full chunks.
    pub(super) fn of_chunks(chunks: Vec<Chunk>) -> Self {
        let slices = || chunks.iter().flat_map(|chunk| chunk.slices());
        Self {
            rows: slices().map(SliceEntry::rows).fold(0, u64::saturating_add),
            bytes: slices().map(|slice| slice.size).fold(0, u64::saturating_add),
            full: Arc::new(chunks.into_iter().map(Arc::new).collect()),
            tail: Vec::new(),
        }
    }

    pub(crate) fn chunks(&self) -> &[Arc<Chunk>] {
        &self.full
    }

    /// The slices behind the full chunks.
    pub(crate) fn tail(&self) -> impl Iterator<Item = &SliceEntry> {
        self.tail.iter().flat_map(|run| run.iter())
    }

    pub(crate) fn tail_len(&self) -> usize {
        let full = self.tail.len().saturating_sub(1) * SLICES_PER_RUN;
        full + self.tail.last().map_or(0, |run| run.len())
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &SliceEntry> {
        let full = self.full.iter().flat_map(|chunk| chunk.slices());
        full.chain(self.tail.iter().flat_map(|run| run.iter()))
    }

    /// The slices with rows at or behind an offset. Costs as much as there are.
    pub(crate) fn since(&self, offset: u64) -> Vec<SliceEntry> {
        let newest_first = self.iter().rev();
        let mut slices: Vec<SliceEntry> = newest_first
            .take_while(|slice| slice.last_offset >= offset)
            .copied()
            .collect();
        slices.reverse();
        slices
    }

    pub(crate) fn len(&self) -> usize {
        self.full.len() * SLICES_PER_CHUNK + self.tail_len()
    }

    /// Rows of all slices.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of all slices.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn get(&self, index: usize) -> Option<&SliceEntry> {
        if let Some(chunk) = self.full.get(index / SLICES_PER_CHUNK) {
            return chunk.slices.get(index % SLICES_PER_CHUNK);
        }
        let index = index - self.full.len() * SLICES_PER_CHUNK;
        self.tail.get(index / SLICES_PER_RUN)?.get(index % SLICES_PER_RUN)
    }

    pub(crate) fn last(&self) -> Option<&SliceEntry> {
        self.iter().next_back()
    }

    /// Slices by position; positions that are not there are left out.
    pub(crate) fn range(&self, range: Range<usize>) -> impl Iterator<Item = &SliceEntry> {
        (range.start..range.end.min(self.len())).filter_map(|index| self.get(index))
    }

    /// The position of the first slice that starts at the offset or behind it.
    pub(crate) fn position(&self, first_offset: u64) -> usize {
        let is_before = |slice: &SliceEntry| slice.first_offset < first_offset;
        let ends_before = |slices: &[SliceEntry]| slices.last().is_some_and(is_before);
        let chunks = self.full.partition_point(|chunk| ends_before(chunk.slices()));
        if let Some(chunk) = self.full.get(chunks) {
            return chunks * SLICES_PER_CHUNK + chunk.slices.partition_point(is_before);
        }
        let runs = self.tail.partition_point(|run| ends_before(run));
        let within = self.tail.get(runs).map_or(0, |run| run.partition_point(is_before));
        chunks * SLICES_PER_CHUNK + runs * SLICES_PER_RUN + within
    }

    /// Whether another list has the same slices at these positions. Costs next to nothing where they share memory.
    pub(crate) fn agrees(&self, other: &Self, range: Range<usize>) -> bool {
        if range.end > self.len() || range.end > other.len() {
            return false;
        }
        let mut next = range.start;
        while next < range.end {
            let chunk = next / SLICES_PER_CHUNK;
            let end = ((chunk + 1) * SLICES_PER_CHUNK).min(range.end);
            let is_shared = match (self.full.get(chunk), other.full.get(chunk)) {
                (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
                _ => false,
            };
            let hashes = |list: &Self, at| list.get(at).map(|slice| slice.physical_hash);
            if !is_shared && (next..end).any(|at| hashes(self, at) != hashes(other, at)) {
                return false;
            }
            next = end;
        }
        true
    }
}
