//! The cases that the reference tests its strategies with. Their columns are operation, year (the event time), city and
//! population.

use jetway_odf::metadata::MergeStrategy;
use serde_json::Value;

use crate::merge::tests::dataset::{Dataset, Pushed, Row, changelog, ledger, row, snapshot, upsert};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../tests/data/merge-strategy-vectors.json")).unwrap()
}

/// Rows with their operation, as history and results have them, or without it.
fn rows(rows: &Value) -> Vec<Row> {
    let rows = rows.as_array().unwrap().iter().map(|row| {
        let cells = row.as_array().unwrap();
        let (op, cells) = cells.split_at(cells.len() - 3);
        Row {
            op: op.first().and_then(Value::as_i64).unwrap_or(0) as i32,
            time: cells[0].as_i64(),
            city: cells[1].as_str().unwrap().to_owned(),
            number: 0,
            population: cells[2].as_i64(),
        }
    });
    rows.collect()
}

async fn check(strategy: &MergeStrategy, case: &Value, pushed: Pushed) {
    let mut dataset = Dataset::new().await;
    // One slice for each row: strategies must not care.
    for row in rows(&case["prev"]) {
        dataset.commit(&[row]).await;
    }
    let merged = dataset.merge(strategy, &rows(&case["input"]), pushed).await.unwrap();
    assert_eq!(merged, rows(&case["output"]), "{strategy:?} {case}");
}

fn key(group: &Value, case: &Value) -> Vec<String> {
    let key = case.get("primaryKey").unwrap_or_else(|| &group["primaryKey"]);
    serde_json::from_value(key.clone()).unwrap()
}

async fn check_group(name: &str, pushed: Pushed, strategy: impl Fn(&[&str]) -> MergeStrategy) {
    let vectors = vectors();
    let group = &vectors[name];
    let cases = group["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let key = key(group, case);
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        check(&strategy(&key), case, pushed).await;
    }
}

#[tokio::test]
async fn append() {
    for case in vectors()["append"].as_array().unwrap() {
        check(&MergeStrategy::Append {}, case, Pushed::TIME).await;
    }
}

#[tokio::test]
async fn ledger_keeps_new_keys() {
    check_group("ledger", Pushed::TIME, ledger).await;
}

#[tokio::test]
async fn snapshots_become_differences() {
    check_group("snapshot", Pushed::TIME, snapshot).await;
}

#[tokio::test]
async fn changelogs_pass() {
    check_group("changelogStream", Pushed::ALL, changelog).await;
}

#[tokio::test]
async fn upserts_become_events() {
    check_group("upsertStream", Pushed::ALL, upsert).await;
}

/// A snapshot without rows retracts the state, whatever it is.
#[tokio::test]
async fn the_state_is_the_newest_row_of_each_key() {
    let vectors = vectors();
    for case in vectors["snapshotProject"]["cases"].as_array().unwrap() {
        let mut dataset = Dataset::new().await;
        dataset.commit(&rows(&case["ledger"])).await;
        let retracted = dataset.merge(&snapshot(&["city"]), &[], Pushed::DATA).await.unwrap();
        let mut state = rows(&case["state"]);
        state.sort_by(|left, right| left.city.cmp(&right.city));
        for row in &mut state {
            row.op = 1;
        }
        assert_eq!(retracted, state, "{case}");
    }
}

/// The case for the reference's whole writer, as far as merging goes: which rows get which offsets, and which of them get
/// the event time of the source.
#[tokio::test]
async fn snapshots_are_ordered_by_key_and_operation() {
    let vectors = vectors();
    let case = &vectors["writerEndToEnd"][0];
    assert_eq!(case["strategy"], "Snapshot pk=[city]");
    let seconds = |text: &Value| {
        let time = text.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        time.timestamp()
    };
    let mut dataset = Dataset::new().await;
    for round in case["rounds"].as_array().unwrap() {
        let input = round["input"].as_array().unwrap().iter();
        let input: Vec<Row> = input
            .map(|row_of| row(0, None, row_of[0].as_str().unwrap(), 0, row_of[1].as_i64()))
            .collect();
        let mut merged = dataset.merge(&snapshot(&["city"]), &input, Pushed::DATA).await.unwrap();
        for row in &mut merged {
            row.time.get_or_insert_with(|| seconds(&round["sourceEventTime"]));
        }
        let output = round["output"].as_array().unwrap();
        let expected = output.iter().map(|row_of| {
            let city = row_of[4].as_str().unwrap();
            row(
                row_of[1].as_i64().unwrap() as i32,
                seconds(&row_of[3]),
                city,
                0,
                row_of[5].as_i64(),
            )
        });
        assert_eq!(merged, expected.collect::<Vec<_>>());
        assert_eq!(Some(dataset.state.next_offset()), output[0][0].as_u64());
        dataset.commit(&merged).await;
    }
}
