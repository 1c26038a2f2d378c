//! Chains to commit. Their events are valid one by one; storage does not ask for more.

use bytes::Bytes;
use chrono::{TimeZone, Utc};
use futures::TryStreamExt;
use jetway_odf::codec::{EncodedBlock, ManifestVersion};
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::metadata::{
    AddData, DataSlice, DatasetKind, MetadataBlock, MetadataEvent, OffsetInterval, Seed, SetInfo,
};
use jetway_odf::storage::{CommitOutcome, DatasetStorage, Repository};

/// A dataset id that no other call returns.
pub(crate) fn new_id() -> DatasetId {
    DatasetId::generate().0
}

pub(crate) fn seed(id: &DatasetId) -> EncodedBlock {
    let event = Seed {
        dataset_id: *id,
        dataset_kind: DatasetKind::Root,
    };
    encode(None, MetadataEvent::Seed(event))
}

/// A block that follows `prev`, and differs from others with another `text`.
pub(crate) fn info(prev: &EncodedBlock, text: &str) -> EncodedBlock {
    let event = SetInfo {
        description: Some(text.to_owned()),
        keywords: None,
    };
    encode(Some(prev), MetadataEvent::SetInfo(event))
}

/// A block that follows `prev` and names `data` as a slice.
pub(crate) fn add_data(prev: &EncodedBlock, data: &[u8]) -> EncodedBlock {
    let slice = DataSlice {
        logical_hash: Multihash::arrow0_sha3_256([1; 32]),
        physical_hash: Multihash::sha3_256(data),
        offset_interval: OffsetInterval { start: 0, end: 9 },
        size: data.len() as u64,
    };
    encode(
        Some(prev),
        MetadataEvent::AddData(AddData {
            new_data: Some(slice),
            ..AddData::default()
        }),
    )
}

pub(crate) fn encode(prev: Option<&EncodedBlock>, event: MetadataEvent) -> EncodedBlock {
    let block = MetadataBlock {
        system_time: Utc.with_ymd_and_hms(2024, 2, 29, 12, 0, 0).unwrap(),
        prev_block_hash: prev.map(|prev| prev.hash),
        sequence_number: prev.map_or(0, |prev| prev.block.sequence_number + 1),
        event,
    };
    EncodedBlock::encode(block, ManifestVersion::V3).unwrap()
}

/// A new dataset with a Seed.
pub(crate) async fn create(repository: &Repository) -> (DatasetStorage, EncodedBlock) {
    let id = new_id();
    let seed = seed(&id);
    let dataset = repository.create(id, None, std::slice::from_ref(&seed)).await.unwrap();
    (dataset, seed)
}

/// Commits one block without objects.
pub(crate) async fn commit(dataset: &DatasetStorage, prev: &EncodedBlock, block: &EncodedBlock) -> CommitOutcome {
    dataset
        .commit(Some(prev.hash), std::slice::from_ref(block), Vec::new())
        .await
        .unwrap()
}

/// The chain as it is stored, newest block first. Each block is checked against its hash.
pub(crate) async fn chain(dataset: &DatasetStorage) -> Vec<EncodedBlock> {
    let mut blocks = Vec::new();
    let mut next = dataset.head().await.unwrap();
    while let Some(hash) = next {
        let block = EncodedBlock::from_bytes_with_hash(dataset.block(&hash).await.unwrap(), &hash).unwrap();
        next = block.block.prev_block_hash;
        blocks.push(block);
    }
    blocks
}

pub(crate) async fn list(repository: &Repository) -> Vec<DatasetId> {
    let mut ids: Vec<_> = repository.list().try_collect().await.unwrap();
    ids.sort_unstable();
    ids
}

/// Bytes that do not repeat.
pub(crate) fn random_bytes(size: usize) -> Bytes {
    let mut bytes = vec![0; size];
    rand::fill(&mut bytes[..]);
    bytes.into()
}
