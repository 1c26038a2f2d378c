//! UPDATE and DELETE: corrections and retractions in the history of a dataset with a primary key.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::future::join_all;
use jetway_planner::{ErrorKind, IdempotencyKey, PlanRequest, Planner, Result, SessionOptions, Subject, UpdateOutcome};

use crate::catalog::Fixture;

async fn run_with(planner: &Planner, subject: &Subject, sql: &str, key: Option<&str>) -> Result<UpdateOutcome> {
    let key = key.map(|key| key.parse::<IdempotencyKey>().unwrap());
    planner.update(PlanRequest::sql(subject, sql), key).await
}

async fn run(fixture: &Fixture, sql: &str) -> Result<u64> {
    let outcome = run_with(&fixture.planner, &fixture.alice, sql, None).await;
    outcome.map(|outcome| outcome.rows)
}

async fn with_table() -> Fixture {
    let fixture = Fixture::new().await;
    run(
        &fixture,
        "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, name VARCHAR, price DECIMAL(8, 2))",
    )
    .await
    .unwrap();
    run(
        &fixture,
        "INSERT INTO t VALUES (1, 'a', 1.5), (2, 'b', 2), (3, 'c', NULL)",
    )
    .await
    .unwrap();
    fixture
}

async fn state(fixture: &Fixture) -> Vec<String> {
    fixture
        .rows("SELECT id, name, price FROM to_table('t') ORDER BY id")
        .await
}

#[tokio::test]
async fn statements_change_the_state_and_say_how_many_rows_they_changed() {
    let before = ["1 a 1.50", "2 b 2.00", "3 c null"];
    for (sql, rows, after) in [
        (
            "UPDATE t SET price = price + 1 WHERE id <= 2",
            2,
            vec!["1 a 2.50", "2 b 3.00", "3 c null"],
        ),
        (
            "UPDATE alice.t AS x SET name = upper(x.name), price = 7 WHERE x.price IS NULL",
            1,
            vec!["1 a 1.50", "2 b 2.00", "3 C 7.00"],
        ),
        (
            "UPDATE \"alice/t\" SET name = 'z'",
            3,
            vec!["1 z 1.50", "2 z 2.00", "3 z null"],
        ),
        (
            "UPDATE t SET price = NULL WHERE t.id = 1",
            1,
            vec!["1 a null", "2 b 2.00", "3 c null"],
        ),
        (
            "UPDATE t SET price = (SELECT max(price) FROM to_table('t')) WHERE price IS NULL",
            1,
            vec!["1 a 1.50", "2 b 2.00", "3 c 2.00"],
        ),
        (
            "UPDATE t SET name = 'x' WHERE id IN (SELECT id + 1 FROM t)",
            2,
            vec!["1 a 1.50", "2 x 2.00", "3 x null"],
        ),
        ("UPDATE t SET name = 'x' WHERE id > 9", 0, before.to_vec()),
        // What is as it was is a row that was found, and no event.
        ("UPDATE t SET name = name WHERE id < 3", 2, before.to_vec()),
        ("DELETE FROM t WHERE id = 2", 1, vec!["1 a 1.50", "3 c null"]),
        (
            "DELETE FROM t AS x WHERE x.price IS NULL OR x.name = 'a'",
            2,
            vec!["2 b 2.00"],
        ),
        ("DELETE FROM t WHERE id > 9", 0, before.to_vec()),
        ("DELETE FROM t", 3, vec![]),
    ] {
        let fixture = with_table().await;
        assert_eq!(run(&fixture, sql).await.unwrap(), rows, "{sql}");
        assert_eq!(state(&fixture).await, after, "{sql}");
    }
}

#[tokio::test]
async fn history_keeps_what_was_corrected_and_taken_back() {
    let fixture = with_table().await;
    run(
        &fixture,
        "UPDATE t SET price = 9, event_time = TIMESTAMP '2024-02-03T00:00:00Z' WHERE id = 1",
    )
    .await
    .unwrap();
    run(&fixture, "UPDATE t SET name = 'b', price = 2 WHERE id = 2")
        .await
        .unwrap();
    run(&fixture, "DELETE FROM t WHERE id = 1").await.unwrap();
    let history = "SELECT op, id, price, event_time = TIMESTAMP '2024-02-03T00:00:00Z' FROM t ORDER BY \"offset\"";
    assert_eq!(
        fixture.rows(history).await,
        [
            "0 1 1.50 false",
            "0 2 2.00 false",
            "0 3 null false",
            "2 1 1.50 false",
            "3 1 9.00 true",
            "1 1 9.00 true"
        ]
    );
    let kept = "SELECT count(DISTINCT event_time) FROM t WHERE id = 2 OR op = 2";
    assert_eq!(fixture.rows(kept).await, ["1"]);
    // A key that was taken back is free again.
    assert_eq!(run(&fixture, "INSERT INTO t VALUES (1, 'again', 0)").await.unwrap(), 1);
    assert_eq!(state(&fixture).await, ["1 again 0.00", "2 b 2.00", "3 c null"]);
}

