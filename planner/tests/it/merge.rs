//! Pushes to datasets with a primary key: what is committed, with which offsets and times, by one process or several.

use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use chrono::{DateTime, Utc};
use futures::stream;
use jetway_odf::chain::ChainState;
use jetway_odf::codec::ManifestVersion;
use jetway_odf::identity::DatasetId;
use jetway_odf::metadata::{AddPushSource, DatasetKind, MergeStrategy, MetadataEvent, ReadStep, Seed};
use jetway_planner::{
    BatchStream, Clock, DatasetCatalog, IngestOutcome, IngestRequest, Planner, PlannerOptions, TableName,
};
use serde_json::Value;

use crate::catalog::Fixture;

/// A dataset `t` with one push source.
pub(crate) async fn create(fixture: &Fixture, merge: MergeStrategy) {
    let seed = Seed {
        dataset_id: DatasetId::seeded(b"merged"),
        dataset_kind: DatasetKind::Root,
    };
    let read = ReadStep::NdJson {
        ddl_schema: None,
        date_format: None,
        encoding: None,
        timestamp_format: None,
        schema: None,
    };
    let source = MetadataEvent::AddPushSource(AddPushSource {
        source_name: "cities".to_owned(),
        read,
        preprocess: None,
        merge,
    });
    let first = DateTime::from_timestamp_millis(0).unwrap();
    let (blocks, _) = ChainState::create(seed, vec![source], first, ManifestVersion::default()).unwrap();
    let alias = "alice/t".parse().unwrap();
    fixture
        .catalog
        .create(&fixture.alice, &alias, blocks, Vec::new())
        .await
        .unwrap();
}

async fn push(
    planner: &Planner,
    fixture: &Fixture,
    rows: &[(&str, i64)],
    event_time: Option<DateTime<Utc>>,
) -> jetway_planner::Result<IngestOutcome> {
    let cities: StringArray = rows.iter().map(|(city, _)| Some(*city)).collect();
    let populations: Int64Array = rows.iter().map(|(_, population)| Some(*population)).collect();
    let columns = [
        ("city", Arc::new(cities) as ArrayRef),
        ("population", Arc::new(populations) as ArrayRef),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let request = IngestRequest {
        event_time,
        ..IngestRequest::append(TableName::parse(None, None, "t").unwrap())
    };
    let rows = BatchStream::new(batch.schema(), stream::iter([Ok(batch)]));
    planner.ingest(&fixture.alice, request, rows).await
}

fn time(text: &Value) -> DateTime<Utc> {
    text.as_str().unwrap().parse().unwrap()
}

/// The reference's test of its whole writer.
#[tokio::test]
async fn snapshots_are_written_in_the_order_of_keys_and_operations() {
    let vectors: Value = serde_json::from_str(include_str!("../data/merge-strategy-vectors.json")).unwrap();
    let now = Arc::new(Mutex::new(DateTime::<Utc>::UNIX_EPOCH));
    let clock = Arc::clone(&now);
    let fixture = Fixture::new().await.restarted(PlannerOptions {
        clock: Clock::from_fn(move || *clock.lock().unwrap()),
        ..PlannerOptions::default()
    });
    let strategy = MergeStrategy::Snapshot {
        primary_key: vec!["city".to_owned()],
        compare_columns: None,
    };
    create(&fixture, strategy).await;
    let mut expected = Vec::new();
    for round in vectors["writerEndToEnd"][0]["rounds"].as_array().unwrap() {
        *now.lock().unwrap() = time(&round["systemTime"]);
        let rows = round["input"].as_array().unwrap().iter();
        let rows: Vec<(&str, i64)> = rows
            .map(|row| (row[0].as_str().unwrap(), row[1].as_i64().unwrap()))
            .collect();
        let event_time = Some(time(&round["sourceEventTime"]));
        let outcome = push(&fixture.planner, &fixture, &rows, event_time).await.unwrap();
        let output = round["output"].as_array().unwrap();
        assert_eq!(outcome.events, output.len() as u64);
        expected.extend(output.iter().map(|row| {
            let cells = row.as_array().unwrap().iter();
            let cells = cells.map(|cell| cell.as_str().map_or_else(|| cell.to_string(), ToOwned::to_owned));
            cells.collect::<Vec<_>>().join(" ")
        }));
        let found = fixture.rows("SELECT * FROM t ORDER BY \"offset\"").await;
        assert_eq!(found, expected);
        // The same state again is no change.
        let outcome = push(&fixture.planner, &fixture, &rows, None).await.unwrap();
        assert!(!outcome.changed);
        assert_eq!(outcome.events, 0);
    }
}

/// Two processes that write to the same keys at the same time: each event follows from the one before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn upserts_of_several_processes_are_one_history() {
    let fixture = Fixture::new().await;
    let strategy = MergeStrategy::UpsertStream {
        primary_key: vec!["city".to_owned()],
    };
    create(&fixture, strategy).await;
    let cities = ["bergen", "hamar", "oslo", "troms\u{f8}", "vads\u{f8}"];
    let processes = [
        fixture.another_planner(),
        fixture.another_planner(),
        fixture.another_planner(),
    ];
    let pushes = processes.iter().enumerate().flat_map(|(process, planner)| {
        let fixture = &fixture;
        (0..10).map(move |number| async move {
            let rows = cities.map(|city| (city, (process * 10 + number) as i64));
            push(planner, fixture, &rows, None).await.unwrap().events
        })
    });
    let events: Vec<u64> = futures::future::join_all(pushes).await;
    // The first of 30 pushes appends, all others correct.
    assert_eq!(events.iter().sum::<u64>(), 5 + 29 * 10);
    let broken = "SELECT count(*) FROM (
        SELECT op, population, lag(population) OVER (PARTITION BY city ORDER BY \"offset\") AS before, lag(op) OVER (PARTITION BY city ORDER BY \"offset\") AS op_before FROM t
    ) WHERE (op = 2 AND population IS DISTINCT FROM before) OR (op = 3 AND op_before IS DISTINCT FROM 2)";
    assert_eq!(fixture.rows(broken).await, ["0"]);
    assert_eq!(
        fixture.rows("SELECT op, count(*) FROM t GROUP BY op ORDER BY op").await,
        ["0 5", "2 145", "3 145"]
    );
}
