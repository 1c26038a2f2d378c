//! The cases that the reference tests its strategies with. Their columns are operation, year (the event time), city and
//! population.

use jetway_odf::metadata::MergeStrategy;
use serde_json::Value;

use crate::merge::tests::dataset::{Dataset, Pushed, Row, changelog, ledger, snapshot, upsert};

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
    let key = case.get("primaryKey").unwrap_or(&group["primaryKey"]);
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
