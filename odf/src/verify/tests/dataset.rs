//! Datasets with whatever is wrong with them, made without any check.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::codec::{EncodedBlock, ManifestVersion};
use crate::hash::LogicalHasher;
use crate::identity::{DatasetId, Multihash};
use crate::metadata::{
    AddData, Checkpoint, DataSchema, DataSlice, DatasetKind, MetadataBlock, MetadataEvent, OffsetInterval, Seed,
    SetDataSchema,
};
use crate::storage::{DatasetStorage, Repository, RepositoryOptions};

/// One row, with everything that may be wrong with it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) offset: Option<i64>,
    pub(super) op: i32,
    pub(super) system_time: DateTime<Utc>,
    pub(super) event_time: DateTime<Utc>,
    pub(super) value: String,
}

/// The moment of everything.
pub(super) fn now() -> DateTime<Utc> {
    "2024-05-06T07:08:09.123456789Z".parse().unwrap()
}

/// Rows with nothing wrong.
pub(super) fn rows(start: i64, count: i64) -> Vec<Row> {
    let row = |offset| Row {
        offset: Some(offset),
        op: 0,
        system_time: now(),
        event_time: now() - TimeDelta::minutes(offset % 60),
        value: format!("value {offset}"),
    };
    (start..start + count).map(row).collect()
}

pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let times = |time: fn(&Row) -> DateTime<Utc>| -> ArrayRef {
        let times = rows.iter().map(|row| time(row).timestamp_millis());
        Arc::new(TimestampMillisecondArray::from_iter_values(times).with_timezone("UTC"))
    };
    RecordBatch::try_from_iter([
        (
            "offset",
            Arc::new(rows.iter().map(|row| row.offset).collect::<Int64Array>()) as ArrayRef,
        ),
        (
            "op",
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.op))),
        ),
        ("system_time", times(|row| row.system_time)),
        ("event_time", times(|row| row.event_time)),
        (
            "value",
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.value))),
        ),
    ])
    .unwrap()
}

/// The schema that [`batch`] has.
pub(super) fn schema() -> SetDataSchema {
    let schema = DataSchema::from_arrow(&batch(&rows(0, 1)).schema())
        .unwrap()
        .strip_encoding();
    SetDataSchema {
        raw_arrow_schema: None,
        schema: Some(schema),
    }
}

/// A slice as a file, with both hashes right.
pub(super) fn slice(start: u64, end: u64, batch: &RecordBatch) -> (DataSlice, Bytes) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(20_000))
        .build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    let mut logical = LogicalHasher::new(&batch.schema()).unwrap();
    logical.update(batch).unwrap();
    let slice = DataSlice {
        logical_hash: logical.finish().unwrap(),
        physical_hash: Multihash::sha3_256(&file),
        offset_interval: OffsetInterval { start, end },
        size: file.len() as u64,
    };
    (slice, file.into())
}

/// A chain and its files.
#[derive(Debug, Clone)]
pub(super) struct Dataset {
    pub(super) id: DatasetId,
    pub(super) blocks: Vec<EncodedBlock>,
    pub(super) files: Vec<(&'static str, Multihash, Bytes)>,
}

impl Dataset {
    /// A Seed and the schema of [`batch`].
    pub(super) fn new() -> Self {
        let id = DatasetId::seeded(b"verified");
        let mut dataset = Self {
            id,
            blocks: Vec::new(),
            files: Vec::new(),
        };
        dataset.push(MetadataEvent::Seed(Seed {
            dataset_id: id,
            dataset_kind: DatasetKind::Root,
        }));
        dataset.push(MetadataEvent::SetDataSchema(schema()));
        dataset
    }

    pub(super) fn push(&mut self, event: MetadataEvent) {
        let block = MetadataBlock {
            system_time: now(),
            prev_block_hash: self.blocks.last().map(|block| block.hash),
            sequence_number: self.blocks.len() as u64,
            event,
        };
        self.push_block(block);
    }

    /// Any block, linked or not.
    pub(super) fn push_block(&mut self, block: MetadataBlock) {
        let block = EncodedBlock::encode(block, ManifestVersion::V3).unwrap();
        self.files.push(("blocks", block.hash, block.bytes.clone()));
        self.blocks.push(block);
    }

    /// AddData with these rows at the given offsets, a watermark that is now, and whatever `change` makes of it.
    pub(super) fn add(&mut self, start: u64, end: u64, batch: &RecordBatch, change: impl FnOnce(&mut AddData)) {
        let (slice, file) = slice(start, end, batch);
        self.files.push(("data", slice.physical_hash, file));
        let mut event = AddData {
            prev_offset: start.checked_sub(1),
            new_data: Some(slice),
            new_watermark: Some(now()),
            ..AddData::default()
        };
        change(&mut event);
        self.push(MetadataEvent::AddData(event));
    }

    /// AddData with nothing wrong.
    pub(super) fn add_rows(&mut self, start: i64, count: i64) {
        let (first, last) = (start.unsigned_abs(), (start + count - 1).unsigned_abs());
        self.add(first, last, &batch(&rows(start, count)), |_| ());
    }

    /// A checkpoint of these bytes.
    pub(super) fn checkpoint(&mut self, bytes: &'static [u8]) -> Checkpoint {
        let physical_hash = Multihash::sha3_256(bytes);
        self.files
            .push(("checkpoints", physical_hash, Bytes::from_static(bytes)));
        Checkpoint {
            physical_hash,
            size: bytes.len() as u64,
        }
    }

    /// The position of the file in a folder.
    pub(super) fn file(&mut self, folder: &str, index: usize) -> &mut (&'static str, Multihash, Bytes) {
        self.files
            .iter_mut()
            .filter(|(name, ..)| *name == folder)
            .nth(index)
            .unwrap()
    }

    /// Puts everything into a repository that ends with the test.
    pub(super) async fn store(&self) -> DatasetStorage {
        self.store_with_head(&self.blocks.last().unwrap().hash.to_string())
            .await
    }

    pub(super) async fn store_with_head(&self, head: &str) -> DatasetStorage {
        let repository = Repository::open("memory:", &RepositoryOptions::default())
            .await
            .unwrap();
        let folder = self.id.to_multibase();
        for (name, hash, bytes) in &self.files {
            let path = Path::from(format!("{folder}/{name}/{hash}"));
            repository.store().put(&path, bytes.clone().into()).await.unwrap();
        }
        let path = Path::from(format!("{folder}/refs/head"));
        repository.store().put(&path, head.to_owned().into()).await.unwrap();
        repository.dataset(self.id)
    }
}

/// The bytes with one of them changed.
pub(super) fn flipped(bytes: &Bytes, position: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[position] ^= 0x40;
    bytes.into()
}
