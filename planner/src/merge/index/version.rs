//! An index at one state of the dataset: a list of runs that nobody changes.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{filter_record_batch, interleave_record_batch, not, take_record_batch};
use arrow::datatypes::SchemaRef;
use futures::{StreamExt, stream};
use jetway_odf::identity::Multihash;
use jetway_odf::storage::DerivedStore;

use crate::Result;
use crate::merge::columns::{OPERATION, keys, lost};
use crate::merge::index::layout::Layout;
use crate::merge::index::manifest::Manifest;
use crate::merge::index::run::StoredRun;
use crate::merge::index::{MAX_BEHIND, MAX_BYTES_BEHIND, Options};
use crate::merge::{Batches, newest, sort};
use crate::session::Engine;

/// The runs of an index at one block of the chain.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) head: Multihash,
    pub(super) sequence_number: u64,
    pub(super) next_offset: u64,
    /// Runs in memory, newest first; what they hold is newer than any file.
    pub(super) fresh: Vec<Arc<RecordBatch>>,
    pub(super) saved: Arc<Saved>,
}

/// What is in storage, as far as this version knows.
#[derive(Debug, Default)]
pub(super) struct Saved {
    /// Id of its manifest; empty if there is none.
    pub(super) id: String,
    pub(super) sequence_number: u64,
    /// Newest first.
    pub(super) runs: Vec<Arc<StoredRun>>,
}

impl Version {
    /// The state before the first row.
    pub(super) fn empty() -> Self {
        Self {
            head: Multihash::sha3_256(&[]),
            sequence_number: 0,
            next_offset: 0,
            fresh: Vec::new(),
            saved: Arc::default(),
        }
    }

    /// Opens all files of a manifest.
    pub(super) async fn open(manifest: Manifest, store: &DerivedStore, layout: &Layout) -> Result<Self> {
        let mut runs = Vec::with_capacity(manifest.runs.len());
        for record in manifest.runs {
            runs.push(Arc::new(StoredRun::open(store, layout, record).await?));
        }
        Ok(Self {
            head: manifest.head,
            sequence_number: manifest.sequence_number,
            next_offset: manifest.next_offset,
            fresh: Vec::new(),
            saved: Arc::new(Saved {
                id: manifest.id,
                sequence_number: manifest.sequence_number,
                runs,
            }),
        })
    }

    /// The same state with files into which `version`, this one or an earlier one, was written; none if they have no
    /// more in common. What was merged in memory with newer entries meanwhile stays there too, which does no harm.
    pub(super) fn with_saved(&self, version: &Self, saved: &Arc<Saved>) -> Option<Self> {
        if !Arc::ptr_eq(&self.saved, &version.saved) || self.sequence_number < version.sequence_number {
            return None;
        }
        let is_new = |run: &&Arc<RecordBatch>| !version.fresh.iter().any(|written| Arc::ptr_eq(run, written));
        Some(Self {
            fresh: self.fresh.iter().filter(is_new).map(Arc::clone).collect(),
            saved: Arc::clone(saved),
            ..self.clone()
        })
    }

    /// Adds a run, and merges it with those that are not much larger.
    pub(super) fn push(&mut self, run: RecordBatch, ratio: u64) -> Result<()> {
        let mut rows = run.num_rows() as u64;
        let mut merged = 0;
        while let Some(next) = self.fresh.get(merged)
            && (next.num_rows() as u64) < rows.saturating_mul(ratio)
        {
            rows += next.num_rows() as u64;
            merged += 1;
        }
        let mut runs = vec![run];
        runs.extend(self.fresh.drain(..merged).map(Arc::unwrap_or_clone));
        if let Some(run) = newest::sort_per_key(&runs)? {
            self.fresh.insert(0, Arc::new(run));
        }
        Ok(())
    }

    /// Whether what is in memory should go into a file.
    pub(super) fn wants_saving(&self, options: &Options) -> bool {
        let rows = self.fresh_rows();
        let blocks = self.sequence_number.saturating_sub(self.saved.sequence_number);
        rows >= options.memory_rows
            || (rows > 0 && blocks >= options.memory_blocks)
            || self.fresh_bytes() >= options.memory_bytes
    }

    /// Whether there is so much in memory that writing has to come first.
    pub(super) fn is_far_behind(&self, options: &Options) -> bool {
        self.fresh_rows() >= options.memory_rows.saturating_mul(MAX_BEHIND)
            || self.fresh_bytes() >= options.memory_bytes.saturating_mul(MAX_BYTES_BEHIND)
    }

    /// Rows of the runs in memory.
    pub(super) fn fresh_rows(&self) -> u64 {
        self.fresh.iter().map(|run| run.num_rows() as u64).sum()
    }

    /// Bytes of the runs in memory.
    fn fresh_bytes(&self) -> u64 {
        self.fresh.iter().map(|run| run.get_array_memory_size() as u64).sum()
    }

    /// How many of its rows make a batch.
    pub(super) fn batch_rows(&self) -> usize {
        let saved = self.saved.runs.iter().map(|run| (run.record().size, run.rows()));
        let (bytes, rows) = saved.fold((self.fresh_bytes(), self.fresh_rows()), |(bytes, rows), run| {
            (bytes.saturating_add(run.0), rows.saturating_add(run.1))
        });
        sort::batch_rows(bytes, rows)
    }

