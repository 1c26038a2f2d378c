//! Parameters: their types, and what statements give for their values.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float64Array, Int32Array,
    Int64Array, ListArray, NullArray, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Int64Type, i256};
use futures::{TryStreamExt, stream};
use jetway_planner::{BatchStream, ErrorKind, PlanRequest, Result};

use crate::catalog::{Fixture, text};

async fn with_table() -> Fixture {
    let fixture = Fixture::new().await;
    let batches = fixture
        .sql(
            "SELECT n, 'name' || n AS name, CAST(n * 1.5 AS DECIMAL(8, 2)) AS price, n % 2 = 0 AS even,
                arrow_cast(to_timestamp_seconds(1704067200 + n * 86400), 'Timestamp(Microsecond, Some(\"UTC\"))') AS event_time, DATE '2024-01-01' AS day, [n, n + 1] AS list
            FROM generate_series(1, 5) AS t(n)",
        )
        .await
        .unwrap();
    let batches = batches.iter().map(|batch| {
        let names = batch
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect::<Vec<_>>();
        let columns = names
            .into_iter()
            .zip(batch.columns().iter().cloned())
            .map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    });
    fixture.push("t", batches.collect()).await.unwrap();
    fixture
}

async fn types(fixture: &Fixture, sql: &str) -> Result<String> {
    let prepared = fixture.planner.prepare(PlanRequest::sql(&fixture.alice, sql)).await?;
    let fields = prepared.parameters.fields().iter().zip(1..).map(|(field, number)| {
        assert_eq!(*field.name(), format!("${number}"));
        assert!(field.is_nullable());
        field.data_type().to_string()
    });
    Ok(fields.collect::<Vec<_>>().join(", "))
}

fn row(values: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(values.into_iter().map(|value| ("?", value, true))).unwrap()
}

async fn run(fixture: &Fixture, sql: &str, values: RecordBatch) -> Result<Vec<String>> {
    let request = PlanRequest::sql(&fixture.alice, sql).with_parameters(Some(values));
    let statement = fixture.planner.plan_request(request).await?;
    let batches: Vec<RecordBatch> = statement.execute().await?.try_collect().await?;
    for batch in &batches {
        assert_eq!(batch.schema(), statement.schema());
    }
    Ok(text(&batches))
}