#[tokio::test]
async fn other_datasets_get_what_changes_read() {
    let fixture = with_table().await;
    for sql in [
        "UPDATE t SET name = 'd' WHERE id = 2",
        "DELETE FROM t WHERE id = 1",
        "CREATE TABLE copy AS SELECT id, name FROM to_table('t')",
        "INSERT INTO copy SELECT id + 10, name FROM changes('t', 2)",
        "INSERT INTO copy SELECT id + 20, name FROM t FOR VERSION AS OF 0",
    ] {
        run(&fixture, sql).await.unwrap();
    }
    assert_eq!(
        fixture.rows("SELECT id, name FROM copy ORDER BY id, name").await,
        ["2 d", "3 c", "11 a", "12 b", "12 d", "21 a"]
    );
}

#[tokio::test]
async fn sent_again_with_its_key_a_change_is_made_once() {
    let fixture = with_table().await;
    for _ in 0..2 {
        let outcome = run_with(
            &fixture.planner,
            &fixture.alice,
            "UPDATE t SET price = price + 1",
            Some("once"),
        )
        .await;
        assert_eq!(outcome.unwrap().rows, 3);
        assert_eq!(state(&fixture).await, ["1 a 2.50", "2 b 3.00", "3 c null"]);
    }
    let other = fixture.another_planner();
    let outcome = run_with(&other, &fixture.alice, "UPDATE t SET price = price + 1", Some("once")).await;
    assert_eq!(outcome.unwrap().rows, 3);
    for _ in 0..2 {
        let outcome = run_with(
            &fixture.planner,
            &fixture.alice,
            "DELETE FROM t WHERE id > 1",
            Some("gone"),
        )
        .await;
        assert_eq!(outcome.unwrap().rows, 2);
    }
    assert_eq!(state(&fixture).await, ["1 a 2.50"]);
}

#[tokio::test]
async fn no_change_is_lost_when_many_are_made_at_once() {
    let fixture = with_table().await;
    // Two processes over the same storage.
    let planners = [fixture.another_planner(), fixture.another_planner()];
    let counts = (0..12).map(|number| {
        let (planner, alice) = (planners[number % 2].clone(), fixture.alice.clone());
        async move {
            let counted = run_with(&planner, &alice, "UPDATE t SET price = price + 1 WHERE id = 1", None);
            let added = format!("INSERT INTO t VALUES ({}, 'n', 0)", 100 + number);
            let added = run_with(&planner, &alice, &added, None);
            let (counted, added) = futures::join!(counted, added);
            (counted.unwrap().rows, added.unwrap().rows)
        }
    });
    assert!(join_all(counts).await.into_iter().all(|rows| rows == (1, 1)));
    let state = "SELECT max(price), count(*) FROM to_table('t') WHERE id = 1 OR id >= 100";
    assert_eq!(fixture.rows(state).await, ["13.50 13"]);
}

fn values(ids: impl IntoIterator<Item = i64>, names: &[&str]) -> RecordBatch {
    let names = Arc::new(StringArray::from_iter_values(names)) as ArrayRef;
    let ids = Arc::new(Int64Array::from_iter_values(ids)) as ArrayRef;
    RecordBatch::try_from_iter([("1", names), ("2", ids)]).unwrap()
}

