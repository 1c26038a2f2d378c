//! CREATE VIEW, DROP VIEW, and what views are to those who read them.

use futures::TryStreamExt;
use jetway_planner::{ErrorKind, PlanRequest, Result, SessionOptions, Subject};

use crate::catalog::{Fixture, text};

async fn run(fixture: &Fixture, sql: &str) -> Result<u64> {
    let request = PlanRequest::sql(&fixture.alice, sql);
    Ok(fixture.planner.update(request, None).await?.rows)
}

async fn with_views(views: &[&str]) -> Fixture {
    let fixture = Fixture::new().await;
    for sql in [
        "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT)",
        "INSERT INTO t VALUES (1, 10), (2, 20), (3, 30)",
    ]
    .iter()
    .chain(views)
    {
        run(&fixture, sql).await.unwrap();
    }
    fixture
}

#[tokio::test]
async fn views_are_tables_that_follow_what_they_read() {
    let fixture = with_views(&[
        "CREATE VIEW state AS SELECT id, v FROM to_table('t')",
        "CREATE VIEW large (key, twice) AS SELECT id, v * 2 FROM state WHERE v > 10",
        "CREATE OR REPLACE VIEW alice.first AS SELECT id, v FROM t FOR SYSTEM_TIME AS OF 0 AS x WHERE x.v = 10",
        "CREATE VIEW \"net.example.totals\" AS WITH s AS (SELECT * FROM state) SELECT count(*) AS n, sum(v) AS v FROM s",
        "CREATE VIEW IF NOT EXISTS state AS SELECT 1 AS nothing",
    ])
    .await;
    run(&fixture, "UPDATE t SET v = 11 WHERE id = 1").await.unwrap();
    for (sql, expected) in [
        ("SELECT * FROM state ORDER BY id", vec!["1 11", "2 20", "3 30"]),
        (
            "SELECT twice, key FROM alice.large ORDER BY key",
            vec!["22 1", "40 2", "60 3"],
        ),
        (
            "SELECT large.key FROM large JOIN t ON t.id = large.key AND t.op = 3",
            vec!["1"],
        ),
        ("SELECT * FROM \"alice/first\"", vec!["1 10"]),
        ("SELECT n, v FROM \"net.example.totals\"", vec!["3 61"]),
        (
            "SELECT v FROM state WHERE id = (SELECT max(key) FROM large)",
            vec!["30"],
        ),
    ] {
        assert_eq!(fixture.rows(sql).await, expected, "{sql}");
    }
    for sql in [
        "CREATE TABLE copy AS SELECT * FROM large",
        "INSERT INTO copy SELECT id + 10, v FROM first",
        "CREATE OR REPLACE VIEW state AS SELECT id, v + 1 AS v FROM t WHERE op = 0",
    ] {
        run(&fixture, sql).await.unwrap();
    }
    assert_eq!(
        fixture.rows("SELECT key, twice FROM copy ORDER BY key").await,
        ["1 22", "2 40", "3 60", "11 10"]
    );
    assert_eq!(
        fixture.rows("SELECT key, twice FROM large ORDER BY key").await,
        ["1 22", "2 42", "3 62"]
    );
    run(&fixture, "DROP VIEW first, state").await.unwrap();
    run(&fixture, "DROP VIEW IF EXISTS first").await.unwrap();
    let error = fixture.sql("SELECT * FROM large").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("alice/large"), "{error}");
}

#[tokio::test]
async fn names_in_a_view_are_those_of_its_account_and_rights_those_of_the_reader() {
    let fixture = with_views(&["CREATE VIEW mine AS SELECT sum(v) AS v FROM t"]).await;
    let bob = Subject::account("bob".parse().unwrap());
    let read = async || {
        let statement = fixture.planner.plan(&bob, "SELECT v FROM alice.mine", None).await?;
        let batches: Vec<_> = statement.execute().await?.try_collect().await?;
        Ok::<_, jetway_planner::Error>(text(&batches))
    };
    assert_eq!(read().await.unwrap(), ["60"]);
    fixture.catalog.hidden.lock().unwrap().push("alice/t".to_owned());
    let error = read().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.to_string().contains("view: alice/mine"), "{error}");
}

#[tokio::test]
async fn listings_have_views_with_their_columns_and_definitions() {
    let fixture = with_views(&["CREATE VIEW large (key, twice) AS SELECT id, v * 2 FROM t"]).await;
    for (sql, expected) in [
        (
            "SELECT table_schema, table_type FROM information_schema.tables WHERE table_name = 'large'",
            vec!["alice VIEW"],
        ),
        (
            "SELECT table_type FROM information_schema.tables WHERE table_name = 't'",
            vec!["BASE TABLE"],
        ),
        (
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'large' ORDER BY 1",
            vec!["key Int32", "twice Int64"],
        ),
        (
            "SELECT definition FROM information_schema.views WHERE table_name = 'large'",
            vec!["SELECT * FROM (SELECT id, v * 2 FROM t) AS \"view\" (\"key\", \"twice\")"],
        ),
    ] {
        assert_eq!(fixture.rows(sql).await, expected, "{sql}");
    }
    let views = fixture.planner.views(&fixture.alice, None).await.unwrap();
    let schema = fixture.planner.describe_view(&fixture.alice, &views[0]).await.unwrap();
    assert_eq!(schema.fields().len(), 2);
    // One that cannot be read hides nothing.
    run(&fixture, "DROP TABLE t").await.unwrap();
    assert!(
        fixture
            .rows("SELECT column_name FROM information_schema.columns WHERE table_schema = 'alice'")
            .await
            .is_empty()
    );
    assert!(fixture.planner.describe_view(&fixture.alice, &views[0]).await.is_err());
}

