//! Statements that are meant to do harm, and those that need more than there is: each is refused, or stays within its limits.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use jetway_planner::{ErrorKind, PlannerOptions, Result, Subject, SystemTableSource, Usage};

use crate::catalog::Fixture;

const MIB: usize = 1024 * 1024;

async fn small(memory: usize, spill: u64) -> Fixture {
    Fixture::new().await.restarted(PlannerOptions {
        memory_limit: memory,
        statement_spill_limit: spill,
        ..PlannerOptions::default()
    })
}

fn many(count: usize, item: &str, between: &str) -> String {
    vec![item; count].join(between)
}

#[tokio::test]
async fn nothing_leads_out_of_the_sandbox() {
    let fixture = Fixture::new().await;
    for (sql, kind, words) in [
        ("COPY (SELECT 1) TO '/tmp/out.csv'", ErrorKind::Unsupported, "COPY"),
        ("SELECT * FROM '/etc/passwd'", ErrorKind::InvalidArgument, "name"),
        ("SELECT * FROM '../../etc/passwd'", ErrorKind::InvalidArgument, "name"),
        ("SELECT * FROM 'file:///etc/passwd'", ErrorKind::InvalidArgument, "name"),
        (
            "SELECT * FROM 'http://localhost/x.csv'",
            ErrorKind::InvalidArgument,
            "name",
        ),
        (
            "SELECT * FROM \"s3://bucket/x.parquet\"",
            ErrorKind::InvalidArgument,
            "name",
        ),
        (
            "SELECT * FROM read_csv('/etc/passwd')",
            ErrorKind::NotFound,
            "table function",
        ),
        ("SELECT * FROM read_parquet('x')", ErrorKind::NotFound, "table function"),
        (
            "SELECT * FROM parquet_metadata('x')",
            ErrorKind::NotFound,
            "table function",
        ),
        ("SELECT * FROM glob('/etc/*')", ErrorKind::NotFound, "table function"),
        ("SELECT * FROM metadata_cache()", ErrorKind::NotFound, "table function"),
        (
            "SELECT pg_read_file('/etc/passwd')",
            ErrorKind::InvalidSql,
            "pg_read_file",
        ),
        ("SELECT getenv('HOME')", ErrorKind::InvalidSql, "getenv"),
        ("SET datafusion.execution.batch_size = 1", ErrorKind::Unsupported, "SET"),
        ("RESET ALL", ErrorKind::Unsupported, "RESET"),
        ("PREPARE p AS SELECT 1", ErrorKind::Unsupported, "PREPARE"),
        ("EXECUTE p", ErrorKind::Unsupported, "EXECUTE"),
        ("DEALLOCATE p", ErrorKind::Unsupported, "DEALLOCATE"),
        (
            "CREATE FUNCTION f() RETURNS INT RETURN 1",
            ErrorKind::Unsupported,
            "CREATE FUNCTION",
        ),
        ("CREATE DATABASE x", ErrorKind::Unsupported, "CREATE DATABASE"),
        ("ATTACH 'x' AS y", ErrorKind::Unsupported, "ATTACH"),
        ("EXPLAIN COPY (SELECT 1) TO 'x'", ErrorKind::Unsupported, "COPY"),
    ] {
        let error = fixture.sql(sql).await.expect_err(sql);
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        assert!(error.to_string().contains(words), "{sql}: {error}");
    }
}

