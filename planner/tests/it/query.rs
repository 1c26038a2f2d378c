//! Statements: names, pins, what is refused, what is left out.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use futures::{StreamExt, TryStreamExt};
use jetway_planner::{ErrorKind, Usage};

use crate::catalog::Fixture;

fn column(values: impl IntoIterator<Item = i64>) -> RecordBatch {
    let values = Arc::new(Int64Array::from_iter_values(values)) as ArrayRef;
    RecordBatch::try_from_iter([("v", values)]).unwrap()
}

#[tokio::test]
async fn every_spelling_of_a_name_finds_the_dataset() {
    let fixture = Fixture::new().await;
    fixture.push("net.example.my-table", vec![column([1])]).await.unwrap();
    let id = fixture.dataset("net.example.my-table").await.id;
    for name in [
        "\"net.example.my-table\"",
        "\"net.example.my_table\"",
        "\"NET.Example.My-Table\"",
        "alice.\"net.example.my-table\"",
        "ALICE.\"net.example.my-table\"",
        "\"Alice\".\"net.example.my-table\"",
        "jetway.alice.\"net.example.my_table\"",
        "\"alice/net.example.my-table\"",
        &format!("\"{id}\""),
    ] {
        assert_eq!(fixture.rows(&format!("SELECT v FROM {name}")).await, ["1"], "{name}");
    }
}

#[tokio::test]
async fn mistakes_get_the_right_kind_and_a_helpful_message() {
    let fixture = Fixture::new().await;
    fixture.push("flights", vec![column([1])]).await.unwrap();
    for (sql, kind, words) in [
        ("SELEC 1", ErrorKind::InvalidSql, "Line: 1"),
        ("SELECT 1 FROM", ErrorKind::InvalidSql, "EOF"),
        ("SELECT 1\n  FROM", ErrorKind::InvalidSql, "at Line: 2, Column: 7"),
        (
            "SELECT 1,\n  offst FROM flights",
            ErrorKind::InvalidSql,
            "did you mean flights.offset?",
        ),
        (
            "SELECT 1,\n  offst FROM flights",
            ErrorKind::InvalidSql,
            "at Line: 2, Column: 3",
        ),
        ("SELECT w FROM flights", ErrorKind::InvalidSql, "w"),
        ("SELECT nope(1)", ErrorKind::InvalidSql, "nope"),
        (
            "SELECT * FROM flihgts",
            ErrorKind::NotFound,
            "did you mean \"alice\".\"flights\"",
        ),
        ("SELECT * FROM other.flights", ErrorKind::NotFound, "other/flights"),
        (
            "SELECT * FROM elsewhere.alice.flights",
            ErrorKind::NotFound,
            "elsewhere",
        ),
        ("SELECT * FROM '/etc/passwd'", ErrorKind::InvalidArgument, "name"),
        (
            "SELECT * FROM 'file:///etc/passwd.csv'",
            ErrorKind::InvalidArgument,
            "name",
        ),
        ("SELECT 1 / 0", ErrorKind::InvalidArgument, "zero"),
        ("SELECT CAST('x' AS INT)", ErrorKind::InvalidArgument, "x"),
        ("COPY flights TO '/tmp/out.parquet'", ErrorKind::Unsupported, "COPY"),
        (
            "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
            ErrorKind::Unsupported,
            "not possible",
        ),
        ("CREATE TABLE x AS SELECT 1", ErrorKind::Unsupported, "not possible"),
        ("DROP TABLE flights", ErrorKind::Unsupported, "not possible"),
        ("INSERT INTO flights VALUES (1)", ErrorKind::Unsupported, "not possible"),
        (
            "SET datafusion.execution.batch_size = 1",
            ErrorKind::Unsupported,
            "not possible",
        ),
        (
            "EXPLAIN INSERT INTO flights SELECT v FROM flights",
            ErrorKind::Unsupported,
            "not possible",
        ),
        ("SELECT 1; SELECT 2", ErrorKind::Unsupported, "single"),
        ("", ErrorKind::InvalidSql, "statement"),
    ] {
        let error = match fixture.sql(sql).await {
            Ok(_) => panic!("{sql} was accepted"),
            Err(error) => error,
        };
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        assert!(
            error.to_string().to_lowercase().contains(&words.to_lowercase()),
            "{sql}: {error}"
        );
    }
}

