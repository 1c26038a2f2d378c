//! Hard compaction: the same rows and the same metadata in fewer slices, under new hashes.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use chrono::{TimeDelta, Utc};
use futures::TryStreamExt;
use jetway_odf::chain;
use jetway_odf::identity::DatasetId;
use jetway_odf::metadata::{DatasetKind, MetadataEvent, Seed, SetInfo};
use jetway_odf::storage::{GarbageOptions, ObjectKind};
use jetway_odf::verify::{VerifyOptions, verify};
use jetway_planner::{ErrorKind, Result, Rewrite, RewriteOutcome, TableName};
use object_store::ObjectStoreExt;

use crate::catalog::Fixture;

const QUERIES: [&str; 4] = [
    "SELECT * FROM d ORDER BY \"offset\"",
    "SELECT * FROM to_table('d') ORDER BY \"offset\"",
    "SELECT count(*), sum(v) FROM d",
    "SELECT v FROM d WHERE \"offset\" > 17 ORDER BY v",
];

const ALL: Rewrite = Rewrite::Slices {
    max_bytes: 300_000_000,
    max_rows: 1_000_000,
};

fn rows(values: impl IntoIterator<Item = i64>) -> RecordBatch {
    let values = Arc::new(Int64Array::from_iter_values(values)) as ArrayRef;
    RecordBatch::try_from_iter([("v", values)]).unwrap()
}

async fn answers(fixture: &Fixture) -> Vec<Vec<String>> {
    let mut answers = Vec::new();
    for query in QUERIES {
        answers.push(fixture.rows(query).await);
    }
    answers
}

async fn rewrite(fixture: &Fixture, rewrite: Rewrite) -> Result<RewriteOutcome> {
    let name = TableName::parse(None, None, "d").unwrap();
    fixture.planner.rewrite(&fixture.alice, &name, rewrite).await
}

async fn is_valid(fixture: &Fixture) {
    let dataset = fixture.dataset("d").await;
    let report = verify(&dataset.storage, VerifyOptions::default(), |_| {})
        .await
        .unwrap();
    assert!(report.is_valid() && report.findings.is_empty(), "{report:?}");
}

/// The events of the chain, oldest first, as their kinds.
async fn events(fixture: &Fixture) -> Vec<MetadataEvent> {
    let dataset = fixture.dataset("d").await;
    let mut events = Vec::new();
    let visit = |block: &jetway_odf::codec::EncodedBlock| events.push(block.block.event.clone());
    let _ = chain::load(&dataset.storage, dataset.head, visit).await.unwrap();
    events
}

/// Appends an event that has nothing to do with rows.
async fn describe(fixture: &Fixture, text: &str) {
    let dataset = fixture.dataset("d").await;
    let state = chain::load(&dataset.storage, dataset.head, |_| ()).await.unwrap();
    let event = MetadataEvent::SetInfo(SetInfo {
        description: Some(text.to_owned()),
        keywords: None,
    });
    let time = state.next_system_time(Utc::now());
    let (blocks, _) = state.append(vec![event], time, Default::default()).unwrap();
    let outcome = dataset.storage.commit(Some(dataset.head), &blocks, vec![]).await;
    let _ = outcome.unwrap();
}

#[tokio::test]
async fn rows_and_metadata_stay_and_slices_become_few() {
    let fixture = Fixture::new().await;
    for value in 0..30 {
        fixture.push("d", vec![rows([value, value + 100])]).await.unwrap();
        if value == 9 {
            describe(&fixture, "numbers").await;
        }
    }
    let (before, events_before) = (answers(&fixture).await, events(&fixture).await);
    let old = fixture.dataset("d").await;

    let outcome = rewrite(&fixture, ALL).await.unwrap();
    let new = fixture.dataset("d").await;
    assert_eq!((outcome.previous_head, outcome.head), (old.head, new.head));
    assert_eq!((outcome.slices, outcome.blocks), ((30, 2), (34, 6)));
    assert_eq!(answers(&fixture).await, before);
    is_valid(&fixture).await;
    let is_metadata = |event: &&MetadataEvent| !matches!(event, MetadataEvent::AddData(_));
    let events_now = events(&fixture).await;
    assert_eq!(
        events_now.iter().filter(is_metadata).collect::<Vec<_>>(),
        events_before.iter().filter(is_metadata).collect::<Vec<_>>()
    );
    let (Some(MetadataEvent::AddData(last)), Some(MetadataEvent::AddData(last_before))) =
        (events_now.last(), events_before.last())
    else {
        panic!("the last event adds rows")
    };
    assert_eq!(last.new_watermark, last_before.new_watermark);

    // Once is enough, and writers go on from there.
    assert_eq!(rewrite(&fixture, ALL).await.unwrap().head, new.head);
    fixture.push("d", vec![rows([7])]).await.unwrap();
    assert_eq!(fixture.rows("SELECT count(*) FROM d").await, ["61"]);
    is_valid(&fixture).await;
}

#[tokio::test]
async fn a_slice_has_no_more_rows_and_bytes_than_asked_for() {
    let fixture = Fixture::new().await;
    for value in 0..10 {
        fixture.push("d", vec![rows(value * 3..value * 3 + 3)]).await.unwrap();
    }
    let before = answers(&fixture).await;
    let by_rows = Rewrite::Slices {
        max_bytes: u64::MAX,
        max_rows: 10,
    };
    assert_eq!(rewrite(&fixture, by_rows).await.unwrap().slices, (10, 4));
    let too_small = Rewrite::Slices {
        max_bytes: 100,
        max_rows: u64::MAX,
    };
    let outcome = rewrite(&fixture, too_small).await.unwrap();
    assert_eq!(outcome.head, outcome.previous_head);
    assert_eq!(answers(&fixture).await, before);
    is_valid(&fixture).await;
}