#[tokio::test]
async fn types_come_from_the_places_where_parameters_stand() {
    let fixture = with_table().await;
    let mut wrong = Vec::new();
    for (sql, expected) in [
        ("SELECT 1", ""),
        ("SELECT * FROM t WHERE n = ?", "Int64"),
        ("SELECT * FROM t WHERE ? = n", "Int64"),
        ("SELECT * FROM t WHERE name = $2 AND n = $1", "Int64, Utf8"),
        ("SELECT * FROM t WHERE n > ? + 1", "Int64"),
        ("SELECT * FROM t WHERE n + ? > 3", "Int64"),
        (
            "SELECT * FROM t WHERE price BETWEEN ? AND ?",
            "Decimal128(8, 2), Decimal128(8, 2)",
        ),
        ("SELECT * FROM t WHERE n IN (?, 2, ?)", "Int64, Int64"),
        ("SELECT * FROM t WHERE ? IN (1, 2)", "Int64"),
        ("SELECT * FROM t WHERE name LIKE ?", "Utf8"),
        ("SELECT * FROM t WHERE ? LIKE 'n%'", "Utf8"),
        ("SELECT * FROM t WHERE day >= ?", "Date32"),
        ("SELECT * FROM t WHERE event_time >= ?", "Timestamp(µs, \"UTC\")"),
        ("SELECT * FROM t WHERE even = ?", "Boolean"),
        ("SELECT * FROM t WHERE ?", "Boolean"),
        ("SELECT * FROM t WHERE NOT ? OR ?", "Boolean, Boolean"),
        ("SELECT * FROM t WHERE list = ?", "List(Int64)"),
        ("SELECT * FROM t LIMIT ? OFFSET ?", "Int64, Int64"),
        (
            "SELECT CAST(? AS INT), CAST(? AS DECIMAL(20, 3)), ?::DATE",
            "Int32, Decimal128(20, 3), Date32",
        ),
        (
            "SELECT upper(?), substr(name, ?), coalesce(n, ?) FROM t",
            "Utf8, Int64, Int64",
        ),
        ("SELECT abs(?)", "Float64"),
        (
            "SELECT sum(n) FILTER (WHERE n > ?) FROM t HAVING count(*) > ?",
            "Int64, Int64",
        ),
        ("SELECT CASE WHEN n = ? THEN ? ELSE 'x' END FROM t", "Int64, Utf8"),
        ("SELECT CASE n WHEN ? THEN 1 END FROM t", "Int64"),
        ("SELECT name || ? FROM t", "Utf8"),
        ("SELECT * FROM t WHERE n IN (SELECT n FROM t WHERE name = ?)", "Utf8"),
        ("SELECT * FROM t WHERE ? IN (SELECT n FROM t)", "Int64"),
        (
            "WITH x AS (SELECT * FROM t WHERE n = ?) SELECT * FROM x JOIN t USING (n) WHERE t.name = ?",
            "Int64, Utf8",
        ),
        (
            "SELECT n FROM t WHERE n = ? UNION ALL SELECT n FROM t WHERE name = ?",
            "Int64, Utf8",
        ),
        ("VALUES (1, ?), (?, 'x')", "Utf8, Int64"),
        // Anything would do.
        ("SELECT ?", "Utf8"),
        ("SELECT $1, $3", "Utf8, Utf8, Utf8"),
        ("SELECT ? = ?", "Utf8, Utf8"),
        ("SELECT * FROM t WHERE n = $1 OR name = $1", "Utf8"),
        ("SELECT * FROM t WHERE event_time > now() - ?", "Interval(MonthDayNano)"),
        ("SELECT ? + ?", "Int64, Int64"),
        ("SELECT [?, 1]", "Int64"),
        // Columns that are filled.
        (
            "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)",
            "Int64, Utf8, Decimal128(8, 2), Boolean, Date32, List(Int64)",
        ),
        ("INSERT INTO t (name, n) VALUES ($2, $1)", "Int64, Utf8"),
        (
            "INSERT INTO t (n, price) VALUES (?, 1), (2, ?)",
            "Int64, Decimal128(8, 2)",
        ),
        (
            "INSERT INTO t (n, name) SELECT n + ?, ? FROM t WHERE day = ?",
            "Int64, Utf8, Date32",
        ),
        ("EXPLAIN SELECT * FROM t WHERE n = ?", "Int64"),
        ("SELECT '?', \"name\" /* ? */ FROM t WHERE n = ? -- ?", "Int64"),
    ] {
        match types(&fixture, sql).await {
            Ok(found) if found == expected => {}
            found => wrong.push((sql, found.map_err(|error| error.to_string()))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

#[tokio::test]
async fn values_mean_what_literals_mean() {
    let fixture = with_table().await;
    let mut wrong = Vec::new();
    let decimal = |value: i128, scale| -> ArrayRef {
        Arc::new(
            Decimal128Array::from(vec![value])
                .with_precision_and_scale(20, scale)
                .unwrap(),
        )
    };
    let micros = |zone: Option<&str>| -> ArrayRef {
        let day = 1_704_067_200_000_000 + 2 * 86_400_000_000;
        Arc::new(TimestampMicrosecondArray::from(vec![day]).with_timezone_opt(zone))
    };
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some([
        Some(2),
        Some(3),
    ])]));
    let null: ArrayRef = Arc::new(NullArray::new(1));
    let n = |filter: &str| format!("SELECT n FROM t WHERE {filter} ORDER BY n");
    for (sql, values, expected) in [
        (n("n = ?"), vec![ints([3])], "3"),
        (n("n = ?"), vec![Arc::new(Int32Array::from(vec![3])) as ArrayRef], "3"),
        (
            n("n = ?"),
            vec![Arc::new(UInt64Array::from(vec![u64::MAX])) as ArrayRef],
            "",
        ),
        (
            n("n > ?"),
            vec![Arc::new(Float64Array::from(vec![3.5])) as ArrayRef],
            "4 5",
        ),
        (n("n = ?"), vec![texts(&["3"])], "3"),
        (n("n = ?"), vec![Arc::clone(&null)], ""),
        (n("n = coalesce(?, 2)"), vec![Arc::clone(&null)], "2"),
        (n("n IN (?, ?)"), vec![ints([1]), ints([4])], "1 4"),
        (n("name LIKE ?"), vec![texts(&["%3"])], "3"),
        (n("price = ?"), vec![decimal(450, 2)], "3"),
        (n("price > ?"), vec![decimal(4_501, 3)], "4 5"),
        (
            n("price > ?"),
            vec![Arc::new(Float64Array::from(vec![4.501])) as ArrayRef],
            "4 5",
        ),
        (
            n("price = ?"),
            vec![Arc::new(
                Decimal256Array::from(vec![i256::from(45)])
                    .with_precision_and_scale(50, 1)
                    .unwrap(),
            ) as ArrayRef],
            "3",
        ),
        (n("event_time = ?"), vec![micros(Some("UTC"))], "2"),
        (n("event_time = ?"), vec![micros(None)], "2"),
        (n("event_time = ?"), vec![micros(Some("+02:00"))], "2"),
        (n("event_time < ?"), vec![texts(&["2024-01-03T00:00:00Z"])], "1"),
        (
            n("day = ?"),
            vec![Arc::new(Date32Array::from(vec![19_723])) as ArrayRef],
            "1 2 3 4 5",
        ),
        (
            n("even = ?"),
            vec![Arc::new(BooleanArray::from(vec![true])) as ArrayRef],
            "2 4",
        ),
        (n("list = ?"), vec![Arc::clone(&list)], "2"),
        (
            "SELECT n FROM t ORDER BY n LIMIT ? OFFSET ?".to_owned(),
            vec![ints([2]), ints([1])],
            "2 3",
        ),
        ("SELECT ? + ?".to_owned(), vec![ints([2]), ints([3])], "5"),
        (
            "SELECT ? + ?".to_owned(),
            vec![Arc::new(Float64Array::from(vec![0.5])) as ArrayRef, ints([3])],
            "3.5",
        ),
        ("SELECT ?".to_owned(), vec![ints([7])], "7"),
        ("SELECT ?".to_owned(), vec![list], "[2, 3]"),
        ("SELECT ?".to_owned(), vec![Arc::clone(&null)], "null"),
        (
            "SELECT ?".to_owned(),
            vec![Arc::new(BinaryArray::from_vec(vec![b"\x00\xff"])) as ArrayRef],
            "00ff",
        ),
        (
            "VALUES (1), (?)".to_owned(),
            vec![Arc::new(Float64Array::from(vec![2.5])) as ArrayRef],
            "1.0 2.5",
        ),
        (
            "SELECT $2 || $1 || $2".to_owned(),
            vec![texts(&["a"]), texts(&["b"])],
            "bab",
        ),
        ("SELECT abs(?)".to_owned(), vec![ints([-2])], "2.0"),
        (
            "SELECT max(n) FROM t WHERE event_time > TIMESTAMP '2024-01-05T00:00:00Z' - ?".to_owned(),
            vec![Arc::new(arrow::array::IntervalMonthDayNanoArray::from(vec![
                arrow::datatypes::IntervalMonthDayNano::new(0, 1, 0),
            ])) as ArrayRef],
            "5",
        ),
    ] {
        match run(&fixture, &sql, row(values.clone())).await {
            Ok(found) if found.join(" ") == expected => {}
            found => wrong.push((sql, values, found.map_err(|error| error.to_string()))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn many_rows_give_their_results_one_after_the_other() {
    let fixture = with_table().await;
    let sql = "SELECT n, name FROM t WHERE n = ? OR name = ? ORDER BY n";
    let values = row(vec![ints([5, 9, 1]), texts(&["name2", "x", "name1"])]);
    assert_eq!(
        run(&fixture, sql, values.clone()).await.unwrap(),
        ["2 name2", "5 name5", "1 name1"]
    );
    assert!(run(&fixture, sql, values.slice(0, 0)).await.unwrap().is_empty());
    let nulls: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(2)]));
    assert_eq!(
        run(&fixture, "SELECT ? AS v", row(vec![nulls])).await.unwrap(),
        ["null", "2"]
    );
}

#[tokio::test]
async fn an_update_with_many_rows_is_one_commit() {
    let fixture = with_table().await;
    let blocks = async || fixture.dataset("t").await.head;
    let request = |sql: &str| PlanRequest::sql(&fixture.alice, sql);
    for (sql, given, rows, names) in [
        (
            "INSERT INTO t (n, name) VALUES (?, ?)",
            row(vec![ints([11, 12, 13]), texts(&["a", "b", "c"])]),
            3,
            "a b c",
        ),
        (
            "INSERT INTO t (name, n) VALUES (upper($2), $1 + 10)",
            row(vec![ints([11, 12]), texts(&["d", "e"])]),
            2,
            "D E",
        ),
        (
            "INSERT INTO t (n, name) VALUES ($1, $2), ($1 + 1, 'z')",
            row(vec![ints([31, 41]), texts(&["f", "g"])]),
            4,
            "f z g z",
        ),
        (
            "INSERT INTO t (n, name) SELECT n + $1, $2 FROM t WHERE n = $1 - 49",
            row(vec![ints([50, 51]), texts(&["h", "i"])]),
            2,
            "h i",
        ),
        (
            "INSERT INTO t (n, name) VALUES (?, ?)",
            row(vec![texts(&["61"]), texts(&["j"])]),
            1,
            "j",
        ),
    ] {
        let before = blocks().await;
        let half = given.num_rows() / 2;
        let batches = [given.slice(0, half), given.slice(half, given.num_rows() - half)].map(Ok);
        let stream = BatchStream::new(given.schema(), stream::iter(batches));
        let outcome = fixture.planner.update_rows(request(sql), stream, None).await;
        let outcome = outcome.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(outcome.rows, rows, "{sql}");
        assert_ne!(before, blocks().await);
        let added = fixture.rows(&format!("SELECT name FROM (SELECT name, \"offset\" FROM t ORDER BY \"offset\" DESC LIMIT {rows}) ORDER BY \"offset\"")).await;
        assert_eq!(added.join(" "), names, "{sql}");
    }
    let head = blocks().await;
    let given = row(vec![texts(&["71", "many"]), texts(&["k", "l"])]);
    let stream = BatchStream::new(given.schema(), stream::iter([Ok(given)]));
    let error = fixture
        .planner
        .update_rows(request("INSERT INTO t (n, name) VALUES (?, ?)"), stream, None)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert_eq!(blocks().await, head, "all rows or none");
}

#[tokio::test]
async fn what_cannot_be_bound_is_refused_and_says_which_parameter() {
    let fixture = with_table().await;
    for (sql, values, kind, words) in [
        (
            "SELECT * FROM t WHERE n = ?",
            vec![],
            ErrorKind::InvalidArgument,
            "$1 has no value",
        ),
        (
            "SELECT * FROM t WHERE n = ?",
            vec![ints([1]), ints([2])],
            ErrorKind::InvalidArgument,
            "no parameter $2",
        ),
        ("SELECT 1", vec![ints([1])], ErrorKind::InvalidArgument, "no parameters"),
        (
            "SELECT * FROM t WHERE n = ?",
            vec![texts(&["many"])],
            ErrorKind::InvalidArgument,
            "$1",
        ),
        (
            "SELECT * FROM t WHERE name = ? AND day = ?",
            vec![texts(&["x"]), Arc::new(BooleanArray::from(vec![true]))],
            ErrorKind::InvalidArgument,
            "$2 must be Date32",
        ),
        (
            "SELECT $name",
            vec![],
            ErrorKind::InvalidSql,
            "$name at Line: 1, Column: 8",
        ),
        (
            "SELECT ?, $1",
            vec![ints([1])],
            ErrorKind::InvalidSql,
            "Line: 1, Column: 11",
        ),
        ("SELECT $0", vec![], ErrorKind::InvalidSql, "Line: 1"),
        ("SELECT $99999999", vec![], ErrorKind::InvalidSql, "at most"),
        (
            "SELECT * FROM nowhere WHERE n = ?",
            vec![ints([1])],
            ErrorKind::NotFound,
            "nowhere",
        ),
        (
            "SELECT w FROM t WHERE n = ?",
            vec![ints([1])],
            ErrorKind::InvalidSql,
            "w",
        ),
        ("SELECT at('t', ?)", vec![ints([1])], ErrorKind::InvalidSql, "at"),
        (
            "SELECT * FROM at('t', ?)",
            vec![ints([1])],
            ErrorKind::InvalidSql,
            "point",
        ),
    ] {
        let error = run(&fixture, sql, row_of(values)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        assert!(error.to_string().contains(words), "{sql}: {error}");
    }
    let request = PlanRequest::sql(&fixture.alice, "INSERT INTO t (n) VALUES (?, ?)");
    let error = fixture.planner.prepare(request).await.unwrap_err();
    assert!(error.to_string().contains("2 columns"), "{error}");
    let error = fixture.sql("SELECT * FROM t WHERE n = ?").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("bind"), "{error}");
}

fn row_of(values: Vec<ArrayRef>) -> RecordBatch {
    if values.is_empty() {
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(1));
        let schema = Arc::new(arrow::datatypes::Schema::empty());
        return RecordBatch::try_new_with_options(schema, values, &options).unwrap();
    }
    row(values)
}

#[tokio::test]
async fn the_schema_does_not_depend_on_the_values() {
    let fixture = with_table().await;
    for sql in [
        "SELECT n, ? AS extra, n + ? AS sum FROM t",
        "SELECT name, coalesce(?, 1), ? IS NULL FROM t",
    ] {
        let schemas = async |values: Vec<ArrayRef>| {
            let request = PlanRequest::sql(&fixture.alice, sql).with_parameters(Some(row(values)));
            fixture.planner.plan_request(request).await.unwrap().schema()
        };
        let some = schemas(vec![ints([1]), ints([2])]).await;
        let none = schemas(vec![
            Arc::new(Int64Array::from(vec![None])),
            Arc::new(Int64Array::from(vec![None])),
        ])
        .await;
        assert_eq!(some, none, "{sql}");
        assert!(some.fields().iter().all(|field| *field.data_type() != DataType::Null));
    }
}
