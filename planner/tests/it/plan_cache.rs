//! Plans that are kept: statements that come again are not planned again, and never see what is no longer so.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, UInt64Array,
};
use arrow::datatypes::Int32Type;
use futures::TryStreamExt;
use jetway_planner::{
    ErrorKind, PlanCacheOptions, PlanRequest, Planner, PlannerOptions, Result, SessionOptions, Statement, Subject,
};

use crate::catalog::{Fixture, push, text};

fn rows(values: impl IntoIterator<Item = i32>) -> RecordBatch {
    let small: Vec<i32> = values.into_iter().collect();
    let n = || small.iter().map(|n| i64::from(*n));
    let cents = Decimal128Array::from_iter_values(n().map(|n| i128::from(n) * 100));
    let kinds = n().map(|n| Some(if n % 2 == 0 { "even" } else { "odd" }));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from_iter_values(n()))),
        ("small", Arc::new(Int32Array::from(small.clone()))),
        (
            "big",
            Arc::new(UInt64Array::from_iter_values(n().map(i64::unsigned_abs))),
        ),
        (
            "half",
            Arc::new(Float64Array::from_iter_values(
                small.iter().map(|n| f64::from(*n) / 2.0),
            )),
        ),
        ("price", Arc::new(cents.with_precision_and_scale(10, 2).unwrap())),
        (
            "name",
            Arc::new(StringArray::from_iter_values(n().map(|n| format!("row {n}")))),
        ),
        ("kind", Arc::new(kinds.collect::<DictionaryArray<Int32Type>>())),
        ("day", Arc::new(Date32Array::from(small.clone()))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

async fn with_table() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.push("t", vec![rows(0..5)]).await.unwrap();
    fixture
}

async fn run(statement: &Statement) -> Result<Vec<String>> {
    let batches: Vec<RecordBatch> = statement.execute().await?.try_collect().await?;
    for batch in &batches {
        assert_eq!(batch.schema(), statement.schema());
    }
    Ok(text(&batches))
}

async fn ask(planner: &Planner, request: PlanRequest) -> Result<Vec<String>> {
    run(&planner.plan_request(request).await?).await
}

/// How many of the statements since `before` were planned before.
fn hits(planner: &Planner, before: u64) -> u64 {
    planner.plan_cache().hits - before
}

#[tokio::test]
async fn statements_that_come_again_are_planned_once() {
    let fixture = with_table().await;
    for (first, again) in [
        ("SELECT 1", "SELECT 1"),
        ("SELECT name FROM t", "SELECT name FROM t"),
        ("SELECT name FROM t WHERE n = 1", "SELECT name FROM t WHERE n = 1"),
        (
            "SELECT half FROM t WHERE n = 1",
            "SELECT half FROM t\n  WHERE n=2 -- another",
        ),
        (
            "SELECT day FROM t WHERE name = 'row 1'",
            "SELECT day FROM t WHERE name = 'nobody'",
        ),
        (
            "SELECT count(*) FROM t WHERE n >= 1 AND small < 3",
            "SELECT count(*) FROM t WHERE n >= 0 AND small < 2",
        ),
        (
            "SELECT a.n FROM t a JOIN t b ON a.n = b.small WHERE a.n > 2",
            "SELECT a.n FROM t a JOIN t b ON a.n = b.small WHERE a.n > 3",
        ),
    ] {
        let before = fixture.planner.plan_cache();
        fixture.sql(first).await.unwrap();
        let between = fixture.planner.plan_cache();
        assert_eq!(
            (between.hits, between.misses),
            (before.hits, before.misses + 1),
            "{first}"
        );
        for _ in 0..2 {
            fixture.sql(again).await.unwrap();
        }
        let after = fixture.planner.plan_cache();
        assert_eq!(
            (after.hits, after.misses),
            (before.hits + 2, before.misses + 1),
            "{again}"
        );
    }
    assert_eq!(fixture.rows("SELECT name FROM t WHERE n = 3").await, ["row 3"]);
    assert_eq!(fixture.rows("SELECT name FROM t WHERE n = 4").await, ["row 4"]);
}

