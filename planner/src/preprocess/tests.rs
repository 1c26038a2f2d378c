//! What SQL over arriving rows gives, in which order, and what it may not do.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::{StreamExt, TryStreamExt, stream};
use jetway_odf::metadata::{SqlQueryStep, TemporalTable, Transform, TransformSql};

use crate::session::Engine;
use crate::{BatchStream, Error, ErrorKind, PlannerOptions, Result, preprocess};

fn numbers(from: i64, to: i64) -> RecordBatch {
    let names: Vec<String> = (from..to).map(|number| format!("n{number}")).collect();
    RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from_iter_values(from..to)) as ArrayRef),
        ("Name", Arc::new(StringArray::from(names)) as ArrayRef),
    ])
    .unwrap()
}

fn rows(batches: Vec<Result<RecordBatch>>) -> BatchStream {
    BatchStream::new(numbers(0, 0).schema(), stream::iter(batches))
}

fn steps(steps: &[(Option<&str>, &str)]) -> TransformSql {
    let queries = steps.iter().map(|(alias, query)| SqlQueryStep {
        alias: alias.map(ToOwned::to_owned),
        query: (*query).to_owned(),
    });
    TransformSql {
        engine: "datafusion".to_owned(),
        version: None,
        query: None,
        queries: Some(queries.collect()),
        temporal_tables: None,
    }
}

fn one(query: &str) -> TransformSql {
    steps(&[(None, query)])
}

async fn run(sql: TransformSql, input: BatchStream) -> Result<Vec<RecordBatch>> {
    // More cores than one must not change the order.
    let options = PlannerOptions {
        parallelism: 4,
        ..PlannerOptions::default()
    };
    let engine = Engine::new(&options).unwrap();
    let rows = preprocess::run(&Transform::Sql(sql), input, &engine).await?;
    let schema = rows.schema();
    let batches: Vec<RecordBatch> = rows.try_collect().await?;
    assert!(batches.iter().all(|batch| batch.schema() == schema));
    Ok(batches)
}

/// The result as text: columns apart by a space, rows by a comma.
async fn text(sql: TransformSql) -> String {
    let batches = run(sql, rows(vec![Ok(numbers(0, 3)), Ok(numbers(3, 5))]))
        .await
        .unwrap();
    let options = FormatOptions::default().with_null("null");
    let mut lines = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| {
                let column: &dyn Array = column.as_ref();
                ArrayFormatter::try_new(column, &options)
                    .unwrap()
                    .value(row)
                    .to_string()
            });
            lines.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    lines.join(",")
}

async fn failure(sql: TransformSql) -> Error {
    run(sql, rows(vec![Ok(numbers(0, 3))])).await.unwrap_err()
}

