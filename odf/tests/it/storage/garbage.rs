//! Garbage collection, on every kind of store.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use jetway_odf::ErrorKind;
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::Multihash;
use jetway_odf::metadata::{
    AddData, Checkpoint, DataSchema, DataSlice, ExtraAttributes, MetadataEvent, OffsetInterval, SetDataSchema,
};
use jetway_odf::storage::{
    CommitOutcome, DatasetStorage, GarbageOptions, GarbageReport, ObjectKind, PendingObject, Repository,
};
use object_store::{ObjectStoreExt, path::Path};
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::blocks;

/// Everything that is there now was put there days ago.
fn days_later(dry_run: bool) -> GarbageOptions {
    GarbageOptions {
        now: Utc::now() + TimeDelta::days(3),
        grace: TimeDelta::days(1),
        dry_run,
    }
}

fn paths(report: &GarbageReport) -> Vec<&str> {
    report.garbage.iter().map(|object| object.path.as_str()).collect()
}

fn given(kind: ObjectKind, bytes: &Bytes) -> PendingObject {
    PendingObject {
        kind,
        hash: Multihash::sha3_256(bytes),
        source: bytes.clone().into(),
    }
}

async fn commit(dataset: &DatasetStorage, prev: &EncodedBlock, block: &EncodedBlock, objects: Vec<PendingObject>) {
    let outcome = dataset
        .commit(Some(prev.hash), std::slice::from_ref(block), objects)
        .await;
    assert_eq!(outcome.unwrap(), CommitOutcome::Committed { head: block.hash });
}

async fn put(dataset: &DatasetStorage, kind: ObjectKind, bytes: &Bytes) -> Multihash {
    let hash = Multihash::sha3_256(bytes);
    dataset.put_object(kind, hash, bytes.clone().into()).await.unwrap();
    hash
}

async fn put_raw(dataset: &DatasetStorage, path: &str) {
    let path = Path::from(format!("{}/{path}", dataset.id().to_multibase()));
    dataset.store().put(&path, "what is this?".into()).await.unwrap();
}

pub(crate) async fn what_no_block_names_is_garbage(repository: Repository) {
    let (dataset, seed) = blocks::create(&repository).await;
    let (slice, state) = (blocks::random_bytes(100), blocks::random_bytes(50));
    let first = blocks::add_data(&seed, &slice);
    let second = blocks::encode(
        Some(&first),
        MetadataEvent::AddData(AddData {
            new_checkpoint: Some(Checkpoint {
                physical_hash: Multihash::sha3_256(&state),
                size: 50,
            }),
            ..AddData::default()
        }),
    );
    commit(&dataset, &seed, &first, vec![given(ObjectKind::Data, &slice)]).await;
    commit(&dataset, &first, &second, vec![given(ObjectKind::Checkpoint, &state)]).await;
    assert_eq!(
        paths(&dataset.collect_garbage(&days_later(false)).await.unwrap()),
        [""; 0]
    );

    // What commits leave that failed.
    let data = put(&dataset, ObjectKind::Data, &blocks::random_bytes(1000)).await;
    let checkpoint = put(&dataset, ObjectKind::Checkpoint, &blocks::random_bytes(10)).await;
    let lost = blocks::info(&first, "lost the race");
    dataset.put_block(lost.hash, lost.bytes.clone()).await.unwrap();
    // And what is not ours.
    put_raw(&dataset, "data/notes.txt").await;
    put_raw(&dataset, "elsewhere/file").await;
    put_raw(&dataset, "cache/slices/index.json").await;
    let expected = [
        format!("blocks/{}", lost.hash),
        format!("checkpoints/{checkpoint}"),
        format!("data/{data}"),
    ];

    let now = GarbageOptions {
        now: Utc::now(),
        ..days_later(false)
    };
    let report = dataset.collect_garbage(&now).await.unwrap();
    assert_eq!(
        (paths(&report).len(), report.too_young),
        (0, 3),
        "all of it is too young"
    );

    for dry_run in [true, false] {
        let report = dataset.collect_garbage(&days_later(dry_run)).await.unwrap();
        assert_eq!(paths(&report), expected);
        assert_eq!(report.bytes(), 1010 + lost.bytes.len() as u64);
        let mut left: Vec<&str> = report.left_alone.iter().map(|left| left.path.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["data/notes.txt", "elsewhere/file"]);
    }
    assert!(
        dataset
            .collect_garbage(&days_later(false))
            .await
            .unwrap()
            .garbage
            .is_empty()
    );
    assert!(!dataset.object_exists(ObjectKind::Data, &data).await.unwrap());
    assert_eq!(blocks::chain(&dataset).await.len(), 3);
    for (kind, bytes) in [(ObjectKind::Data, &slice), (ObjectKind::Checkpoint, &state)] {
        assert!(dataset.object_exists(kind, &Multihash::sha3_256(bytes)).await.unwrap());
    }
}