#[tokio::test]
async fn filters_on_system_time_find_rows_that_are_older_than_their_block() {
    let fixture = Fixture::new().await;
    for value in 0..20 {
        fixture.push("d", vec![rows([value])]).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let sql = "SELECT count(*) FROM d WHERE system_time <= (SELECT system_time FROM d WHERE \"offset\" = 4)";
    assert_eq!(fixture.rows(sql).await, ["5"]);
    rewrite(&fixture, ALL).await.unwrap();
    assert_eq!(fixture.rows(sql).await, ["5"]);
    let [time] = fixture
        .rows("SELECT system_time FROM d WHERE \"offset\" = 4")
        .await
        .try_into()
        .unwrap();
    let sql = format!("SELECT max(v) FROM at('d', '{time}')");
    assert_eq!(fixture.rows(&sql).await, ["4"]);
    let sql = format!("SELECT max(v) FROM d WHERE system_time <= TIMESTAMP '{time}'");
    assert_eq!(fixture.rows(&sql).await, ["4"]);
}

#[tokio::test]
async fn without_its_rows_a_dataset_keeps_its_metadata() {
    let fixture = Fixture::new().await;
    fixture.push("d", vec![rows([1, 2])]).await.unwrap();
    describe(&fixture, "numbers").await;
    let outcome = rewrite(&fixture, Rewrite::MetadataOnly).await.unwrap();
    assert_eq!((outcome.slices, outcome.bytes.1), ((1, 0), 0));
    assert_eq!(fixture.rows("SELECT count(*) FROM d").await, ["0"]);
    assert_eq!(events(&fixture).await.len(), 4);
    is_valid(&fixture).await;
    fixture.push("d", vec![rows([3])]).await.unwrap();
    assert_eq!(fixture.rows("SELECT \"offset\", v FROM d").await, ["0 3"]);
}

#[tokio::test]
async fn a_damaged_slice_is_not_given_a_new_hash() {
    let fixture = Fixture::new().await;
    for value in 0..5 {
        fixture.push("d", vec![rows([value])]).await.unwrap();
    }
    let dataset = fixture.dataset("d").await;
    let mut slices = events(&fixture).await.into_iter().filter_map(|event| match event {
        MetadataEvent::AddData(event) => event.new_data,
        _ => None,
    });
    let slice = slices.next_back().unwrap().physical_hash;
    let path = dataset.storage.object_path(ObjectKind::Data, &slice);
    let bytes = dataset.storage.store().get(&path).await.unwrap().bytes().await.unwrap();
    let mut damaged = bytes.to_vec();
    damaged[bytes.len() / 2] ^= 1;
    dataset.storage.store().put(&path, damaged.into()).await.unwrap();
    let error = rewrite(&fixture, ALL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains(&slice.to_string()), "{error}");
    assert_eq!(fixture.dataset("d").await.head, dataset.head);
}

#[tokio::test]
async fn what_the_history_was_before_is_garbage() {
    let fixture = Fixture::new().await;
    for value in 0..10 {
        fixture.push("d", vec![rows([value])]).await.unwrap();
    }
    let before = answers(&fixture).await;
    rewrite(&fixture, ALL).await.unwrap();
    let storage = fixture.dataset("d").await.storage;
    let options = GarbageOptions {
        now: Utc::now() + TimeDelta::days(2),
        grace: TimeDelta::days(1),
        dry_run: false,
    };
    let report = storage.collect_garbage(&options).await.unwrap();
    assert_eq!(report.garbage.len(), 20, "ten slices and their blocks: {report:?}");
    is_valid(&fixture).await;
    assert_eq!(answers(&fixture).await, before);
    let objects: Vec<_> = storage.store().list(None).try_collect().await.unwrap();
    // Four blocks, a slice, the head.
    assert_eq!(objects.len(), 6, "{objects:?}");
}

#[tokio::test]
async fn slices_of_a_computed_dataset_stay() {
    let fixture = Fixture::new().await;
    let id = DatasetId::generate().0;
    let seed = Seed {
        dataset_id: id,
        dataset_kind: DatasetKind::Derivative,
    };
    let (blocks, _) = chain::ChainState::create(seed, vec![], Utc::now(), Default::default()).unwrap();
    let alias = "alice/d".parse().unwrap();
    use jetway_planner::DatasetCatalog;
    fixture
        .catalog
        .create(&fixture.alice, &alias, blocks, vec![])
        .await
        .unwrap();
    let error = rewrite(&fixture, ALL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    rewrite(&fixture, Rewrite::MetadataOnly).await.unwrap();
}

#[tokio::test]
async fn a_history_that_lost_a_slice_meanwhile_is_not_published() {
    let fixture = Fixture::new().await;
    fixture.push("d", vec![rows(0..10)]).await.unwrap();
    let large = fixture.dataset("d").await;
    for value in 10..14 {
        fixture.push("d", vec![rows([value])]).await.unwrap();
    }
    let lost = events(&fixture)
        .await
        .into_iter()
        .find_map(|event| event.new_data().cloned());
    let lost = large
        .storage
        .object_path(ObjectKind::Data, &lost.unwrap().physical_hash);
    large.storage.store().delete(&lost).await.unwrap();

    let before = fixture.dataset("d").await.head;
    let small = Rewrite::Slices {
        max_bytes: 300_000_000,
        max_rows: 10,
    };
    let error = rewrite(&fixture, small).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("--grace"), "{error}");
    assert_eq!(fixture.dataset("d").await.head, before);
}