#[tokio::test]
async fn statements_are_refused_that_are_too_large() {
    let fixture = Fixture::new().await;
    let doubling: Vec<String> = (1..40)
        .map(|name| format!("c{name} AS (SELECT a FROM c{0} UNION ALL SELECT a FROM c{0})", name - 1))
        .collect();
    for sql in [
        format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000)),
        format!("SELECT {}1{}", "(".repeat(200), ")".repeat(200)),
        format!("SELECT {}", many(10_000, "true", " AND ")),
        format!("SELECT {}", many(10_000, "1", " + ")),
        many(10_000, "SELECT 1", " UNION ALL "),
        format!(
            "SELECT {}1{}",
            "CASE WHEN true THEN ".repeat(10_000),
            " END".repeat(10_000)
        ),
        format!("{}SELECT 1{}", "SELECT * FROM (".repeat(10_000), ")".repeat(10_000)),
        format!("SELECT 1 FROM {}", many(2000, "generate_series(1, 1)", ", ")),
        format!("SELECT {} FROM (SELECT 1 AS a)", many(100_000, "*", ", ")),
        format!(
            "WITH c0 AS (SELECT 1 AS a), {} SELECT count(*) FROM c39",
            doubling.join(", ")
        ),
        format!("SELECT '{}'", "x".repeat(2 * MIB)),
    ] {
        let error = fixture.sql(&sql).await.expect_err(&sql[..60]);
        assert_eq!(error.kind(), ErrorKind::InvalidSql, "{}: {error}", &sql[..60]);
    }
    // What is large but reasonable is not.
    let conditions: Vec<String> = (0..300)
        .map(|value| format!("(value = {value} AND value >= 0)"))
        .collect();
    let sql = format!(
        "SELECT count(*) FROM generate_series(1, 9) WHERE {}",
        conditions.join(" OR ")
    );
    assert_eq!(fixture.rows(&sql).await, ["9"]);
    let list: Vec<String> = (0..5000).map(|value| value.to_string()).collect();
    let sql = format!(
        "SELECT count(*) FROM generate_series(1, 9) WHERE value IN ({})",
        list.join(", ")
    );
    assert_eq!(fixture.rows(&sql).await, ["9"]);
}

