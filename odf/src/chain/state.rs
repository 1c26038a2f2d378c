//! What a chain adds up to.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::chain::vocabulary::Vocabulary;
use crate::identity::{DatasetId, Multihash};
use crate::metadata::{
    AddData, AddPushSource, AttachmentEmbedded, Attachments, Checkpoint, DataSchema, DataSlice, DatasetKind,
    ExecuteTransform, ExecuteTransformInput, SetAttachments, SetDataSchema, SetInfo, SetLicense, SetPollingSource,
    SetTransform, SourceState,
};

/// What a chain adds up to at its head: everything that the rules, a reader and the next writer need to know, at a size
/// that does not depend on the length of the chain.
///
/// Big parts are shared, so a clone is cheap. The serialized form is meant for a cache that can be rebuilt from the
/// chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainState {
    pub(super) head: Multihash,
    pub(super) sequence_number: u64,
    pub(super) system_time: DateTime<Utc>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) last_data_at: Option<DateTime<Utc>>,
    pub(super) id: DatasetId,
    pub(super) kind: DatasetKind,
    pub(super) vocabulary: Arc<Vocabulary>,
    pub(super) schema: Option<Arc<DataSchema>>,
    /// The event that gave the schema, if it has the legacy form: its successor is compared by other rules.
    pub(super) legacy_schema: Option<Arc<SetDataSchema>>,
    pub(super) last_offset: Option<u64>,
    pub(super) watermark: Option<DateTime<Utc>>,
    pub(super) last_add: Option<Arc<AddPoint>>,
    pub(super) last_execute: Option<Arc<ExecutePoint>>,
    pub(super) push_sources: Arc<BTreeMap<String, AddPushSource>>,
    pub(super) polling_source: Option<Arc<SetPollingSource>>,
    pub(super) transform: Option<Arc<SetTransform>>,
    pub(super) info: Option<Arc<SetInfo>>,
    pub(super) license: Option<Arc<SetLicense>>,
    pub(super) attachments: Option<Arc<SetAttachments>>,
    pub(super) counts: Counts,
}

/// How much a chain holds. Numbers stop at their maximum instead of wrapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Blocks, the Seed included.
    pub blocks: u64,
    /// Slices of data.
    pub slices: u64,
    /// Rows in the slices, retractions and corrections included.
    pub records: u64,
    /// Bytes of the slices, as the chain declares them.
    pub data_bytes: u64,
    /// Bytes of all checkpoints, as the chain declares them; one that is repeated counts once.
    pub checkpoint_bytes: u64,
}

/// Where the last AddData stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AddPoint {
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) watermark: Option<DateTime<Utc>>,
    pub(super) source_state: Option<SourceState>,
}

/// Where the last ExecuteTransform stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecutePoint {
    pub(super) checkpoint: Option<Checkpoint>,
    pub(super) watermark: Option<DateTime<Utc>>,
    pub(super) inputs: Vec<ExecuteTransformInput>,
}

impl ChainState {
    /// Hash of the newest block.
    #[must_use]
    pub const fn head(&self) -> Multihash {
        self.head
    }

    /// Sequence number of the newest block.
    #[must_use]
    pub const fn sequence_number(&self) -> u64 {
        self.sequence_number
    }

    /// System time of the newest block.
    #[must_use]
    pub const fn system_time(&self) -> DateTime<Utc> {
        self.system_time
    }

    /// System time of the first block.
    #[must_use]
    pub const fn created_at(&self) -> DateTime<Utc> {
        self.created_at
    }

    /// System time of the newest AddData or ExecuteTransform.
    #[must_use]
    pub const fn last_data_at(&self) -> Option<DateTime<Utc>> {
        self.last_data_at
    }

    /// The system time for a block written at `now`: later than that if the clock that wrote the last block was ahead,
    /// because system time never goes back in a chain.
    #[must_use]
    pub fn next_system_time(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.max(self.system_time)
    }

    /// The dataset's identity.
    #[must_use]
    pub const fn id(&self) -> DatasetId {
        self.id
    }

    /// Root or derivative.
    #[must_use]
    pub const fn kind(&self) -> DatasetKind {
        self.kind
    }

    /// Names of the system columns.
    #[must_use]
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// Schema of the next slice, as the chain gives it; a schema in the legacy form is translated into ODF types.
    #[must_use]
    pub const fn schema(&self) -> Option<&Arc<DataSchema>> {
        self.schema.as_ref()
    }