/// Trap 43.
#[tokio::test]
async fn a_statement_reads_the_heads_that_it_was_planned_at() {
    let fixture = Fixture::new().await;
    fixture.push("t", vec![column(0..3)]).await.unwrap();
    let sql = "SELECT count(*), sum(v) FROM t";
    let planned = fixture.planner.plan(&fixture.alice, sql, None).await.unwrap();
    let pins = planned.pins().to_vec();
    fixture.push("t", vec![column(3..5)]).await.unwrap();
    for statement in [
        planned,
        fixture
            .another_planner()
            .plan(&fixture.alice, sql, Some(&pins))
            .await
            .unwrap(),
    ] {
        let batches: Vec<RecordBatch> = statement.execute().await.unwrap().try_collect().await.unwrap();
        let counts = batches[0]
            .column(0)
            .as_any()
            .downcast_ref::<Int64Array>()
            .unwrap()
            .value(0);
        assert_eq!(counts, 3);
    }
    assert_eq!(fixture.rows(sql).await, ["5 10"]);
}

/// That the first two tables together have more rows than the third one follows from the values of their columns alone.
#[tokio::test]
async fn the_smaller_side_of_a_join_is_kept() {
    let fixture = Fixture::new().await;
    for (name, rows) in [("large", 20_000), ("middle", 1000), ("small", 10)] {
        let values = Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([(format!("{name}_key"), values)]).unwrap();
        fixture.push(name, vec![batch]).await.unwrap();
    }
    let sql = "SELECT large_key FROM large JOIN middle ON large_key = middle_key JOIN small ON middle_key = small_key";
    let rows = fixture.rows(&format!("EXPLAIN FORMAT INDENT {sql}")).await.join("\n");
    let (_, plan) = rows.split_once("HashJoinExec").unwrap();
    // The side that is kept stands first.
    let small = plan.find("projection=[small_key]").unwrap();
    assert!(small < plan.find("projection=[large_key]").unwrap(), "{rows}");
    assert_eq!(fixture.rows(sql).await.len(), 10);
}

/// Trap 38.
#[tokio::test]
async fn slices_without_wanted_rows_are_left_out() {
    let fixture = Fixture::new().await;
    for push in 0..10 {
        fixture
            .push("t", vec![column(push * 10..(push + 1) * 10)])
            .await
            .unwrap();
    }
    let scanned = async |sql: &str| {
        let plan = fixture.rows(&format!("EXPLAIN FORMAT INDENT {sql}")).await.join("\n");
        // Files are counted, not named.
        assert!(!plan.contains("f1620"), "{plan}");
        let scan = plan.split("DataSourceExec: files=").nth(1);
        scan.map_or(0, |scan| scan.split(',').next().unwrap().parse().unwrap())
    };
    assert_eq!(scanned("SELECT v FROM t").await, 10);
    assert_eq!(scanned("SELECT v FROM t WHERE \"offset\" = 35").await, 1);
    assert_eq!(scanned("SELECT v FROM t WHERE \"offset\" BETWEEN 35 AND 40").await, 2);
    assert_eq!(
        scanned("SELECT v FROM t WHERE system_time < TIMESTAMP '2000-01-01T00:00:00Z'").await,
        0
    );
    assert_eq!(scanned("SELECT v FROM t LIMIT 15").await, 2);
    assert_eq!(scanned("SELECT count(*), max(\"offset\") FROM t").await, 0);
    assert_eq!(fixture.rows("SELECT v FROM t WHERE \"offset\" = 35").await, ["35"]);
    assert_eq!(
        fixture.rows("SELECT count(*), max(\"offset\") FROM t").await,
        ["100 99"]
    );
    assert_eq!(
        fixture.rows("SELECT count(*) FROM t WHERE \"offset\" >= 95").await,
        ["5"]
    );
}

/// Trap 1.
#[tokio::test]
async fn results_of_every_shape_keep_their_schema() {
    let fixture = Fixture::new().await;
    fixture.push("t", vec![column(0..3)]).await.unwrap();
    for (sql, rows) in [
        ("SELECT 1 AS one WHERE false", 0),
        ("SELECT a.v, b.v FROM t a JOIN t b ON a.v = b.v", 3),
        ("SELECT * FROM t WHERE v > 100", 0),
        ("SELECT arrow_typeof(v), NULL, 'x', 1.5, [1, 2], {'a': 1} FROM t", 3),
        ("SELECT v, row_number() OVER (ORDER BY v) FROM t", 3),
        ("WITH x AS (SELECT max(v) AS m FROM t) SELECT * FROM t, x", 3),
        ("VALUES (1, 'a'), (2, NULL)", 2),
        ("SHOW TABLES", 1),
        (
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'alice'",
            1,
        ),
        ("DESCRIBE t", 5),
        ("SELECT now() > TIMESTAMP '2020-01-01T00:00:00Z'", 1),
        ("SELECT CASE WHEN v = 1 THEN v END FROM t UNION ALL SELECT 5", 4),
    ] {
        let count: usize = fixture
            .sql(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
            .iter()
            .map(RecordBatch::num_rows)
            .sum();
        if sql == "SHOW TABLES" {
            assert!(count >= rows);
        } else {
            assert_eq!(count, rows, "{sql}");
        }
    }
}

/// Trap 32.
#[tokio::test]
async fn dropping_a_stream_stops_the_work() {
    let fixture = Fixture::new().await;
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000) a, generate_series(1, 1000000000) b";
    let statement = fixture.planner.plan(&fixture.alice, endless, None).await.unwrap();
    let mut stream = statement.execute().await.unwrap();
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(300), stream.next())
            .await
            .is_err()
    );
    drop(stream);
    // The threads are free again: another statement gets its answer.
    assert_eq!(
        fixture.rows("SELECT count(*) FROM generate_series(1, 1000)").await,
        ["1000"]
    );
}

