//! CREATE TABLE and DROP TABLE.

use jetway_odf::metadata::{MergeStrategy, MetadataEvent};
use jetway_planner::{ErrorKind, IdempotencyKey, PlanRequest, Result, UpdateOutcome};

use crate::catalog::Fixture;

async fn run(fixture: &Fixture, sql: &str) -> Result<UpdateOutcome> {
    fixture
        .planner
        .update(PlanRequest::sql(&fixture.alice, sql), None)
        .await
}

async fn columns(fixture: &Fixture, table: &str) -> Vec<String> {
    let sql = format!("SELECT * FROM {table}");
    let statement = fixture.planner.plan(&fixture.alice, &sql, None).await;
    let schema = statement.unwrap().schema();
    let columns = schema.fields().iter().map(|field| {
        let null = if field.is_nullable() { "" } else { " NOT NULL" };
        format!("{} {}{null}", field.name(), field.data_type())
    });
    columns.collect()
}

async fn events(fixture: &Fixture, table: &str) -> Vec<MetadataEvent> {
    use futures::TryStreamExt;
    let dataset = fixture.dataset(table).await;
    let blocks = jetway_odf::chain::walk_back(&dataset.storage, dataset.head, None);
    let mut events: Vec<_> = blocks.map_ok(|block| block.block.event).try_collect().await.unwrap();
    events.reverse();
    events
}

#[tokio::test]
async fn a_table_has_the_columns_that_were_written_and_no_rows() {
    let fixture = Fixture::new().await;
    let created = run(
        &fixture,
        "CREATE TABLE t (id BIGINT NOT NULL, name VARCHAR(20), price DECIMAL(10, 2), day DATE, at TIMESTAMP, ok BOOLEAN)",
    );
    let outcome = created.await.unwrap();
    assert_eq!((outcome.rows, outcome.ingest.unwrap().created), (0, true));
    assert_eq!(
        columns(&fixture, "t").await[4..],
        [
            "id Int64 NOT NULL",
            "name Utf8",
            "price Decimal128(10, 2)",
            "day Date32",
            "at Timestamp(ns, \"UTC\")",
            "ok Boolean"
        ]
    );
    assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["0"]);
    let events = events(&fixture, "t").await;
    assert!(
        matches!(
            events.as_slice(),
            [
                MetadataEvent::Seed(_),
                MetadataEvent::AddPushSource(_),
                MetadataEvent::SetDataSchema(_)
            ]
        ),
        "{events:?}"
    );
    run(&fixture, "INSERT INTO t (id, name) VALUES (1, 'a'), (1, 'b')")
        .await
        .unwrap();
    assert_eq!(
        fixture.rows("SELECT id, name FROM t ORDER BY name").await,
        ["1 a", "1 b"]
    );
    let refused = run(&fixture, "INSERT INTO t (name) VALUES ('c')").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::SchemaMismatch);
}

#[tokio::test]
async fn rows_of_a_table_with_a_primary_key_replace_those_of_the_same_key() {
    let fixture = Fixture::new().await;
    for (table, definition) in [
        ("inline", "id INT PRIMARY KEY, name TEXT"),
        ("apart", "id INT, name TEXT, PRIMARY KEY (id)"),
        ("named", "\"id\" INT, name TEXT, CONSTRAINT pk PRIMARY KEY (\"id\")"),
    ] {
        run(&fixture, &format!("CREATE TABLE {table} ({definition})"))
            .await
            .unwrap();
        let Some(MetadataEvent::AddPushSource(source)) = events(&fixture, table).await.into_iter().nth(1) else {
            panic!("{table} has no push source")
        };
        let key = vec!["id".to_owned()];
        assert_eq!(
            source.merge,
            MergeStrategy::UpsertStream { primary_key: key },
            "{table}"
        );
        assert!(columns(&fixture, table).await.contains(&"id Int32 NOT NULL".to_owned()));
        run(&fixture, &format!("INSERT INTO {table} VALUES (1, 'a'), (2, 'b')"))
            .await
            .unwrap();
        run(&fixture, &format!("INSERT INTO {table} VALUES (2, 'c')"))
            .await
            .unwrap();
        assert_eq!(
            fixture
                .rows(&format!("SELECT id, name FROM to_table('{table}') ORDER BY id"))
                .await,
            ["1 a", "2 c"]
        );
    }
}