    /// Whether a file is one of its runs.
    pub(super) fn names(&self, file: &str) -> bool {
        self.saved.runs.iter().any(|run| run.name() == file)
    }

    /// Memory that it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        let fresh = usize::try_from(self.fresh_bytes()).unwrap_or(usize::MAX);
        fresh + self.saved.runs.iter().map(|run| run.memory()).sum::<usize>()
    }

    /// Looks up keys, which are sorted. Reads only blocks that may hold one of them.
    pub(super) async fn find(&self, wanted: &BinaryArray) -> Result<Found> {
        let mut found = Found {
            pieces: Vec::new(),
            hits: vec![None; wanted.len()],
        };
        let mut open: Vec<usize> = (0..wanted.len()).collect();
        for run in &self.fresh {
            found.search(run, wanted, &open)?;
            open.retain(|index| found.is_open(*index));
        }
        for run in &self.saved.runs {
            if open.is_empty() {
                break;
            }
            run.find(wanted, &open, &mut found).await?;
            open.retain(|index| found.is_open(*index));
        }
        Ok(found)
    }

    /// The newest row of each key behind `after` that is not retracted, sorted by key.
    pub(super) fn live(&self, engine: &Engine, entries: &SchemaRef, after: Option<&[u8]>) -> Result<Batches> {
        let mut streams: Vec<Batches> = Vec::with_capacity(self.fresh.len() + self.saved.runs.len());
        for run in &self.fresh {
            streams.push(scan_memory(run, after)?);
        }
        for run in &self.saved.runs {
            streams.push(StoredRun::scan(run, after));
        }
        if streams.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let merged = sort::merge_by_key(engine, entries, streams, self.batch_rows())?;
        Ok(without_dead(newest::per_key(merged)))
    }
}

/// The rows of a run in memory behind a key.
pub(super) fn scan_memory(run: &RecordBatch, after: Option<&[u8]>) -> Result<Batches> {
    let start = match after {
        Some(after) => lower_bound(keys(run)?, 0..run.num_rows(), |key| key > after),
        None => 0,
    };
    let rest = run.slice(start, run.num_rows() - start);
    Ok(stream::iter(sort::pieces(&rest).map(Ok)).boxed())
}

/// Leaves out retractions.
pub(super) fn without_dead(entries: Batches) -> Batches {
    entries
        .map(|batch| {
            let batch = batch?;
            let dead = dead(&batch)?;
            match dead.true_count() {
                0 => Ok(batch),
                _ => Ok(filter_record_batch(&batch, &not(dead)?)?),
            }
        })
        .boxed()
}

fn dead(entries: &RecordBatch) -> Result<&BooleanArray> {
    let column = entries.columns().get(OPERATION);
    column.and_then(|column| column.as_boolean_opt()).ok_or_else(lost)
}

/// What a look-up found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Entries that were found, in no order.
    pieces: Vec<RecordBatch>,
    /// For each key, the piece and the row of its newest entry.
    pub(crate) hits: Vec<Option<(usize, usize)>>,
}

impl Found {
    /// The entries that are no retractions, sorted by key.
    pub(crate) fn live_rows(&self) -> Result<Option<RecordBatch>> {
        let mut rows: Vec<(usize, usize)> = self.hits.iter().flatten().copied().collect();
        rows.dedup();
        let Some(first) = self.pieces.first() else {
            return Ok(None);
        };
        let pieces: Vec<&RecordBatch> = self.pieces.iter().collect();
        let entries = match rows.is_empty() {
            true => RecordBatch::new_empty(first.schema()),
            false => interleave_record_batch(&pieces, &rows)?,
        };
        Ok(Some(filter_record_batch(&entries, &not(dead(&entries)?)?)?))
    }

    /// Looks up the keys with the numbers `open`, in order, in sorted entries.
    pub(super) fn search(&mut self, entries: &RecordBatch, wanted: &BinaryArray, open: &[usize]) -> Result<()> {
        let keys = keys(entries)?;
        let mut rows: Vec<u32> = Vec::new();
        let mut from = 0;
        for index in open {
            let key = wanted.value(*index);
            from = lower_bound(keys, from..keys.len(), |found| found >= key);
            if from == keys.len() {
                break;
            }
            if keys.value(from) == key
                && let Some(hit) = self.hits.get_mut(*index)
            {
                *hit = Some((self.pieces.len(), rows.len()));
                rows.push(from as u32);
            }
        }
        if !rows.is_empty() {
            // Only what was found is kept, not the block around it.
            self.pieces.push(take_record_batch(entries, &UInt32Array::from(rows))?);
        }
        Ok(())
    }

    fn is_open(&self, index: usize) -> bool {
        self.hits.get(index).is_some_and(Option::is_none)
    }
}

/// The first position of a range for which `reached` holds, or its end. It holds for all behind the first.
pub(super) fn lower_bound(keys: &BinaryArray, range: Range<usize>, reached: impl Fn(&[u8]) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if reached(keys.value(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
