//! INSERT: the same ingest, by SQL.

use jetway_planner::ErrorKind;

use crate::catalog::Fixture;

async fn insert(fixture: &Fixture, sql: &str) -> Result<u64, jetway_planner::Error> {
    Ok(fixture
        .planner
        .update(jetway_planner::PlanRequest::sql(&fixture.alice, sql), None)
        .await?
        .rows)
}

async fn with_table() -> Fixture {
    let fixture = Fixture::new().await;
    let batches = fixture
        .sql("SELECT CAST(1 AS INT) AS n, CAST('a' AS VARCHAR) AS name, CAST(1.5 AS DECIMAL(8, 2)) AS price, TIMESTAMP '2024-01-01T00:00:00Z' AS event_time")
        .await
        .unwrap();
    fixture.push("t", batches).await.unwrap();
    // Columns may be null only where the first push says so.
    fixture
}

#[tokio::test]
async fn values_and_queries_become_rows_of_the_columns_that_are_named() {
    let fixture = with_table().await;
    assert_eq!(insert(&fixture, "INSERT INTO t VALUES (2, 'b', 2)").await.unwrap(), 1);
    assert_eq!(
        insert(
            &fixture,
            "INSERT INTO alice.t (price, name, n, event_time) VALUES (0.25, 'c', 3, '2024-02-03T00:00:00Z')"
        )
        .await
        .unwrap(),
        1
    );
    let copied = insert(
        &fixture,
        "INSERT INTO \"alice/t\" SELECT n + 10, upper(name), price FROM t",
    )
    .await;
    assert_eq!(copied.unwrap(), 3);
    assert_eq!(
        fixture.rows("SELECT n, name, price FROM t ORDER BY n").await,
        [
            "1 a 1.50",
            "2 b 2.00",
            "3 c 0.25",
            "11 A 1.50",
            "12 B 2.00",
            "13 C 0.25"
        ]
    );
    assert_eq!(
        fixture.rows("SELECT CAST(event_time AS DATE) FROM t WHERE n = 3").await,
        ["2024-02-03"]
    );
}

#[tokio::test]
async fn a_plan_of_an_insert_runs_nothing_and_reads_what_was_there() {
    let fixture = with_table().await;
    let update = fixture
        .planner
        .plan_update(jetway_planner::PlanRequest::sql(
            &fixture.alice,
            "INSERT INTO t SELECT n, name, price FROM t",
        ))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["1"]);
    insert(&fixture, "INSERT INTO t VALUES (2, 'b', 2), (3, 'c', 3)")
        .await
        .unwrap();
    let key = || Some("once".parse().unwrap());
    assert_eq!(update.clone().run(key()).await.unwrap().rows, 1);
    assert_eq!(update.run(key()).await.unwrap().rows, 1);
    assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["4"]);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_adds_nothing() {
    let fixture = with_table().await;
    for (sql, kind, word) in [
        ("INSERT INTO t VALUES (1, 'a')", ErrorKind::InvalidSql, "2 columns"),
        ("INSERT INTO t (n, m) VALUES (1, 2)", ErrorKind::InvalidSql, "\"m\""),
        (
            "INSERT INTO t (\"offset\") VALUES (1)",
            ErrorKind::InvalidSql,
            "filled in",
        ),
        (
            "INSERT INTO t VALUES ('many', 'a', 1)",
            ErrorKind::InvalidArgument,
            "many",
        ),
        (
            "INSERT INTO t VALUES (NULL, 'a', 1)",
            ErrorKind::SchemaMismatch,
            "\"n\"",
        ),
        ("INSERT INTO nowhere VALUES (1)", ErrorKind::NotFound, "nowhere"),
        ("INSERT INTO t SELECT * FROM nowhere", ErrorKind::NotFound, "nowhere"),
        (
            "INSERT OVERWRITE t VALUES (1, 'a', 1)",
            ErrorKind::Unsupported,
            "replaces",
        ),
        (
            "INSERT INTO t VALUES (1, 'a', 1) ON CONFLICT DO NOTHING",
            ErrorKind::Unsupported,
            "ON CONFLICT",
        ),
        (
            "INSERT INTO t VALUES (1, 'a', 1) RETURNING n",
            ErrorKind::Unsupported,
            "RETURNING",
        ),
        ("SELECT 1", ErrorKind::Unsupported, "query"),
        ("DELETE FROM t", ErrorKind::Unsupported, "DELETE"),
        ("INSERT INTO t VALUES (", ErrorKind::InvalidSql, "Line: 1"),
    ] {
        let error = insert(&fixture, sql).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        assert!(error.to_string().contains(word), "{sql}: {error}");
    }
    let error = fixture.sql("INSERT INTO t VALUES (2, 'b', 2)").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("update"), "{error}");
    assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["1"]);
}