#[tokio::test]
async fn what_would_take_all_memory_or_disk_is_told_so() {
    let fixture = small(32 * MIB, 32 * MIB as u64).await;
    for sql in [
        // DataFusion reads the first side of such a join a second time when it does not fit into memory.
        "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b, generate_series(1, 100000) c \
         WHERE a.value + b.value > c.value",
        "SELECT count(*) FROM generate_series(1, 50000000) a JOIN generate_series(1, 50000000) b ON a.value % 5 = b.value % 7 + 1",
        "SELECT length(array_agg(value)) FROM generate_series(1, 100000000)",
        "SELECT length(string_agg('some text ' || value, ',')) FROM generate_series(1, 100000000)",
        "SELECT max(s) FROM (SELECT sum(value) OVER () AS s FROM generate_series(1, 100000000))",
        "SELECT max(s) FROM (SELECT sum(value) OVER (ORDER BY value) AS s FROM generate_series(1, 100000000))",
        "SELECT length(repeat('x', 1000000000000))",
        "SELECT sum(length(repeat('x', value * 1000))) FROM generate_series(1, 100000)",
        "SELECT length(lpad('x', 2000000000))",
        "SELECT length(range(1, 1000000000000))",
        "SELECT length(array_repeat(1, 10000000000))",
        "SELECT levenshtein(repeat('a', 1000000), repeat('b', 1000000))",
    ] {
        let error = fixture.sql(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{sql}: {error}");
        assert!(error.message().contains(": "), "it says what to do: {error}");
    }
    assert_eq!(fixture.planner.memory().0, 0);
    assert_eq!(fixture.planner.spilled(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_never_end_stops_when_nobody_wants_it_any_more() {
    let fixture = small(256 * MIB, 1 << 30).await;
    for sql in [
        "SELECT count(*) FROM generate_series(1, 1000000000000000000) WHERE value < 0",
        "SELECT count(*) FROM generate_series(1, 10000000) a, generate_series(1, 10000000) b WHERE a.value * b.value = 7",
        "SELECT count(*) FROM generate_series(1, 2000000) a JOIN generate_series(1, 2000000) b ON a.value < b.value - 100000000",
        "SELECT count(*) FROM generate_series(1, 500000) a JOIN generate_series(1, 500000) b \
         ON a.value % 1 = b.value % 1 AND a.value + b.value < 0",
        "SELECT count(*) FROM generate_series(1, 500000) a WHERE EXISTS \
         (SELECT 1 FROM generate_series(1, 500000) b WHERE a.value % 1 = b.value % 1 AND a.value + b.value < 0)",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t",
    ] {
        let statement = fixture.planner.plan(&fixture.alice, sql, None).await.unwrap();
        let usage = Usage::default();
        let mut stream = statement.execute_as(&usage).await.unwrap();
        let waited = tokio::time::timeout(Duration::from_millis(300), stream.next()).await;
        assert!(waited.is_err(), "{sql}: {waited:?}");
        // A second one at the same time: with as many as there are threads, others get their turn all the same.
        let others = (0..8).map(|_| statement.execute()).collect::<Vec<_>>();
        let running = futures::future::try_join_all(others).await.unwrap();
        assert_eq!(
            fixture.rows("SELECT count(*) FROM generate_series(1, 1000)").await,
            ["1000"],
            "{sql}"
        );
        drop((stream, running));
        while fixture.planner.memory().0 > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn joins_without_equal_columns_are_right_in_a_small_memory() {
    let fixture = small(MIB, 1 << 30).await;
    let many = "(SELECT value FROM generate_series(1, 300000)) a";
    let few = "(SELECT value FROM generate_series(1, 3)) b";
    for (join, on, expected) in [
        ("JOIN", "a.value < b.value", 3),
        ("RIGHT JOIN", "a.value < b.value", 4),
        ("LEFT JOIN", "a.value < b.value", 300_001),
        ("FULL JOIN", "a.value < b.value", 300_002),
        ("LEFT SEMI JOIN", "a.value < b.value", 2),
        ("LEFT ANTI JOIN", "a.value < b.value", 299_998),
    ] {
        for sides in [
            format!("{many} {join} {few}"),
            format!("{few} {} {many}", swapped(join)),
        ] {
            let sql = format!("SELECT count(*) FROM {sides} ON {on}");
            match fixture.sql(&sql).await {
                Ok(rows) => assert_eq!(crate::catalog::text(&rows), [expected.to_string()], "{sql}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{sql}: {error}"),
            }
        }
    }
}

fn swapped(join: &str) -> String {
    match join.split_once(' ') {
        Some(("LEFT", rest)) => format!("RIGHT {rest}"),
        Some(("RIGHT", rest)) => format!("LEFT {rest}"),
        _ => join.to_owned(),
    }
}

// A sort must not need more memory than a small node has.
#[tokio::test]
async fn sorts_spill_in_a_small_memory() {
    let fixture = small(16 * MIB, 1 << 30).await;
    let texts = "SELECT repeat('x', 80) || ((value * 7919) % 200003) AS t, value FROM generate_series(1, 200000)";
    for (sql, expected) in [
        (
            format!(
                "SELECT count(*), sum(p * value % 1000) FROM (SELECT value, row_number() OVER (ORDER BY t, value) AS p FROM ({texts}))"
            ),
            None,
        ),
        (
            format!("SELECT count(*) FROM (SELECT DISTINCT t FROM ({texts}))"),
            Some("200000"),
        ),
    ] {
        let statement = fixture.planner.plan(&fixture.alice, &sql, None).await.unwrap();
        let usage = Usage::default();
        let batches: Vec<RecordBatch> = statement.execute_as(&usage).await.unwrap().try_collect().await.unwrap();
        assert!(usage.spilled() > 0, "{sql}");
        assert!(usage.peak_memory() <= 16 * MIB, "{sql}: {}", usage.peak_memory());
        let roomy = Fixture::new().await.rows(&sql).await;
        assert_eq!(crate::catalog::text(&batches), roomy, "{sql}");
        if let Some(expected) = expected {
            assert_eq!(roomy, [expected]);
        }
    }
    assert_eq!(fixture.planner.spilled(), 0);
}

/// A fault of the program, wherever it comes from.
#[derive(Debug)]
struct Faulty;

#[async_trait]
impl SystemTableSource for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::empty())
    }

    async fn rows(&self, _: &Subject) -> Result<RecordBatch> {
        panic!("a fault that a test makes")
    }
}

#[tokio::test]
async fn a_fault_ends_its_statement_alone() {
    let fixture = Fixture::new().await.restarted(PlannerOptions {
        system_tables: vec![Arc::new(Faulty)],
        ..PlannerOptions::default()
    });
    let padded = format!("SELECT * FROM system.faulty -- {}", "x".repeat(32 * 1024));
    for sql in ["SELECT * FROM system.faulty", &padded] {
        let error = fixture.sql(sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal, "{error}");
        assert_eq!(fixture.rows("SELECT 40 + 2").await, ["42"]);
    }
}
