//! Statements that are cut into parts, and which of them give the same at every run.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use jetway_planner::Statement;

use crate::catalog::Fixture;

fn column(values: std::ops::Range<i64>) -> RecordBatch {
    let values = Arc::new(Int64Array::from_iter_values(values)) as ArrayRef;
    RecordBatch::try_from_iter([("v", values)]).unwrap()
}

async fn plan(fixture: &Fixture, sql: &str) -> Statement {
    fixture.planner.plan(&fixture.alice, sql, None).await.unwrap()
}

/// The first column of all parts together, sorted, and how many rows each part has.
async fn in_parts(statement: &Statement, count: usize) -> (Vec<i64>, Vec<usize>) {
    let (mut all, mut sizes) = (Vec::new(), Vec::new());
    for part in statement.parts(count).await.unwrap().unwrap() {
        let rows = statement.execute_part(part).await.unwrap();
        let batches: Vec<RecordBatch> = rows.try_collect().await.unwrap();
        sizes.push(batches.iter().map(RecordBatch::num_rows).sum());
        for batch in &batches {
            all.extend(batch.column(0).as_primitive::<Int64Type>().values());
        }
    }
    all.sort_unstable();
    (all, sizes)
}

#[tokio::test]
async fn parts_together_have_every_row_once() {
    let fixture = Fixture::new().await;
    // One large slice, several small ones.
    fixture.push("numbers", vec![column(0..5000)]).await.unwrap();
    for start in [5000, 5500, 6000, 6500] {
        fixture.push("numbers", vec![column(start..start + 500)]).await.unwrap();
    }
    for (sql, expected) in [
        ("SELECT v FROM numbers", (0..7000).collect::<Vec<i64>>()),
        (
            "SELECT v + 1 AS w FROM numbers WHERE v % 7 = 0 AND \"offset\" > 3000",
            (3001..7000).filter(|v| v % 7 == 0).map(|v| v + 1).collect(),
        ),
        (
            "SELECT v FROM (SELECT v, v * 2 AS w FROM numbers AS n) AS m WHERE w < 20",
            (0..10).collect(),
        ),
        ("SELECT v FROM at('numbers', 5999)", (0..6000).collect()),
    ] {
        let statement = plan(&fixture, sql).await;
        for count in [1, 2, 3, 8] {
            let (all, sizes) = in_parts(&statement, count).await;
            assert_eq!(all, expected, "{sql} in {count} parts");
            assert!(sizes.len() <= count);
        }
    }
    let (_, sizes) = in_parts(&plan(&fixture, "SELECT v FROM numbers").await, 4).await;
    assert_eq!(sizes.len(), 4);
    assert!(sizes.iter().all(|size| (1000..2500).contains(size)), "{sizes:?}");
}

#[tokio::test]
async fn parts_stay_the_same_when_files_are_merged() {
    let fixture = Fixture::new().await;
    for start in 0..40 {
        fixture
            .push("numbers", vec![column(start * 100..start * 100 + 100)])
            .await
            .unwrap();
    }
    let before = plan(&fixture, "SELECT v FROM numbers").await;
    let parts = before.parts(3).await.unwrap().unwrap();
    let name = jetway_planner::TableName::parse(None, None, "numbers").unwrap();
    fixture.planner.compact(&fixture.alice, &name).await.unwrap();
    let after = plan(&fixture, "SELECT v FROM numbers").await;
    for part in parts {
        let mut found = Vec::new();
        for statement in [&before, &after] {
            let rows = statement.execute_part(part).await.unwrap();
            let batches: Vec<RecordBatch> = rows.try_collect().await.unwrap();
            let rows = batches
                .iter()
                .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values());
            let mut rows: Vec<i64> = rows.copied().collect();
            rows.sort_unstable();
            found.push(rows);
        }
        assert_eq!(found[0], found[1]);
    }
}

#[tokio::test]
async fn only_plain_scans_have_parts() {
    let fixture = Fixture::new().await;
    fixture.push("numbers", vec![column(0..100)]).await.unwrap();
    for sql in [
        "SELECT v FROM numbers ORDER BY v",
        "SELECT v FROM numbers LIMIT 5",
        "SELECT sum(v) FROM numbers",
        "SELECT DISTINCT v FROM numbers",
        "SELECT a.v FROM numbers a JOIN numbers b ON a.v = b.v",
        "SELECT v FROM numbers UNION ALL SELECT v FROM numbers",
        "SELECT v FROM numbers WHERE v = (SELECT max(v) FROM numbers)",
        "SELECT row_number() OVER () FROM numbers",
        "SELECT v, random() FROM numbers",
        "SELECT v FROM numbers WHERE false",
        "SELECT 1",
    ] {
        let statement = plan(&fixture, sql).await;
        assert!(statement.parts(2).await.unwrap().is_none(), "{sql}");
        assert!(statement.parts_size().await.unwrap().is_none(), "{sql}");
    }
    let size = plan(&fixture, "SELECT v FROM numbers")
        .await
        .parts_size()
        .await
        .unwrap();
    assert_eq!(size, Some(800));
}

#[tokio::test]
async fn statements_know_whether_they_can_be_repeated_and_are_ordered() {
    let fixture = Fixture::new().await;
    fixture.push("numbers", vec![column(0..100)]).await.unwrap();
    for (sql, repeatable) in [
        ("SELECT 1", true),
        ("SELECT v, abs(v) FROM numbers WHERE v > 3 ORDER BY v LIMIT 3", true),
        ("SELECT max(v) FROM to_table('numbers')", true),
        ("SELECT now()", false),
        (
            "SELECT v FROM numbers WHERE current_timestamp > TIMESTAMP '2020-01-01'",
            false,
        ),
        ("SELECT v FROM numbers WHERE v > (SELECT random())", false),
        ("SELECT uuid()", false),
        ("SELECT v FROM at('numbers', now())", false),
        ("SELECT * FROM information_schema.tables", false),
        ("SHOW TABLES", false),
        ("EXPLAIN ANALYZE SELECT 1", false),
    ] {
        assert_eq!(plan(&fixture, sql).await.is_repeatable(), repeatable, "{sql}");
    }
    for (sql, ordered) in [
        ("SELECT v FROM numbers", false),
        ("SELECT v FROM numbers ORDER BY v", true),
        ("SELECT v FROM numbers ORDER BY v LIMIT 3", true),
        ("SELECT v + 1 FROM numbers ORDER BY v DESC", true),
        ("SELECT count(*) FROM (SELECT v FROM numbers ORDER BY v LIMIT 3)", false),
    ] {
        assert_eq!(plan(&fixture, sql).await.is_ordered(), ordered, "{sql}");
    }
}
