//! `to_table` and `at`: what the events of a dataset add up to, and what they were at an earlier time.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::json::writer::{LineDelimited, WriterBuilder};
use futures::TryStreamExt;
use jetway_planner::ErrorKind;
use serde_json::Value;

use crate::catalog::Fixture;

fn column(values: impl IntoIterator<Item = i64>) -> RecordBatch {
    let values = Arc::new(Int64Array::from_iter_values(values)) as ArrayRef;
    RecordBatch::try_from_iter([("v", values)]).unwrap()
}

/// A copy of the datasets that another implementation wrote.
fn datasets_of_others() -> tempfile::TempDir {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../odf/tests/fixtures/datasets");
    let target = tempfile::tempdir().unwrap();
    copy(&source, target.path());
    target
}

fn copy(source: &Path, target: &Path) {
    for entry in std::fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        let copied = target.join(path.file_name().unwrap());
        if path.is_dir() {
            std::fs::create_dir(&copied).unwrap();
            copy(&path, &copied);
        } else {
            std::fs::copy(&path, &copied).unwrap();
        }
    }
}

/// Rows as the other implementation prints them: decimals as text.
pub(crate) fn objects(batches: &[RecordBatch]) -> Vec<Value> {
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(Vec::new());
    for batch in batches {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
            let is_decimal = matches!(field.data_type(), DataType::Decimal128(..));
            let column = if is_decimal {
                cast(column, &DataType::Utf8).unwrap()
            } else {
                Arc::clone(column)
            };
            (field.name().clone(), column)
        });
        writer.write(&RecordBatch::try_from_iter(columns).unwrap()).unwrap();
    }
    writer.finish().unwrap();
    lines(&String::from_utf8(writer.into_inner()).unwrap())
}

fn lines(text: &str) -> Vec<Value> {
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["offset"].as_u64());
    lines
}

pub(crate) fn expected(file: &str) -> Option<Vec<Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/odf-0.265")
        .join(file);
    path.exists().then(|| lines(&std::fs::read_to_string(path).unwrap()))
}

#[tokio::test]
async fn datasets_of_another_implementation_have_the_events_and_the_state_that_it_says() {
    let folder = datasets_of_others();
    let fixture = Fixture::open(folder.path()).await;
    let (mut events, mut states) = (0, 0);
    for name in [
        "bank.transactions",
        "cities.population",
        "files.polled",
        "registry.changes",
        "sensors.readings",
        "shop.inventory",
        "weather.vocab",
    ] {
        let rows = fixture.sql(&format!("SELECT * FROM \"{name}\"")).await.unwrap();
        assert_eq!(
            Some(objects(&rows)),
            expected(&format!("{name}.events.ndjson")),
            "{name}"
        );
        events += 1;
        let rows = fixture.sql(&format!("SELECT * FROM to_table('{name}')")).await.unwrap();
        match expected(&format!("{name}.state.ndjson")) {
            Some(state) => {
                assert_eq!(objects(&rows), state, "{name}");
                states += 1;
            }
            // No key: the state is all that was ever added.
            None => assert_eq!(
                Some(objects(&rows)),
                expected(&format!("{name}.events.ndjson")),
                "{name}"
            ),
        }
    }
    assert_eq!((events, states), (7, 5));
}

#[tokio::test]
async fn the_state_of_an_earlier_time_is_that_of_the_events_until_then() {
    let folder = datasets_of_others();
    let fixture = Fixture::open(folder.path()).await;
    let state = async |point: &str| {
        fixture
            .rows(&format!(
                "SELECT city, population FROM to_table('cities.population'{point}) ORDER BY city"
            ))
            .await
    };
    let first = [
        "kyiv 2000",
        "lisbon 4000",
        "odesa 3000",
        "seattle 1000",
        "são paulo 5000",
        "vancouver 0",
    ];
    assert_eq!(state(", 5").await, first);
    assert_eq!(state(", TIMESTAMP '2026-11-22T20:16:12Z'").await, first);
    assert_eq!(state(", '2026-11-22 20:16:12+00:00'").await, first);
    // Of a snapshot with a retraction and a correction.
    let third = [
        "kyiv 2005",
        "lisbon 4000",
        "odesa 3000",
        "porto 77",
        "são paulo 5000",
        "vancouver 1",
    ];
    assert_eq!(state(", 11").await, third);
    assert_eq!(
        state(", 'f162042d5b14f79973069bbd2b8201d6e135c26d38e966b1e3545c856b4cd901310c2'").await,
        third
    );
    let events = "SELECT count(*) FROM at('cities.population', 'f162042d5b14f79973069bbd2b8201d6e135c26d38e966b1e3545c856b4cd901310c2')";
    assert_eq!(fixture.rows(events).await, ["12"]);
    assert_eq!(state("").await.len(), 7);
    let early = "SELECT * FROM to_table('cities.population', TIMESTAMP '2026-11-22T20:00:00Z')";
    let error = fixture.sql(early).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("did not exist yet"), "{error}");
}

