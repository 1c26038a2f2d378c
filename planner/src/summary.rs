//! What planning needs to know about a dataset at one block: the fold of its chain and the list of its slices.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use chrono::{DateTime, Utc};
use jetway_odf::chain::{Advanced, ChainState};
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::{DataSlice, DatasetKind, MergeStrategy, MetadataEvent};
use jetway_odf::storage::DatasetStorage;
use tokio::sync::Mutex;

use crate::ingest::Receipts;
use crate::{Error, ErrorKind, PinnedDataset, Result};

/// How many slices share one piece of the list; pieces are shared between the summaries of successive heads.
const SLICES_PER_CHUNK: usize = 1024;

/// How many (dataset, head) pairs are kept.
const MAX_SUMMARIES: usize = 1024;

/// A dataset at one head.
#[derive(Debug, Clone)]
pub(crate) struct DatasetSummary {
    pub(crate) state: ChainState,
    pub(crate) slices: SliceList,
    /// Schema of the rows, system columns included; empty before the first schema event.
    pub(crate) schema: SchemaRef,
    /// Whether no source ever could retract or correct rows.
    pub(crate) only_appends: bool,
    /// The newest pushes that had idempotency keys.
    pub(crate) receipts: Receipts,
}

/// One Parquet file of rows, as the chain describes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SliceEntry {
    pub(crate) physical_hash: Multihash,
    pub(crate) size: u64,
    pub(crate) first_offset: u64,
    pub(crate) last_offset: u64,
    /// System time of its block. That of its rows is the same or, after a hard compaction, earlier.
    pub(crate) system_time: DateTime<Utc>,
}

impl SliceEntry {
    pub(crate) fn new(slice: &DataSlice, system_time: DateTime<Utc>) -> Self {
        Self {
            physical_hash: slice.physical_hash,
            size: slice.size,
            first_offset: slice.offset_interval.start,
            last_offset: slice.offset_interval.end,
            system_time,
        }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.last_offset.saturating_sub(self.first_offset).saturating_add(1)
    }
}

/// Slices by offset. Cheap to clone: lists of successive heads share all full pieces.
#[derive(Debug, Clone, Default)]
pub(crate) struct SliceList {
    chunks: Vec<Arc<Vec<SliceEntry>>>,
}