#[tokio::test]
async fn prepared_statements_are_planned_once_for_all_values() {
    let fixture = with_table().await;
    let request = |values: ArrayRef| {
        let values = RecordBatch::try_from_iter_with_nullable([("?", values, true)]).unwrap();
        PlanRequest::sql(&fixture.alice, "SELECT name FROM t WHERE n = ?").with_parameters(Some(values))
    };
    let mut answers = Vec::new();
    for values in [
        Arc::new(Int64Array::from(vec![1])) as ArrayRef,
        Arc::new(Int64Array::from(vec![2])),
        Arc::new(StringArray::from(vec!["3"])),
        Arc::new(Float64Array::from(vec![1.5])),
        Arc::new(Int64Array::from(vec![None])),
        Arc::new(Int64Array::from(vec![4, 0])),
    ] {
        answers.push(ask(&fixture.planner, request(values)).await.unwrap().join(","));
    }
    assert_eq!(answers, ["row 1", "row 2", "row 3", "", "", "row 4,row 0"]);
    assert_eq!(fixture.planner.plan_cache().misses, 1);
    let wrong = request(Arc::new(StringArray::from(vec!["many"])));
    let error = fixture.planner.plan_request(wrong).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let none = PlanRequest::sql(&fixture.alice, "SELECT name FROM t WHERE n = ?");
    let error = fixture.planner.plan_request(none).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

/// Functions that say something else each time, and tables that the node makes up.
#[tokio::test]
async fn statements_that_change_by_themselves_are_planned_each_time() {
    let fixture = with_table().await;
    let before = fixture.planner.plan_cache().hits;
    for sql in [
        "SELECT now()",
        "SELECT random() FROM t WHERE n = 1",
        "SELECT uuid()",
        "SELECT n FROM t WHERE day < current_date AND n = 1",
        "SELECT * FROM at('t', now())",
        "SELECT name FROM system.datasets",
        "SELECT table_name FROM information_schema.tables",
        "SELECT * FROM generate_series(1, 3)",
        "EXPLAIN SELECT * FROM t",
        "SHOW TABLES",
    ] {
        for _ in 0..3 {
            fixture.sql(sql).await.unwrap();
        }
        assert_eq!(hits(&fixture.planner, before), 0, "{sql}");
    }
    // A dataset that is made later may have the name of a function.
    fixture.push("generate_series", vec![rows([7])]).await.unwrap();
    assert_eq!(fixture.rows("SELECT n FROM generate_series").await, ["7"]);
}

/// Each is asked twice before, so that its plan is there in all forms.
async fn warm(fixture: &Fixture) {
    for n in [0, 1, 2] {
        for sql in [
            "SELECT count(*) FROM t".to_owned(),
            format!("SELECT name FROM t WHERE n = {n}"),
        ] {
            fixture.sql(&sql).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_commit_is_seen_at_once() {
    let fixture = with_table().await;
    warm(&fixture).await;
    let old = fixture
        .planner
        .plan(&fixture.alice, "SELECT count(*) FROM t", None)
        .await
        .unwrap();
    // Also one that another process makes.
    for (planner, n) in [(fixture.planner.clone(), 5), (fixture.another_planner(), 6)] {
        push(&planner, &fixture.alice, "t", vec![rows([n])]).await.unwrap();
        assert_eq!(fixture.rows("SELECT count(*) FROM t").await, [(n + 1).to_string()]);
        assert_eq!(
            fixture.rows(&format!("SELECT name FROM t WHERE n = {n}")).await,
            [format!("row {n}")]
        );
    }
    // A ticket of before reads what it saw, whatever is kept.
    let pinned = |sql: &str| PlanRequest::sql(&fixture.alice, sql).with_pins(old.pins().to_vec());
    for _ in 0..2 {
        assert_eq!(
            ask(&fixture.planner, pinned("SELECT count(*) FROM t")).await.unwrap(),
            ["5"]
        );
        assert!(
            ask(&fixture.planner, pinned("SELECT name FROM t WHERE n = 6"))
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["7"]);
        assert_eq!(fixture.rows("SELECT name FROM t WHERE n = 6").await, ["row 6"]);
    }
}

#[tokio::test]
async fn a_dataset_that_is_gone_or_another_one_is_not_read() {
    let fixture = with_table().await;
    warm(&fixture).await;
    let drop = PlanRequest::sql(&fixture.alice, "DROP TABLE t");
    fixture.planner.update(drop, None).await.unwrap();
    for sql in ["SELECT count(*) FROM t", "SELECT name FROM t WHERE n = 1"] {
        assert_eq!(fixture.sql(sql).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
    // The new one has another column of that name.
    let other: ArrayRef = Arc::new(StringArray::from(vec!["1", "2"]));
    let other = RecordBatch::try_from_iter([("n", Arc::clone(&other)), ("name", other)]).unwrap();
    fixture.push("t", vec![other]).await.unwrap();
    assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["2"]);
    assert_eq!(fixture.rows("SELECT name FROM t WHERE n = '1'").await, ["1"]);
}

#[tokio::test]
async fn a_permission_that_is_gone_counts_at_once() {
    let fixture = with_table().await;
    warm(&fixture).await;
    fixture.catalog.deny("alice", true);
    let before = fixture.planner.plan_cache().hits;
    for sql in ["SELECT count(*) FROM t", "SELECT name FROM t WHERE n = 1"] {
        for _ in 0..2 {
            assert_eq!(fixture.sql(sql).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
        }
    }
    assert_eq!(hits(&fixture.planner, before), 0);
    fixture.catalog.deny("alice", false);
    assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["5"]);
}

#[tokio::test]
async fn plans_are_those_of_a_subject_and_its_settings() {
    let fixture = with_table().await;
    let bob = Subject::account("bob".parse().unwrap());
    push(&fixture.planner, &bob, "t", vec![rows([40, 41])]).await.unwrap();
    let counted = |subject: &Subject, schema: Option<&str>| {
        PlanRequest::sql(subject, "SELECT count(*) FROM t").with_session(SessionOptions {
            schema: schema.map(str::to_owned),
            ..SessionOptions::default()
        })
    };
    for _ in 0..3 {
        for (subject, schema, rows) in [
            (&fixture.alice, None, "5"),
            (&bob, None, "2"),
            (&fixture.alice, Some("bob"), "2"),
            (&bob, Some("alice"), "5"),
        ] {
            assert_eq!(ask(&fixture.planner, counted(subject, schema)).await.unwrap(), [rows]);
        }
    }
    fixture.catalog.deny("bob", true);
    let error = ask(&fixture.planner, counted(&bob, Some("alice"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(
        ask(&fixture.planner, counted(&fixture.alice, None)).await.unwrap(),
        ["5"]
    );
    // A text is a time in the time zone of the session.
    let zoned = |zone: &str| {
        let sql =
            "SELECT CAST(CAST('2024-01-01T00:00:00' AS TIMESTAMPTZ) AS BIGINT) / 1000000000 AS s FROM t WHERE n = 1";
        PlanRequest::sql(&fixture.alice, sql).with_session(SessionOptions {
            time_zone: Some(zone.to_owned()),
            ..SessionOptions::default()
        })
    };
    for _ in 0..3 {
        for (zone, seconds) in [("UTC", "1704067200"), ("+02:00", "1704060000")] {
            assert_eq!(ask(&fixture.planner, zoned(zone)).await.unwrap(), [seconds], "{zone}");
        }
    }
}

/// The plan for all values gives what the plan of the text gives: rows, schemas and mistakes.
#[tokio::test]
async fn a_kept_plan_gives_what_a_new_one_gives() {
    let fixture = with_table().await;
    let options = PlannerOptions {
        plan_cache: PlanCacheOptions { plans: 0, memory: 0 },
        ..PlannerOptions::default()
    };
    let plain = Planner::new(Arc::clone(&fixture.catalog) as Arc<_>, options).unwrap();
    let answer = async |planner: &Planner, sql: &str| {
        let statement = planner.plan(&fixture.alice, sql, None).await;
        let statement = statement.map_err(|error| (error.kind(), error.message().to_owned()))?;
        let rows = run(&statement)
            .await
            .map_err(|error| (error.kind(), error.message().to_owned()))?;
        // An answer without rows is in any order.
        let is_ordered = rows.is_empty() || statement.is_ordered();
        Ok::<_, (ErrorKind, String)>((statement.schema(), is_ordered, statement.is_repeatable(), rows))
    };
    let columns = [
        "n",
        "small",
        "big",
        "half",
        "price",
        "name",
        "kind",
        "day",
        "\"offset\"",
        "event_time",
        "nothing",
    ];
    let values = [
        "1",
        "3",
        "5000000000",
        "9007199254740993",
        "9223372036854775808",
        "'1'",
        "'row 2'",
        "'odd'",
        "'1970-01-03'",
    ];
    let mut wrong = Vec::new();
    let mut conditions: Vec<String> = Vec::new();
    for column in columns {
        for (value, operator) in values.iter().zip(["=", "<>", "<", ">="].iter().cycle()) {
            conditions.push(format!("{column} {operator} {value}"));
        }
    }
    for other in [
        "n = 1 OR n = 3",
        "n = 1 AND n = 3",
        "n + small = 4",
        "n % 2 = 0 AND name <> 'row 2'",
        "NOT (n = 1)",
        "1 = n",
        "n = 1 AND 2 = 2",
        "n / 0 = 1",
        "CAST(name AS BIGINT) = 1",
        "kind || 'x' = 'oddx'",
        "n = 1 = true",
        "coalesce(n, 0) = 2",
    ] {
        conditions.push(other.to_owned());
    }
    for condition in &conditions {
        let lists = [
            "name FROM t",
            "*, n = 1 AS one FROM t",
            "max(n), count(*) AS c FROM t",
            "n AS m, n FROM t",
        ];
        // One list for each is enough.
        let list = lists[condition.len() % lists.len()];
        let order = if list.starts_with("max") { "" } else { " ORDER BY 1" };
        let sql = format!("SELECT {list} WHERE {condition}{order}");
        let expected = answer(&plain, &sql).await;
        for time in 0..3 {
            let found = answer(&fixture.planner, &sql).await;
            if found != expected {
                wrong.push(format!("{sql}, time {time}: {found:?} instead of {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(fixture.planner.plan_cache().hits > 100);
    assert_eq!(plain.plan_cache(), jetway_planner::PlanCacheFigures::default());
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let fixture = with_table().await;
    let options = PlannerOptions {
        plan_cache: PlanCacheOptions {
            plans: 3,
            memory: 1 << 20,
        },
        ..PlannerOptions::default()
    };
    let fixture = fixture.restarted(options);
    for n in 0..10 {
        fixture.sql(&format!("SELECT {n}")).await.unwrap();
        // Whatever is used stays.
        fixture.sql("SELECT 0").await.unwrap();
    }
    let figures = fixture.planner.plan_cache();
    assert_eq!((figures.plans, figures.hits), (3, 10));
    assert!(figures.memory > 0 && figures.memory <= 1 << 20);
}
