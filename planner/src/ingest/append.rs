//! From slices to the blocks that put them into a chain.

use chrono::{DateTime, TimeDelta, Utc};
use jetway_odf::chain::ChainState;
use jetway_odf::codec::{EncodedBlock, ManifestVersion};
use jetway_odf::metadata::{
    AddData, DataSchema, DataSlice, DatasetKind, MetadataEvent, OffsetInterval, SetDataSchema, SourceState,
};
use jetway_odf::storage::{ObjectKind, PendingObject};

use crate::ingest::receipt::{self, Receipt};
use crate::ingest::rows::WrittenSlices;
use crate::{Error, ErrorKind, PinnedDataset, Result};

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Blocks and objects of one commit, and the state that the chain has afterwards.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) blocks: Vec<EncodedBlock>,
    pub(super) objects: Vec<PendingObject>,
    pub(super) state: ChainState,
}

/// Only root datasets take rows; those of a derivative one are computed.
pub(super) fn check_root(dataset: &PinnedDataset) -> Result<()> {
    match dataset.kind {
        DatasetKind::Root => Ok(()),
        DatasetKind::Derivative => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "{} is computed from other datasets; push rows to a root dataset",
                dataset.alias
            ),
        )),
    }
}

/// What goes into a chain with the rows.
#[derive(Debug, Default)]
pub(super) struct Additions<'a> {
    /// Given for a chain that has no schema yet, or another one.
    pub(super) schema: Option<&'a DataSchema>,
    /// Where the polled source stands now; without one, it stays where it was.
    pub(super) source_state: Option<&'a SourceState>,
    /// Of the pushes that have keys.
    pub(super) receipts: &'a [Receipt],
}

/// Appends slices whose offsets start where the chain ends. No blocks come of no slices, unless the schema or the source's
/// state is new; receipts alone are no reason for a block.
pub(super) fn append(state: &ChainState, additions: &Additions<'_>, written: WrittenSlices) -> Result<Append> {
    let mut events = Vec::with_capacity(written.slices.len() + 1);
    if let Some(schema) = additions.schema {
        events.push(MetadataEvent::SetDataSchema(SetDataSchema {
            raw_arrow_schema: None,
            schema: Some(schema.clone()),
        }));
    }
    let source_state = additions.source_state.or_else(|| state.source_state());
    let template = AddData {
        prev_checkpoint: state.checkpoint().map(|checkpoint| checkpoint.physical_hash),
        prev_offset: state.last_offset(),
        new_data: None,
        new_checkpoint: state.checkpoint().cloned(),
        new_watermark: state.watermark(),
        new_source_state: source_state.cloned(),
        extra: None,
    };
    if written.slices.is_empty() && source_state != state.source_state() {
        events.push(MetadataEvent::AddData(template.clone()));
    }
    let mut objects = Vec::with_capacity(written.slices.len());
    let mut last_offset = state.last_offset();
    let mut watermark = state.watermark();
    let mut next_offset = written.first_offset;
    let last = (written.first_offset + written.rows).checked_sub(1);
    for slice in written.slices {
        // What later events do not repeat is lost, so watermark, checkpoint and source state go along.
        watermark = later(watermark, slice.max_event_time);
        let interval = OffsetInterval {
            start: next_offset,
            end: next_offset + slice.file.rows - 1,
        };
        let size = slice.file.source.size();
        let mut event = AddData {
            prev_offset: last_offset,
            new_data: Some(DataSlice {
                logical_hash: slice.file.logical_hash,
                physical_hash: slice.file.physical_hash,
                offset_interval: interval,
                size,
            }),
            new_watermark: watermark,
            ..template.clone()
        };
        // All blocks become visible with the last one.
        if Some(interval.end) == last {
            event.extra = receipt::to_extra(additions.receipts)?;
        }
        events.push(MetadataEvent::AddData(event));
        objects.push(PendingObject {
            kind: ObjectKind::Data,
            hash: slice.file.physical_hash,
            source: slice.file.source,
        });
        last_offset = Some(interval.end);
        next_offset = interval.end + 1;
    }
    let system_time = block_time(written.system_time.max(state.system_time()));
    let (blocks, state) = state.append(events, system_time, ManifestVersion::default())?;
    Ok(Append { blocks, objects, state })
}

fn later(left: Option<DateTime<Utc>>, right: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    left.max(right)
}

/// A moment within the millisecond that rows have. Blocks of two processes that add equal rows at the same time would
/// otherwise be the same block, and storage would take the second one for a repetition of the first.
fn block_time(earliest: DateTime<Utc>) -> DateTime<Utc> {
    let room = NANOS_PER_MILLI - i64::from(earliest.timestamp_subsec_nanos()) % NANOS_PER_MILLI;
    let random = i64::from(uuid::Uuid::new_v4().as_fields().0);
    earliest + TimeDelta::nanoseconds(random % room)
}