impl SliceList {
    pub(crate) fn push(&mut self, slice: SliceEntry) {
        match self.chunks.last_mut().filter(|chunk| chunk.len() < SLICES_PER_CHUNK) {
            Some(chunk) => Arc::make_mut(chunk).push(slice),
            None => self.chunks.push(Arc::new(vec![slice])),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &SliceEntry> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The slices with rows at or behind an offset. Costs as much as there are.
    pub(crate) fn since(&self, offset: u64) -> Vec<SliceEntry> {
        let newest_first = self.chunks.iter().rev().flat_map(|chunk| chunk.iter().rev());
        let mut slices: Vec<SliceEntry> = newest_first
            .take_while(|slice| slice.last_offset >= offset)
            .copied()
            .collect();
        slices.reverse();
        slices
    }

    pub(crate) fn len(&self) -> usize {
        let full = self.chunks.len().saturating_sub(1) * SLICES_PER_CHUNK;
        full + self.chunks.last().map_or(0, |chunk| chunk.len())
    }

    /// Slices by position; positions that are not there are left out.
    pub(crate) fn range(&self, range: Range<usize>) -> impl Iterator<Item = &SliceEntry> {
        let slice = |index: usize| {
            let chunk = self.chunks.get(index / SLICES_PER_CHUNK)?;
            chunk.get(index % SLICES_PER_CHUNK)
        };
        (range.start..range.end.min(self.len())).filter_map(slice)
    }

    /// The position of the first slice that starts at the offset or behind it.
    pub(crate) fn position(&self, first_offset: u64) -> usize {
        let is_before = |slice: &SliceEntry| slice.first_offset < first_offset;
        let chunks = self.chunks.partition_point(|chunk| chunk.last().is_some_and(is_before));
        let within = self
            .chunks
            .get(chunks)
            .map_or(0, |chunk| chunk.partition_point(is_before));
        chunks * SLICES_PER_CHUNK + within
    }
}

impl DatasetSummary {
    async fn load(storage: &DatasetStorage, head: Multihash) -> Result<Self> {
        let mut seen = Seen::default();
        let state = jetway_odf::chain::load(storage, head, |block| seen.add(block)).await?;
        Self::new(state, seen)
    }

    /// The summary at a later head, made by reading the new blocks only.
    async fn advance(&self, storage: &DatasetStorage, head: Multihash) -> Result<Self> {
        let mut state = self.state.clone();
        let mut seen = self.seen();
        match jetway_odf::chain::advance(&mut state, storage, head, |block| seen.add(block)).await? {
            Advanced::Unchanged | Advanced::Forward { .. } => Self::new(state, seen),
            // The history was rewritten, or the head is an older one.
            Advanced::Diverged => Self::load(storage, head).await,
        }
    }

    /// The summary after blocks that were committed just now.
    pub(crate) fn append(&self, blocks: &[EncodedBlock], state: ChainState) -> Result<Self> {
        let mut seen = self.seen();
        for block in blocks {
            seen.add(block);
        }
        Self::new(state, seen)
    }

    fn seen(&self) -> Seen {
        Seen {
            slices: self.slices.clone(),
            merges: !self.only_appends,
            receipts: self.receipts.clone(),
        }
    }

    fn new(state: ChainState, seen: Seen) -> Result<Self> {
        let schema = match state.schema() {
            Some(schema) => schema.to_arrow()?,
            None => Schema::empty(),
        };
        Ok(Self {
            only_appends: state.kind() == DatasetKind::Root && !seen.merges,
            state,
            slices: seen.slices,
            receipts: seen.receipts,
            schema: Arc::new(schema),
        })
    }
}

/// What a summary takes from blocks beside the state.
#[derive(Debug, Default)]
struct Seen {
    slices: SliceList,
    /// Whether there was a source that may retract or correct rows.
    merges: bool,
    receipts: Receipts,
}

impl Seen {
    fn add(&mut self, block: &EncodedBlock) {
        self.receipts.add(block);
        let slice = match &block.block.event {
            MetadataEvent::AddData(event) => event.new_data.as_ref(),
            MetadataEvent::ExecuteTransform(event) => event.new_data.as_ref(),
            MetadataEvent::AddPushSource(event) => return self.add_source(&event.merge),
            MetadataEvent::SetPollingSource(event) => return self.add_source(&event.merge),
            _ => None,
        };
        if let Some(slice) = slice {
            self.slices.push(SliceEntry::new(slice, block.block.system_time));
        }
    }

    fn add_source(&mut self, strategy: &MergeStrategy) {
        self.merges |= !matches!(strategy, MergeStrategy::Append {} | MergeStrategy::Ledger { .. });
    }
}

/// Summaries of recently used heads. Everything in it can be read again from storage.
#[derive(Debug, Default)]
pub(crate) struct SummaryCache {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_head: HashMap<(DatasetId, Multihash), (u64, Arc<DatasetSummary>)>,
    newest: HashMap<DatasetId, Multihash>,
    clock: u64,
}

impl SummaryCache {
    /// The summary of a dataset at its pinned head.
    pub(crate) async fn get(&self, dataset: &PinnedDataset) -> Result<Arc<DatasetSummary>> {
        let key = (dataset.id, dataset.head);
        let base = {
            let mut entries = self.entries.lock().await;
            if let Some(found) = entries.touch(key) {
                return Ok(found);
            }
            entries
                .newest
                .get(&dataset.id)
                .copied()
                .and_then(|head| entries.touch((dataset.id, head)))
        };
        let summary = match base {
            Some(base) => base.advance(&dataset.storage, dataset.head).await?,
            None => DatasetSummary::load(&dataset.storage, dataset.head).await?,
        };
        check_identity(&summary, dataset)?;
        let summary = Arc::new(summary);
        self.put(Arc::clone(&summary)).await;
        Ok(summary)
    }

    /// As [`Self::get`], but a chain that nobody queries takes no place from those that somebody does.
    pub(crate) async fn look(&self, dataset: &PinnedDataset) -> Result<Arc<DatasetSummary>> {
        let is_known = self.entries.lock().await.newest.contains_key(&dataset.id);
        if is_known {
            return self.get(dataset).await;
        }
        let summary = DatasetSummary::load(&dataset.storage, dataset.head).await?;
        check_identity(&summary, dataset)?;
        Ok(Arc::new(summary))
    }

    /// Keeps a summary that somebody made already.
    pub(crate) async fn put(&self, summary: Arc<DatasetSummary>) {
        self.entries.lock().await.insert(summary);
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

    fn insert(&mut self, summary: Arc<DatasetSummary>) {
        self.clock += 1;
        let (id, head) = (summary.state.id(), summary.state.head());
        let is_newer = self
            .newest
            .get(&id)
            .and_then(|newest| self.by_head.get(&(id, *newest)))
            .is_none_or(|(_, newest)| newest.state.sequence_number() <= summary.state.sequence_number());
        if is_newer {
            self.newest.insert(id, head);
        }
        self.by_head.insert((id, head), (self.clock, summary));
        if self.by_head.len() > MAX_SUMMARIES {
            self.forget_old();
        }
    }

    /// Drops the half that was not used for longest.
    fn forget_old(&mut self) {
        let mut uses: Vec<u64> = self.by_head.values().map(|(used, _)| *used).collect();
        let (_, middle, _) = uses.select_nth_unstable(MAX_SUMMARIES / 2);
        let middle = *middle;
        self.by_head.retain(|_, (used, _)| *used >= middle);
        let by_head = &self.by_head;
        self.newest.retain(|id, head| by_head.contains_key(&(*id, *head)));
    }
}