// Trap 11: results with repeated names, or without any columns.
#[tokio::test]
async fn names_of_columns_may_be_repeated() {
    let fixture = Fixture::new().await;
    fixture.push("t", vec![column(1..3)]).await.unwrap();
    for (sql, names, rows) in [
        ("SELECT 1, 1", "Int64(1),Int64(1)", "1 1"),
        ("SELECT v, \"offset\", v FROM t ORDER BY v", "v,offset,v", "1 0 1,2 1 2"),
        (
            "SELECT v AS x, v + 1 AS X, v AS \"X\" FROM t ORDER BY v DESC LIMIT 1",
            "x,x,X",
            "2 3 2",
        ),
        ("SELECT count(*), COUNT(*) FROM t", "count(*),count(*)", "2 2"),
        ("SELECT DISTINCT v, t.v FROM t WHERE v = 1", "v,v", "1 1"),
        ("SELECT *, v FROM (SELECT v FROM t) ORDER BY v", "v,v", "1 1,2 2"),
        (
            "SELECT a.v, b.v FROM t a JOIN t b USING (v) ORDER BY 1",
            "v,v",
            "1 1,2 2",
        ),
        (
            "SELECT v, v FROM t WHERE v = 1 UNION ALL SELECT 7, 7 ORDER BY 1",
            "v,v",
            "1 1,7 7",
        ),
        (
            "WITH x AS (SELECT v FROM t) SELECT max(v), max(v) AS m, max(v) FROM x",
            "max(x.v),m,max(x.v)",
            "2 2 2",
        ),
    ] {
        let planned = fixture.planner.plan(&fixture.alice, sql, None).await;
        let schema = planned.unwrap_or_else(|error| panic!("{sql}: {error}")).schema();
        let found: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(found.join(","), names, "{sql}");
        let batches = fixture.sql(sql).await.unwrap();
        assert!(batches.iter().all(|batch| batch.schema() == schema), "{sql}");
        assert_eq!(crate::catalog::text(&batches).join(","), rows, "{sql}");
    }
    let long: Vec<String> = (0..2000).map(|n| format!("v + {}", n % 700)).collect();
    let long = format!("SELECT {} FROM t LIMIT 1", long.join(", "));
    assert_eq!(fixture.sql(&long).await.unwrap()[0].num_columns(), 2000);
}

#[tokio::test]
async fn a_running_statement_tells_how_much_it_has_read() {
    let fixture = Fixture::new().await;
    for part in 0..2 {
        let rows = part * 100_000..(part + 1) * 100_000;
        fixture.push("numbers", vec![column(rows)]).await.unwrap();
    }
    let told = async |sql: &str| {
        let statement = fixture.planner.plan(&fixture.alice, sql, None).await.unwrap();
        let usage = Usage::default();
        assert_eq!(usage.read(), None, "it does not run yet");
        let mut rows = statement.execute_as(&usage).await.unwrap();
        let mut told = Vec::new();
        while let Some(batch) = rows.next().await {
            batch.unwrap();
            told.push(usage.read());
        }
        // What was told stays when the plan is gone.
        drop(rows);
        usage.ended();
        told.push(usage.read());
        told
    };
    let scanned = told("SELECT v FROM numbers").await;
    let first = scanned[0].unwrap();
    assert!(first > 0.0 && first < 0.9, "{first}");
    assert!(scanned.is_sorted());
    assert_eq!(scanned.last(), Some(&Some(1.0)));
    let joined = told("SELECT count(*) FROM numbers a JOIN numbers b ON a.v = b.v").await;
    assert_eq!(joined.last(), Some(&Some(1.0)));
    let unknown = told("SELECT * FROM generate_series(1, 100000)").await;
    assert!(unknown.iter().all(Option::is_none));
}