#[tokio::test]
async fn a_table_is_made_of_a_query_in_one_commit() {
    let fixture = Fixture::new().await;
    let sql = "CREATE TABLE numbers AS SELECT value AS n, value * 2.5 AS x FROM generate_series(1, 100000)";
    let key = Some(IdempotencyKey::new("once").unwrap());
    let first = fixture
        .planner
        .update(PlanRequest::sql(&fixture.alice, sql), key.clone());
    assert_eq!(first.await.unwrap().rows, 100_000);
    assert_eq!(
        fixture.rows("SELECT count(*), sum(n) FROM numbers").await,
        ["100000 5000050000"]
    );
    let head = fixture.dataset("numbers").await.head;
    // The same statement with the same key is the same statement.
    let again = fixture.planner.update(PlanRequest::sql(&fixture.alice, sql), key);
    assert_eq!(again.await.unwrap().rows, 100_000);
    assert_eq!(fixture.dataset("numbers").await.head, head);
    let taken = run(&fixture, sql).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    // A query that fails on the way leaves nothing.
    let failed = run(
        &fixture,
        "CREATE TABLE broken AS SELECT 1 / (value - 70000) AS n FROM generate_series(1, 100000)",
    );
    assert!(failed.await.is_err());
    assert_eq!(
        fixture
            .planner
            .plan(&fixture.alice, "SELECT * FROM broken", None)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn tables_that_are_there_stay_and_those_that_are_dropped_are_gone() {
    let fixture = Fixture::new().await;
    run(&fixture, "CREATE TABLE t (n INT)").await.unwrap();
    run(&fixture, "INSERT INTO t VALUES (1)").await.unwrap();
    let again = run(&fixture, "CREATE TABLE IF NOT EXISTS alice.t (other TEXT)")
        .await
        .unwrap();
    assert!(!again.ingest.unwrap().changed);
    assert_eq!(
        run(&fixture, "CREATE TABLE t (n INT)").await.unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert_eq!(fixture.rows("SELECT n FROM t").await, ["1"]);
    // One that is not there keeps the others from being dropped.
    assert_eq!(
        run(&fixture, "DROP TABLE t, nowhere").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(fixture.rows("SELECT n FROM t").await, ["1"]);
    run(&fixture, "DROP TABLE IF EXISTS nowhere, t").await.unwrap();
    assert_eq!(
        run(&fixture, "DROP TABLE t").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    run(&fixture, "CREATE TABLE t (n TEXT)").await.unwrap();
    assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["0"]);
}

#[tokio::test]
async fn what_a_dataset_cannot_keep_is_refused_and_nothing_is_made() {
    let fixture = Fixture::new().await;
    let cases = [
        ("CREATE TABLE t (n INT DEFAULT 1)", ErrorKind::Unsupported, "DEFAULT 1"),
        ("CREATE TABLE t (n INT CHECK (n > 0))", ErrorKind::Unsupported, "CHECK"),
        ("CREATE TABLE t (n INT, CHECK (n > 0))", ErrorKind::Unsupported, "CHECK"),
        ("CREATE TABLE t (n INT UNIQUE)", ErrorKind::Unsupported, "UNIQUE"),
        (
            "CREATE TABLE t (n INT REFERENCES u (n))",
            ErrorKind::Unsupported,
            "REFERENCES",
        ),
        (
            "CREATE TABLE t (n INT, FOREIGN KEY (n) REFERENCES u (n))",
            ErrorKind::Unsupported,
            "FOREIGN KEY",
        ),
        (
            "CREATE TABLE t (n INT PRIMARY KEY, m INT PRIMARY KEY)",
            ErrorKind::InvalidSql,
            "more than one",
        ),
        (
            "CREATE TABLE t (n INT, PRIMARY KEY (m))",
            ErrorKind::InvalidSql,
            "\"m\"",
        ),
        (
            "CREATE TABLE t (n INT, PRIMARY KEY (n + 1))",
            ErrorKind::InvalidSql,
            "column",
        ),
        ("CREATE TABLE t (n NOSUCHTYPE)", ErrorKind::Unsupported, "NOSUCHTYPE"),
        ("CREATE TABLE t (n INT, n TEXT)", ErrorKind::InvalidArgument, "n"),
        ("CREATE TABLE t (n INTERVAL)", ErrorKind::InvalidArgument, "\"n\""),
        (
            "CREATE TABLE t (n INT PRIMARY KEY, system_time TIMESTAMP)",
            ErrorKind::InvalidArgument,
            "system_time",
        ),
        ("CREATE TEMPORARY TABLE t (n INT)", ErrorKind::Unsupported, "TEMPORARY"),
        (
            "CREATE EXTERNAL TABLE t (n INT) STORED AS CSV LOCATION '/etc'",
            ErrorKind::Unsupported,
            "EXTERNAL",
        ),
        (
            "CREATE OR REPLACE TABLE t (n INT)",
            ErrorKind::Unsupported,
            "DROP TABLE",
        ),
        (
            "CREATE TABLE t (n INT) AS SELECT 1",
            ErrorKind::Unsupported,
            "AS SELECT",
        ),
        (
            "CREATE TABLE t (n INT) WITH (fillfactor = 1)",
            ErrorKind::Unsupported,
            "options",
        ),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT 1",
            ErrorKind::Unsupported,
            "CREATE TABLE",
        ),
        ("CREATE SCHEMA s", ErrorKind::Unsupported, "CREATE SCHEMA"),
        ("CREATE INDEX i ON t (n)", ErrorKind::Unsupported, "CREATE INDEX"),
        ("ALTER TABLE t ADD COLUMN m INT", ErrorKind::Unsupported, "ALTER TABLE"),
        ("DROP SCHEMA v", ErrorKind::Unsupported, "DROP"),
        ("DROP TABLE t CASCADE", ErrorKind::Unsupported, "DROP"),
        ("TRUNCATE TABLE t", ErrorKind::Unsupported, "TRUNCATE"),
    ];
    for (sql, kind, told) in cases {
        let error = run(&fixture, sql).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        assert!(error.to_string().contains(told), "{sql}: {error}");
        let gone = fixture
            .planner
            .plan(&fixture.alice, "SELECT * FROM t", None)
            .await
            .unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{sql}");
    }
}

#[tokio::test]
async fn planning_makes_nothing() {
    let fixture = Fixture::new().await;
    let request = PlanRequest::sql(&fixture.alice, "CREATE TABLE t (n INT)");
    assert!(fixture.planner.plan_update(request.clone()).await.unwrap().is_some());
    assert_eq!(
        fixture.planner.plan_request(request).await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    assert_eq!(
        fixture
            .planner
            .plan(&fixture.alice, "SELECT * FROM t", None)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::NotFound
    );
}
