//! Whether a dataset is root or derivative, from as few blocks as possible.

use jetway_odf::codec::decode_block;
use jetway_odf::identity::Multihash;
use jetway_odf::metadata::{DatasetKind, MetadataEvent};
use jetway_odf::storage::DatasetStorage;
use jetway_planner::{Error, ErrorKind, Result};

/// Walks back from the head to the first event that only one kind of dataset can have. That is nearly always the head
/// itself, and at the latest the Seed.
pub(super) async fn read(storage: &DatasetStorage, head: Multihash) -> Result<DatasetKind> {
    let mut next = Some(head);
    while let Some(hash) = next {
        let block = decode_block(&storage.block(&hash).await?)?;
        if let Some(kind) = kind_of(&block.event) {
            return Ok(kind);
        }
        next = block.prev_block_hash;
    }
    Err(
        Error::new(ErrorKind::Corrupt, "the dataset's chain does not start with a Seed")
            .with_context("dataset", storage.id().to_string()),
    )
}

fn kind_of(event: &MetadataEvent) -> Option<DatasetKind> {
    match event {
        MetadataEvent::Seed(seed) => Some(seed.dataset_kind),
        MetadataEvent::AddData(_)
        | MetadataEvent::SetPollingSource(_)
        | MetadataEvent::DisablePollingSource(_)
        | MetadataEvent::AddPushSource(_)
        | MetadataEvent::DisablePushSource(_) => Some(DatasetKind::Root),
        MetadataEvent::ExecuteTransform(_) | MetadataEvent::SetTransform(_) => Some(DatasetKind::Derivative),
        MetadataEvent::SetVocab(_)
        | MetadataEvent::SetAttachments(_)
        | MetadataEvent::SetInfo(_)
        | MetadataEvent::SetLicense(_)
        | MetadataEvent::SetDataSchema(_) => None,
    }
}