    /// Offset of the last row; none while there are no rows.
    #[must_use]
    pub const fn last_offset(&self) -> Option<u64> {
        self.last_offset
    }

    /// Offset of the next row.
    #[must_use]
    pub fn next_offset(&self) -> u64 {
        self.last_offset.map_or(0, |offset| offset.saturating_add(1))
    }

    /// Event time up to which the data is believed to be complete.
    #[must_use]
    pub const fn watermark(&self) -> Option<DateTime<Utc>> {
        self.watermark
    }

    /// Checkpoint of the last AddData of a root dataset or the last ExecuteTransform of a derivative one.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        match self.kind {
            DatasetKind::Root => self.last_add.as_ref()?.checkpoint.as_ref(),
            DatasetKind::Derivative => self.last_execute.as_ref()?.checkpoint.as_ref(),
        }
    }

    /// Where the source stands, according to the last AddData.
    #[must_use]
    pub fn source_state(&self) -> Option<&SourceState> {
        self.last_add.as_ref()?.source_state.as_ref()
    }

    /// Push sources by name.
    #[must_use]
    pub fn push_sources(&self) -> &BTreeMap<String, AddPushSource> {
        &self.push_sources
    }

    /// The polling source.
    #[must_use]
    pub const fn polling_source(&self) -> Option<&Arc<SetPollingSource>> {
        self.polling_source.as_ref()
    }

    /// The transform of a derivative dataset.
    #[must_use]
    pub const fn transform(&self) -> Option<&Arc<SetTransform>> {
        self.transform.as_ref()
    }

    /// What the last ExecuteTransform consumed; none before the first run. The next run continues from
    /// [`ExecuteTransformInput::last_block_hash`] and [`ExecuteTransformInput::last_offset`] of each.
    #[must_use]
    pub fn query_inputs(&self) -> Option<&[ExecuteTransformInput]> {
        self.last_execute.as_ref().map(|run| run.inputs.as_slice())
    }

    /// Description and keywords.
    #[must_use]
    pub const fn info(&self) -> Option<&Arc<SetInfo>> {
        self.info.as_ref()
    }

    /// Licence of the data.
    #[must_use]
    pub const fn license(&self) -> Option<&Arc<SetLicense>> {
        self.license.as_ref()
    }

    /// Files for people.
    #[must_use]
    pub fn attachments(&self) -> &[AttachmentEmbedded] {
        match self.attachments.as_ref().map(|event| &event.attachments) {
            Some(Attachments::Embedded(embedded)) => &embedded.items,
            None => &[],
        }
    }

    /// How much the chain holds.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }
}

impl ExecuteTransformInput {
    /// The last block of the input that was consumed by this run or an earlier one.
    #[must_use]
    pub fn last_block_hash(&self) -> Option<Multihash> {
        self.new_block_hash.or(self.prev_block_hash)
    }

    /// The last offset of the input that was consumed by this run or an earlier one.
    #[must_use]
    pub fn last_offset(&self) -> Option<u64> {
        self.new_offset.or(self.prev_offset)
    }
}

impl Counts {
    pub(super) fn add_slice(&mut self, slice: &DataSlice) {
        let rows = slice
            .offset_interval
            .end
            .saturating_sub(slice.offset_interval.start)
            .saturating_add(1);
        self.slices = self.slices.saturating_add(1);
        self.records = self.records.saturating_add(rows);
        self.data_bytes = self.data_bytes.saturating_add(slice.size);
    }

    pub(super) fn add_checkpoint(&mut self, previous: Option<Multihash>, new: Option<&Checkpoint>) {
        if let Some(new) = new.filter(|new| Some(new.physical_hash) != previous) {
            self.checkpoint_bytes = self.checkpoint_bytes.saturating_add(new.size);
        }
    }
}

impl From<&AddData> for AddPoint {
    fn from(event: &AddData) -> Self {
        Self {
            checkpoint: event.new_checkpoint.clone(),
            watermark: event.new_watermark,
            source_state: event.new_source_state.clone(),
        }
    }
}

impl From<&ExecuteTransform> for ExecutePoint {
    fn from(event: &ExecuteTransform) -> Self {
        Self {
            checkpoint: event.new_checkpoint.clone(),
            watermark: event.new_watermark,
            inputs: event.query_inputs.clone(),
        }
    }
}