#[tokio::test]
async fn without_a_key_every_row_stays_as_often_as_it_was_added() {
    let fixture = Fixture::new().await;
    fixture
        .push("net.example.numbers", vec![column([1, 2, 1, 3])])
        .await
        .unwrap();
    for name in [
        "net.example.numbers",
        "alice/net.example.numbers",
        "\"alice\".\"net.example.numbers\"",
    ] {
        let rows = fixture
            .rows(&format!("SELECT v FROM to_table('{name}') t ORDER BY t.v"))
            .await;
        assert_eq!(rows, ["1", "1", "2", "3"], "{name}");
    }
    assert_eq!(
        fixture.rows("SELECT v FROM TO_TABLE('net.example.numbers', 0)").await,
        ["1"]
    );
    let joined = "SELECT count(*) FROM \"net.example.numbers\" a JOIN to_table('net.example.numbers') b ON a.v = b.v";
    assert_eq!(fixture.rows(joined).await, ["6"]);
}

#[tokio::test]
async fn a_name_with_one_dot_may_have_an_account() {
    let fixture = Fixture::new().await;
    fixture.push("flights", vec![column([1])]).await.unwrap();
    assert_eq!(fixture.rows("SELECT v FROM to_table('alice.flights')").await, ["1"]);
    assert_eq!(fixture.rows("SELECT v FROM to_table('Alice.FLIGHTS')").await, ["1"]);
}

#[tokio::test]
async fn planned_again_with_its_pins_a_function_reads_the_same_head() {
    let fixture = Fixture::new().await;
    fixture.push("flights", vec![column([1, 2])]).await.unwrap();
    let sql = "SELECT v FROM to_table('flights')";
    let statement = fixture.planner.plan(&fixture.alice, sql, None).await.unwrap();
    assert_eq!(statement.pins().len(), 1);
    fixture.push("flights", vec![column([3])]).await.unwrap();
    let again = fixture
        .another_planner()
        .plan(&fixture.alice, sql, Some(statement.pins()))
        .await
        .unwrap();
    let batches: Vec<RecordBatch> = again.execute().await.unwrap().try_collect().await.unwrap();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    assert_eq!(fixture.rows("SELECT count(*) FROM to_table('flights')").await, ["3"]);
}

#[tokio::test]
async fn wrong_calls_say_what_is_wrong() {
    let fixture = Fixture::new().await;
    fixture.push("flights", vec![column([1])]).await.unwrap();
    let other = "f1620ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    for (sql, kind, words) in [
        (
            "SELECT * FROM to_table('flihgts')",
            ErrorKind::NotFound,
            "did you mean \"alice\".\"flights\"",
        ),
        ("SELECT * FROM to_table('bob.flights')", ErrorKind::NotFound, "flights"),
        ("SELECT * FROM to_table()", ErrorKind::InvalidSql, "name of a dataset"),
        ("SELECT * FROM to_table(1)", ErrorKind::InvalidSql, "name of a dataset"),
        (
            "SELECT * FROM at('flights')",
            ErrorKind::InvalidSql,
            "point in its past",
        ),
        (
            "SELECT * FROM at('flights', true)",
            ErrorKind::InvalidSql,
            "point in its past",
        ),
        (
            "SELECT * FROM at('flights', 'yesterday')",
            ErrorKind::InvalidSql,
            "point in its past",
        ),
        (
            &format!("SELECT * FROM at('flights', '{other}')"),
            ErrorKind::NotFound,
            "no such block",
        ),
        (
            "SELECT * FROM at('flights', 1)",
            ErrorKind::NotFound,
            "its last one is 0",
        ),
        (
            "SELECT * FROM flights FOR SYSTEM_TIME AS OF '1999-12-31T23:59:59Z'",
            ErrorKind::NotFound,
            "did not exist yet",
        ),
        (
            "SELECT * FROM flights FOR SYSTEM_TIME AS OF",
            ErrorKind::InvalidSql,
            "Line: 1, Column: 44",
        ),
        (
            "SELECT * FROM to_table('flights') FOR SYSTEM_TIME AS OF 0",
            ErrorKind::InvalidSql,
            "to_table('name', point)",
        ),
        (
            "SELECT * FROM flihgts FOR SYSTEM_TIME AS OF 0",
            ErrorKind::NotFound,
            "did you mean \"alice\".\"flights\"",
        ),
        (
            "SELECT * FROM changes('flights')",
            ErrorKind::InvalidSql,
            "changes begin",
        ),
        (
            "SELECT * FROM changes('flights', 5)",
            ErrorKind::NotFound,
            "its last one is 0",
        ),
    ] {
        let error = fixture.sql(sql).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        assert!(error.to_string().contains(words), "{sql}: {error}");
    }
}