#[tokio::test]
async fn rows_of_parameters_are_one_commit() {
    let fixture = with_table().await;
    let sql = "UPDATE t SET name = ? WHERE id = ?";
    let request = |values| PlanRequest::sql(&fixture.alice, sql).with_parameters(Some(values));
    let prepared = fixture
        .planner
        .prepare(PlanRequest::sql(&fixture.alice, sql))
        .await
        .unwrap();
    let types: Vec<String> = prepared
        .parameters
        .fields()
        .iter()
        .map(|field| field.data_type().to_string())
        .collect();
    assert_eq!(types, ["Utf8", "Int32"]);
    assert!(prepared.schema.is_none());
    let outcome = fixture
        .planner
        .update(request(values([1, 3, 9], &["x", "y", "z"])), None)
        .await
        .unwrap();
    assert_eq!((outcome.rows, outcome.ingest.unwrap().events), (2, 4));
    assert_eq!(state(&fixture).await, ["1 x 1.50", "2 b 2.00", "3 y null"]);
    let error = fixture
        .planner
        .update(request(values([2, 2], &["p", "q"])), None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("same row"), "{error}");
    let ids = Arc::new(Int64Array::from(vec![1, 1, 2, 9])) as ArrayRef;
    let ids = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let delete = PlanRequest::sql(&fixture.alice, "DELETE FROM t WHERE id = $1").with_parameters(Some(ids));
    assert_eq!(fixture.planner.update(delete, None).await.unwrap().rows, 2);
    assert_eq!(state(&fixture).await, ["3 y null"]);
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused_and_stays() {
    let fixture = with_table().await;
    run(&fixture, "CREATE TABLE events AS SELECT 1 AS n").await.unwrap();
    for (sql, kind, words) in [
        ("UPDATE events SET n = 2", ErrorKind::Unsupported, "no primary key"),
        ("DELETE FROM events", ErrorKind::Unsupported, "CREATE TABLE"),
        (
            "UPDATE t SET id = 4 WHERE id = 1",
            ErrorKind::Unsupported,
            "primary key",
        ),
        ("UPDATE t SET \"offset\" = 4", ErrorKind::InvalidSql, "filled in"),
        ("UPDATE t SET op = 1", ErrorKind::InvalidSql, "filled in"),
        (
            "UPDATE t SET nmae = 'x'",
            ErrorKind::InvalidSql,
            "it has id, name, price",
        ),
        ("UPDATE t SET name = 'x', name = 'y'", ErrorKind::InvalidSql, "twice"),
        ("UPDATE t SET price = 'many'", ErrorKind::InvalidArgument, "many"),
        (
            "UPDATE t SET event_time = NULL, price = 1000000",
            ErrorKind::InvalidArgument,
            "1000000",
        ),
        ("UPDATE t SET name = missing", ErrorKind::InvalidSql, "missing"),
        (
            "UPDATE t SET name = 'x' WHERE id = ?",
            ErrorKind::InvalidArgument,
            "1 parameters",
        ),
        (
            "UPDATE t SET name = 'x' FROM events WHERE n = id",
            ErrorKind::Unsupported,
            "subquery",
        ),
        (
            "UPDATE t SET (name, price) = ('x', 1)",
            ErrorKind::Unsupported,
            "SET a = ",
        ),
        (
            "UPDATE t SET name = 'x' RETURNING id",
            ErrorKind::Unsupported,
            "RETURNING",
        ),
        (
            "DELETE FROM t USING events WHERE n = id",
            ErrorKind::Unsupported,
            "subquery",
        ),
        ("DELETE FROM to_table('t')", ErrorKind::Unsupported, "no dataset"),
        ("DELETE FROM nowhere", ErrorKind::NotFound, "no dataset"),
        ("DELETE FROM t WHERE", ErrorKind::InvalidSql, "Line: 1"),
    ] {
        let error = run(&fixture, sql).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        assert!(error.to_string().contains(words), "{sql}: {error}");
    }
    let session = SessionOptions {
        as_of: Some("0".to_owned()),
        ..SessionOptions::default()
    };
    let past = PlanRequest::sql(&fixture.alice, "DELETE FROM t").with_session(session);
    let error = fixture.planner.update(past, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!(state(&fixture).await, ["1 a 1.50", "2 b 2.00", "3 c null"]);
    assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["3"]);
}

#[tokio::test]
async fn every_strategy_with_a_key_can_be_changed() {
    use jetway_odf::metadata::MergeStrategy;
    let key = || vec!["id".to_owned()];
    for merge in [
        MergeStrategy::Ledger { primary_key: key() },
        MergeStrategy::Snapshot {
            primary_key: key(),
            compare_columns: None,
        },
        MergeStrategy::ChangelogStream { primary_key: key() },
    ] {
        let fixture = Fixture::new().await;
        let name = format!("{merge:?}");
        crate::merge::create(&fixture, merge).await;
        let rows =
            fixture.sql("SELECT 0 AS op, CAST(column1 AS INT) AS id, column2 AS name FROM (VALUES (1, 'a'), (2, 'b'))");
        let mut rows = rows.await.unwrap();
        if !name.starts_with("Changelog") {
            rows.iter_mut().for_each(|batch| drop(batch.remove_column(0)));
        }
        fixture.push("t", rows).await.unwrap();
        assert_eq!(
            run(&fixture, "UPDATE t SET name = 'c' WHERE id = 1").await.unwrap(),
            1,
            "{name}"
        );
        assert_eq!(run(&fixture, "DELETE FROM t WHERE id = 2").await.unwrap(), 1, "{name}");
        assert_eq!(
            fixture.rows("SELECT id, name FROM to_table('t')").await,
            ["1 c"],
            "{name}"
        );
    }
}