#[tokio::test]
async fn one_query_maps_and_filters_in_the_order_of_arrival() {
    let sql = one(r#"select n * 10 as ten, "Name" from input where n <> 1"#);
    assert_eq!(text(sql).await, "0 n0,20 n2,30 n3,40 n4");
}

#[tokio::test]
async fn steps_read_the_steps_before_them() {
    let sql = steps(&[
        (Some("even"), "select n from input where n % 2 = 0"),
        (Some("doubled"), "select n * 2 as n from even"),
        (None, "select n + 1 as n from doubled"),
    ]);
    assert_eq!(text(sql).await, "1,5,9");
}

#[tokio::test]
async fn the_short_form_and_a_named_last_step_work_too() {
    let short = TransformSql {
        query: Some("select max(n) as n from input".to_owned()),
        queries: None,
        ..one("")
    };
    assert_eq!(text(short).await, "4");
    assert_eq!(
        text(steps(&[(Some("output"), "select min(n) as n from input")])).await,
        "0"
    );
}

#[tokio::test]
async fn an_input_that_is_read_twice_is_kept_and_stays_in_order() {
    let union = one("select n from input where n < 2 union all select -n from input");
    assert_eq!(text(union).await, "0,1,0,-1,-2,-3,-4");
    let join = one("select a.n, b.n from input a join input b on a.n = b.n + 1 order by 1");
    assert_eq!(text(join).await, "1 0,2 1,3 2,4 3");
    let subquery = one("select n from input where n = (select max(n) from input)");
    assert_eq!(text(subquery).await, "4");
    let steps = steps(&[
        (Some("low"), "select n from input where n < 2"),
        (None, "select n from low union all select n from low"),
    ]);
    assert_eq!(text(steps).await, "0,1,0,1");
}

#[tokio::test]
async fn many_rows_keep_their_order() {
    let batches = (0..50).map(|index| Ok(numbers(index * 1000, (index + 1) * 1000)));
    let result = run(one("select n from input where n % 3 = 0"), rows(batches.collect()))
        .await
        .unwrap();
    let mut expected = (0..50_000).filter(|number| number % 3 == 0);
    for batch in &result {
        let column = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
        assert!(column.values().iter().all(|number| expected.next() == Some(*number)));
    }
    assert_eq!(expected.next(), None);
}

#[tokio::test]
async fn rows_flow_while_they_arrive() {
    let (sender, receiver) = futures::channel::mpsc::unbounded();
    let engine = Engine::new(&PlannerOptions::default()).unwrap();
    let input = BatchStream::new(numbers(0, 0).schema(), receiver);
    let transform = Transform::Sql(one("select n from input"));
    let mut rows = preprocess::run(&transform, input, &engine).await.unwrap();
    for index in 0..3 {
        sender.unbounded_send(Ok(numbers(index, index + 1))).unwrap();
        assert_eq!(rows.next().await.unwrap().unwrap().num_rows(), 1);
    }
    drop(sender);
    assert!(rows.next().await.is_none());
}

#[tokio::test]
async fn a_failing_input_fails_the_result_as_it_is() {
    let bad = || Error::new(ErrorKind::InvalidArgument, "file f, line 3: no number");
    for query in [
        "select n from input",
        "select n from input union all select n from input",
    ] {
        let error = run(one(query), rows(vec![Ok(numbers(0, 2)), Err(bad())]))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert_eq!(error.message(), "file f, line 3: no number");
    }
}

#[tokio::test]
async fn mistakes_name_their_step() {
    let error = failure(steps(&[(Some("a"), "select n from input"), (None, "select m from a")])).await;
    assert_eq!(error.kind(), ErrorKind::InvalidSql);
    assert!(error.to_string().contains("step 2"), "{error}");
    assert!(error.to_string().contains('m'), "{error}");

    let error = failure(steps(&[(None, "select n from input"), (None, "select 1")])).await;
    assert!(
        error.to_string().contains("step 1 of the source's SQL has no alias"),
        "{error}"
    );

    let error = failure(steps(&[
        (Some("input"), "select 1 as n"),
        (None, "select n from input"),
    ]))
    .await;
    assert!(error.to_string().contains("`input`"), "{error}");

    assert_eq!(failure(steps(&[])).await.kind(), ErrorKind::InvalidSql);
}

#[tokio::test]
async fn nothing_but_the_input_can_be_reached() {
    for query in [
        "copy input to '/tmp/jetway-must-not-exist.csv'",
        "create external table t stored as csv location '/etc/passwd'",
        "create table t as select * from input",
        "insert into input select * from input",
        "set datafusion.execution.batch_size = 1",
        "explain select * from input",
        "select 1; select 2",
    ] {
        let error = failure(one(query)).await;
        assert!(
            matches!(error.kind(), ErrorKind::InvalidSql | ErrorKind::Unsupported),
            "{query}: {error}"
        );
    }
    for query in [
        "select * from '/etc/passwd'",
        "select * from alice.secrets",
        "select * from 'http://127.0.0.1/a.csv'",
    ] {
        let error = failure(one(query)).await;
        assert_eq!(error.kind(), ErrorKind::InvalidSql, "{query}: {error}");
    }
}

#[tokio::test]
async fn other_engines_and_temporal_tables_are_refused() {
    let spark = TransformSql {
        engine: "spark".to_owned(),
        ..one("select * from input")
    };
    let error = failure(spark).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("spark"), "{error}");
    let temporal = TransformSql {
        temporal_tables: Some(vec![TemporalTable {
            name: "input".to_owned(),
            primary_key: vec!["n".to_owned()],
        }]),
        ..one("select * from input")
    };
    assert_eq!(failure(temporal).await.kind(), ErrorKind::Unsupported);
}
