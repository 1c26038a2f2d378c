//! What planning needs to know about a dataset at one block: the fold of its chain and the list of its slices.

mod cache;
mod list;
mod stored;

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use chrono::{DateTime, Utc};
use jetway_odf::chain::{Advanced, ChainState};
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::Multihash;
use jetway_odf::metadata::{DataSlice, DatasetKind, MergeStrategy, MetadataEvent};
use jetway_odf::storage::DatasetStorage;

pub(crate) use self::cache::SummaryCache;
pub(crate) use self::list::{SLICES_PER_CHUNK, SliceList};
pub(crate) use self::stored::collect_garbage;
use crate::Result;
use crate::ingest::Receipts;

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

impl DatasetSummary {
    async fn load(storage: &DatasetStorage, head: Multihash) -> Result<Self> {
        let mut seen = Seen::default();
        let state = jetway_odf::chain::load(storage, head, |block| seen.add(block)).await?;
        Self::new(state, seen, None)
    }

    /// The summary at a later head, made by reading the new blocks only; none if the history was rewritten, or the head is an
    /// older one.
    async fn advance(&self, storage: &DatasetStorage, head: Multihash) -> Result<Option<Self>> {
        let mut state = self.state.clone();
        let mut seen = self.seen();
        match jetway_odf::chain::advance(&mut state, storage, head, |block| seen.add(block)).await? {
            Advanced::Unchanged | Advanced::Forward { .. } => Ok(Some(Self::new(state, seen, Some(self))?)),
            Advanced::Diverged => Ok(None),
        }
    }

    /// The summary after blocks that were committed just now.
    pub(crate) fn append(&self, blocks: &[EncodedBlock], state: ChainState) -> Result<Self> {
        let mut seen = self.seen();
        for block in blocks {
            seen.add(block);
        }
        Self::new(state, seen, Some(self))
    }

    fn seen(&self) -> Seen {
        Seen {
            slices: self.slices.clone(),
            merges: !self.only_appends,
            receipts: self.receipts.clone(),
        }
    }

    /// The schema is that of the summary before if it is the same.
    fn new(state: ChainState, seen: Seen, before: Option<&Self>) -> Result<Self> {
        let schema = match (state.schema(), before) {
            (Some(schema), Some(before)) if before.state.schema().is_some_and(|known| Arc::ptr_eq(known, schema)) => {
                Arc::clone(&before.schema)
            }
            (Some(schema), _) => Arc::new(schema.to_arrow()?),
            (None, _) => Arc::new(Schema::empty()),
        };
        Ok(Self {
            only_appends: state.kind() == DatasetKind::Root && !seen.merges,
            state,
            slices: seen.slices,
            receipts: seen.receipts,
            schema,
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
