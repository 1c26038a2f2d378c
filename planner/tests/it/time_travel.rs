//! Reading datasets as they were, and what changed between two moments.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::DateTime;
use futures::{TryStreamExt, stream};
use jetway_planner::{
    BatchStream, Clock, ErrorKind, IngestRequest, PlanRequest, PlannerOptions, Result, SessionOptions, TableName,
};

use crate::catalog::{Fixture, text};

/// A table with a key whose blocks are a minute apart: two rows at minute 1, one of them changed at 2, and a column more at 3.
struct History {
    fixture: Fixture,
    /// Heads after minutes 0 (no rows yet) to 3.
    heads: Vec<String>,
}

fn minute(number: i64) -> i64 {
    1_767_225_600 + number * 60
}

async fn history() -> History {
    let now = Arc::new(AtomicI64::new(minute(0)));
    let time = Arc::clone(&now);
    let options = PlannerOptions {
        clock: Clock::from_fn(move || DateTime::from_timestamp(time.load(Ordering::SeqCst), 0).unwrap()),
        ..PlannerOptions::default()
    };
    let fixture = Fixture::new().await.restarted(options);
    let mut heads = Vec::new();
    for (number, sql) in [
        "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT)",
        "INSERT INTO t VALUES (1, 10), (2, 20)",
        "INSERT INTO t VALUES (2, 21)",
    ]
    .into_iter()
    .enumerate()
    {
        now.store(minute(number as i64), Ordering::SeqCst);
        let request = PlanRequest::sql(&fixture.alice, sql);
        fixture.planner.update(request, None).await.unwrap();
        heads.push(fixture.dataset("t").await.head.to_string());
    }
    now.store(minute(3), Ordering::SeqCst);
    let wider = fixture
        .sql("SELECT CAST(3 AS INT) AS id, CAST(30 AS INT) AS v, 'new' AS w")
        .await;
    let wider = wider.unwrap();
    let request = IngestRequest {
        evolve_schema: true,
        ..IngestRequest::append(TableName::parse(None, None, "t").unwrap())
    };
    let rows = BatchStream::new(wider[0].schema(), stream::iter(wider.into_iter().map(Ok)));
    fixture.planner.ingest(&fixture.alice, request, rows).await.unwrap();
    heads.push(fixture.dataset("t").await.head.to_string());
    History { fixture, heads }
}

#[tokio::test]
async fn every_way_to_name_a_point_gives_the_rows_and_the_columns_of_then() {
    let History { fixture, heads } = history().await;
    for (from, columns, expected) in [
        // Half a minute later nothing more had happened.
        (
            "t FOR SYSTEM_TIME AS OF '2026-01-01T00:01:30Z'",
            "id, v",
            vec!["1 10", "2 20"],
        ),
        (
            "t FOR SYSTEM_TIME AS OF TIMESTAMP '2026-01-01T00:02:00Z'",
            "id, v",
            vec!["1 10", "2 20", "2 20", "2 21"],
        ),
        (
            "alice.t FOR TIMESTAMP AS OF '2026-01-01 00:01:00' AS x",
            "x.id, x.v",
            vec!["1 10", "2 20"],
        ),
        ("t FOR VERSION AS OF 0", "t.id, t.v", vec!["1 10"]),
        (
            &format!("\"alice/t\" for system_time as of '{}'", heads[1]),
            "id, v",
            vec!["1 10", "2 20"],
        ),
        (&format!("t FOR VERSION AS OF '{}'", heads[0]), "id, v", vec![]),
        ("at('t', 2)", "id, v", vec!["1 10", "2 20", "2 20"]),
        ("to_table('t', 3)", "id, v", vec!["1 10", "2 21"]),
        (
            "to_table('t', TIMESTAMP '2026-01-01T00:01:00Z')",
            "id, v",
            vec!["1 10", "2 20"],
        ),
        ("to_table('t')", "id, v, w", vec!["1 10 null", "2 21 null", "3 30 new"]),
        ("to_table('t') WHERE id = 2", "id, v, w", vec!["2 21 null"]),
        (
            "t FOR SYSTEM_TIME AS OF 0 a JOIN t FOR SYSTEM_TIME AS OF 1 b ON a.id < b.id",
            "a.v, b.v",
            vec!["10 20"],
        ),
        ("(SELECT * FROM t FOR SYSTEM_TIME AS OF 1) s", "count(*)", vec!["2"]),
    ] {
        let sql = format!("SELECT {columns} FROM {from} ORDER BY 1, 2");
        let sql = if columns.starts_with("count") {
            format!("SELECT {columns} FROM {from}")
        } else {
            sql
        };
        assert_eq!(fixture.rows(&sql).await, expected, "{sql}");
    }
    for from in [
        "t FOR SYSTEM_TIME AS OF '2026-01-01T00:02:59Z'",
        "at('t', 3)",
        "to_table('t', 3)",
    ] {
        let sql = format!("SELECT w FROM {from}");
        let error = fixture.sql(&sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSql, "{sql}: {error}");
        let all = fixture
            .planner
            .plan(&fixture.alice, &format!("SELECT * FROM {from}"), None)
            .await
            .unwrap();
        assert_eq!(all.schema().fields().len(), 6, "{from}");
    }
}