#[tokio::test]
async fn a_ticket_is_for_the_views_that_were_there() {
    let fixture = with_views(&["CREATE VIEW w AS SELECT v FROM t WHERE id < 3"]).await;
    let sql = "SELECT sum(v) FROM w";
    let statement = fixture.planner.plan(&fixture.alice, sql, None).await.unwrap();
    assert!(statement.is_repeatable());
    let again = || {
        PlanRequest::sql(&fixture.alice, sql)
            .with_pins(statement.pins().to_vec())
            .with_views(statement.views())
    };
    run(&fixture, "INSERT INTO t VALUES (0, 5)").await.unwrap();
    let planned = fixture.planner.plan_request(again()).await.unwrap();
    let batches: Vec<_> = planned.execute().await.unwrap().try_collect().await.unwrap();
    assert_eq!(text(&batches), ["30"]);
    run(&fixture, "CREATE OR REPLACE VIEW w AS SELECT v FROM t")
        .await
        .unwrap();
    let error = fixture.planner.plan_request(again()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    run(&fixture, "CREATE OR REPLACE VIEW w AS SELECT v, now() AS at FROM t")
        .await
        .unwrap();
    assert!(
        !fixture
            .planner
            .plan(&fixture.alice, sql, None)
            .await
            .unwrap()
            .is_repeatable()
    );
    let past = SessionOptions {
        as_of: Some("0".to_owned()),
        ..SessionOptions::default()
    };
    let past = PlanRequest::sql(&fixture.alice, sql).with_session(past);
    let batches = fixture
        .planner
        .plan_request(past)
        .await
        .unwrap()
        .execute()
        .await
        .unwrap();
    assert_eq!(text(&batches.try_collect::<Vec<_>>().await.unwrap()), ["10"]);
}

#[tokio::test]
async fn what_is_no_view_is_refused() {
    let fixture = with_views(&["CREATE VIEW w AS SELECT v FROM t", "CREATE VIEW x AS SELECT v FROM w"]).await;
    for (sql, kind, words) in [
        ("CREATE VIEW w AS SELECT 1 AS n", ErrorKind::AlreadyExists, "there"),
        ("CREATE VIEW y AS SELECT * FROM nowhere", ErrorKind::NotFound, "nowhere"),
        (
            "CREATE VIEW y AS SELECT missing FROM t",
            ErrorKind::InvalidSql,
            "missing",
        ),
        (
            "CREATE VIEW y AS SELECT a.v, b.v FROM t a JOIN t b ON a.id = b.id",
            ErrorKind::InvalidSql,
            "\"v\"",
        ),
        ("CREATE VIEW y AS SELECT ? AS n", ErrorKind::Unsupported, "parameters"),
        (
            "CREATE OR REPLACE VIEW w AS SELECT * FROM x",
            ErrorKind::InvalidSql,
            "alice/w -> alice/x -> alice/w",
        ),
        (
            "CREATE MATERIALIZED VIEW y AS SELECT 1 AS n",
            ErrorKind::Unsupported,
            "CREATE TABLE",
        ),
        (
            "CREATE TEMPORARY VIEW y AS SELECT 1 AS n",
            ErrorKind::Unsupported,
            "WITH",
        ),
        ("DROP VIEW nothing", ErrorKind::NotFound, "alice/nothing"),
        ("DROP VIEW t", ErrorKind::NotFound, "DROP TABLE"),
        ("DROP TABLE w", ErrorKind::InvalidArgument, "DROP VIEW"),
        ("INSERT INTO w VALUES (1)", ErrorKind::InvalidArgument, "is a view"),
        ("UPDATE w SET v = 1", ErrorKind::InvalidArgument, "is a view"),
        ("DELETE FROM w", ErrorKind::InvalidArgument, "is a view"),
    ] {
        let error = run(&fixture, sql).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        assert!(error.to_string().contains(words), "{sql}: {error}");
    }
    let error = fixture.sql("SELECT * FROM to_table('w')").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(error.message().contains("is a view"), "{error}");
}

#[tokio::test]
async fn views_of_views_end_somewhere() {
    let fixture = with_views(&["CREATE VIEW w0 AS SELECT v FROM t"]).await;
    let (mut deep, mut wide) = (None, None);
    for number in 1..20 {
        let sql = format!("CREATE VIEW w{number} AS SELECT v FROM w{}", number - 1);
        if let Err(error) = run(&fixture, &sql).await {
            deep = Some(error);
            break;
        }
    }
    run(&fixture, "CREATE VIEW x0 AS SELECT v FROM t").await.unwrap();
    for number in 1..16 {
        let before = number - 1;
        let sql = format!("CREATE VIEW x{number} AS SELECT v FROM x{before} UNION ALL SELECT v FROM x{before}");
        if let Err(error) = run(&fixture, &sql).await {
            wide = Some(error);
            break;
        }
    }
    for (error, words) in [(deep, "at most 16"), (wide, "too large")] {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
        assert!(error.message().contains(words), "{error}");
    }
}
