//! From slices to the blocks that put them into a chain.

use chrono::{DateTime, Utc};
use jetway_odf::chain::ChainState;
use jetway_odf::codec::{EncodedBlock, ManifestVersion};
use jetway_odf::metadata::{AddData, DataSchema, DataSlice, DatasetKind, MetadataEvent, OffsetInterval, SetDataSchema};
use jetway_odf::storage::{ObjectKind, PendingObject};

use crate::ingest::rows::WrittenSlices;
use crate::{Error, ErrorKind, PinnedDataset, Result};

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

/// Appends slices whose offsets start where the chain ends. `schema` is given for a chain that has none yet.
pub(super) fn append(state: &ChainState, schema: Option<&DataSchema>, written: WrittenSlices) -> Result<Append> {
    let mut events = Vec::with_capacity(written.slices.len() + 1);
    if let Some(schema) = schema {
        events.push(MetadataEvent::SetDataSchema(SetDataSchema {
            raw_arrow_schema: None,
            schema: Some(schema.clone()),
        }));
    }
    let mut objects = Vec::with_capacity(written.slices.len());
    let mut last_offset = state.last_offset();
    let mut watermark = state.watermark();
    let mut next_offset = written.first_offset;
    for slice in written.slices {
        // What later events do not repeat is lost, so watermark, checkpoint and source state go along.
        watermark = later(watermark, slice.max_event_time);
        let interval = OffsetInterval {
            start: next_offset,
            end: next_offset + slice.file.rows - 1,
        };
        let size = slice.file.source.size();
        events.push(MetadataEvent::AddData(AddData {
            prev_checkpoint: state.checkpoint().map(|checkpoint| checkpoint.physical_hash),
            prev_offset: last_offset,
            new_data: Some(DataSlice {
                logical_hash: slice.file.logical_hash,
                physical_hash: slice.file.physical_hash,
                offset_interval: interval,
                size,
            }),
            new_checkpoint: state.checkpoint().cloned(),
            new_watermark: watermark,
            new_source_state: state.source_state().cloned(),
            extra: None,
        }));
        objects.push(PendingObject {
            kind: ObjectKind::Data,
            hash: slice.file.physical_hash,
            source: slice.file.source,
        });
        last_offset = Some(interval.end);
        next_offset = interval.end + 1;
    }
    let (blocks, state) = state.append(events, written.system_time, ManifestVersion::default())?;
    Ok(Append { blocks, objects, state })
}

fn later(left: Option<DateTime<Utc>>, right: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    left.max(right)
}