pub(crate) async fn a_short_grace_period_is_refused(repository: Repository) {
    let (dataset, _) = blocks::create(&repository).await;
    let options = GarbageOptions {
        grace: TimeDelta::minutes(59),
        ..days_later(true)
    };
    let error = dataset.collect_garbage(&options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

pub(crate) async fn a_chain_with_a_hole_has_no_garbage(repository: Repository) {
    let (dataset, seed) = blocks::create(&repository).await;
    let (first, second) = (blocks::info(&seed, "first"), blocks::random_bytes(10));
    commit(&dataset, &seed, &first, vec![]).await;
    let orphan = put(&dataset, ObjectKind::Data, &second).await;
    let block = Path::from(format!("{}/blocks/{}", dataset.id().to_multibase(), seed.hash));
    dataset.store().delete(&block).await.unwrap();
    let error = dataset.collect_garbage(&days_later(false)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(dataset.object_exists(ObjectKind::Data, &orphan).await.unwrap());
}

/// A dataset with a column of links, and one slice that links to `linked`.
async fn with_links(repository: &Repository, links: &[&str]) -> (DatasetStorage, Multihash) {
    let (dataset, seed) = blocks::create(repository).await;
    let batch = RecordBatch::try_from_iter([
        (
            "offset",
            Arc::new(Int64Array::from_iter_values(0..links.len() as i64)) as ArrayRef,
        ),
        ("content", Arc::new(StringArray::from_iter_values(links))),
    ])
    .unwrap();
    let mut schema = DataSchema::from_arrow(&batch.schema()).unwrap().strip_encoding();
    let kind = json!({"opendatafabric.org/type": {"kind": "ObjectLink", "linkType": {"kind": "Multihash"}}});
    schema.fields[1].extra = Some(ExtraAttributes(kind.as_object().unwrap().clone()));
    let schema = SetDataSchema {
        raw_arrow_schema: None,
        schema: Some(schema),
    };
    let schema = blocks::encode(Some(&seed), MetadataEvent::SetDataSchema(schema));
    commit(&dataset, &seed, &schema, vec![]).await;

    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let file = Bytes::from(file);
    let slice = DataSlice {
        logical_hash: Multihash::arrow0_sha3_256([1; 32]),
        physical_hash: Multihash::sha3_256(&file),
        offset_interval: OffsetInterval {
            start: 0,
            end: links.len() as u64 - 1,
        },
        size: file.len() as u64,
    };
    let hash = slice.physical_hash;
    let rows = MetadataEvent::AddData(AddData {
        new_data: Some(slice),
        ..AddData::default()
    });
    let rows = blocks::encode(Some(&schema), rows);
    commit(&dataset, &schema, &rows, vec![given(ObjectKind::Data, &file)]).await;
    (dataset, hash)
}

pub(crate) async fn what_rows_link_to_is_no_garbage(repository: Repository) {
    let (linked, other) = (blocks::random_bytes(300), blocks::random_bytes(200));
    let link = Multihash::sha3_256(&linked).to_string();
    let (dataset, _) = with_links(&repository, &[&link]).await;
    put(&dataset, ObjectKind::Data, &linked).await;
    let orphan = put(&dataset, ObjectKind::Data, &other).await;
    let report = dataset.collect_garbage(&days_later(false)).await.unwrap();
    assert_eq!(paths(&report), [format!("data/{orphan}")]);
    assert!(
        dataset
            .object_exists(ObjectKind::Data, &Multihash::sha3_256(&linked))
            .await
            .unwrap()
    );
}

pub(crate) async fn links_that_cannot_be_read_keep_everything(repository: Repository) {
    let (dataset, _) = with_links(&repository, &["not a hash"]).await;
    let orphan = put(&dataset, ObjectKind::Data, &blocks::random_bytes(10)).await;
    let report = dataset.collect_garbage(&days_later(false)).await.unwrap();
    assert_eq!((paths(&report).len(), report.left_alone.len()), (0, 1));
    assert!(dataset.object_exists(ObjectKind::Data, &orphan).await.unwrap());

    let link = Multihash::sha3_256(b"linked").to_string();
    let (dataset, slice) = with_links(&repository, &[&link]).await;
    let orphan = put(&dataset, ObjectKind::Data, &blocks::random_bytes(10)).await;
    dataset
        .store()
        .delete(&dataset.object_path(ObjectKind::Data, &slice))
        .await
        .unwrap();
    let report = dataset.collect_garbage(&days_later(false)).await.unwrap();
    assert_eq!((paths(&report).len(), report.left_alone.len()), (0, 1));
    assert!(dataset.object_exists(ObjectKind::Data, &orphan).await.unwrap());
}