#[tokio::test]
async fn changes_are_what_one_moment_has_and_the_other_one_has_not() {
    let History { fixture, heads } = history().await;
    for (arguments, expected) in [
        ("NULL", vec!["0 0", "1 0", "2 2", "3 3", "4 0"]),
        ("1", vec!["2 2", "3 3", "4 0"]),
        ("1, 2", vec!["2 2"]),
        ("NULL, 0", vec!["0 0"]),
        ("4", vec![]),
        ("1, 1", vec![]),
        ("TIMESTAMP '2026-01-01T00:01:00Z'", vec!["2 2", "3 3", "4 0"]),
        (
            "TIMESTAMP '2020-01-01T00:00:00Z', TIMESTAMP '2026-01-01T00:02:00Z'",
            vec!["0 0", "1 0", "2 2", "3 3"],
        ),
        (&format!("'{}', '{}'", heads[0], heads[1]), vec!["0 0", "1 0"]),
        (&format!("'{}'", heads[2]), vec!["4 0"]),
        (&format!("'{}', 3", heads[1]), vec!["2 2", "3 3"]),
    ] {
        let sql = format!("SELECT \"offset\", op FROM changes('alice.t', {arguments}) ORDER BY 1");
        assert_eq!(fixture.rows(&sql).await, expected, "{sql}");
    }
    for arguments in [
        "2, 1".to_owned(),
        "TIMESTAMP '2026-01-02', TIMESTAMP '2026-01-01T01:00:00'".to_owned(),
        format!("'{}', '{}'", heads[2], heads[1]),
    ] {
        let error = fixture
            .sql(&format!("SELECT * FROM changes('t', {arguments})"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{arguments}: {error}");
    }
}

async fn as_of(fixture: &Fixture, point: &str, sql: &str) -> Result<Vec<String>> {
    let session = SessionOptions {
        as_of: Some(point.to_owned()),
        ..SessionOptions::default()
    };
    let request = PlanRequest::sql(&fixture.alice, sql).with_session(session);
    let statement = fixture.planner.plan_request(request).await?;
    let batches: Vec<_> = statement.execute().await?.try_collect().await?;
    Ok(text(&batches))
}

#[tokio::test]
async fn a_session_reads_all_datasets_at_its_point() {
    let History { fixture, heads } = history().await;
    for (point, sql, expected) in [
        ("2026-01-01T00:01:00Z", "SELECT count(*) FROM t", "2"),
        ("2026-01-01T00:01:00Z", "SELECT sum(v) FROM to_table('t')", "30"),
        (
            "2026-01-01T00:01:00Z",
            "WITH x AS (SELECT * FROM alice.t) SELECT max(\"offset\") FROM x",
            "1",
        ),
        // What a statement says itself counts.
        (
            "2026-01-01T00:01:00Z",
            "SELECT count(*) FROM t FOR SYSTEM_TIME AS OF 3",
            "4",
        ),
        (heads[2].as_str(), "SELECT count(*) FROM t", "4"),
        ("0", "SELECT count(*) FROM changes('t', NULL)", "1"),
        ("0", "SELECT count(*) > 0 FROM information_schema.tables", "true"),
    ] {
        assert_eq!(as_of(&fixture, point, sql).await.unwrap(), [expected], "{point}: {sql}");
    }
    let error = as_of(&fixture, "2020-01-01T00:00:00Z", "SELECT * FROM t")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for (text, is_point) in [
        ("2026-01-01", true),
        ("17", true),
        (heads[0].as_str(), true),
        ("-1", false),
        ("soon", false),
    ] {
        assert_eq!(SessionOptions::is_point(text), is_point, "{text}");
    }
}

#[tokio::test]
async fn a_condition_on_the_key_is_applied_before_rows_are_compared() {
    let History { fixture, .. } = history().await;
    let plan = fixture
        .rows("EXPLAIN FORMAT INDENT SELECT v FROM to_table('t') WHERE id = 2")
        .await
        .join("\n");
    let scan = plan.lines().rfind(|line| line.contains("DataSourceExec")).unwrap();
    assert!(scan.contains("predicate=id@"), "{plan}");
    let plan = fixture
        .rows("EXPLAIN FORMAT INDENT SELECT v FROM to_table('t') WHERE v = 20")
        .await
        .join("\n");
    let scan = plan.lines().rfind(|line| line.contains("DataSourceExec")).unwrap();
    assert!(
        !scan.contains("predicate=v@"),
        "an older row must not take the place of a newer one: {plan}"
    );
}
