//! Statements, prepared or not: schemas, rows and mistakes.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, Schema};
use arrow_flight::sql::{CommandGetTables, CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, IpcMessage};
use futures::TryStreamExt;
use prost::Message;
use tonic::{Code, Request};

use crate::fixture::{Node, cities, fetch, push, ticket};

fn authorized<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", "Bearer token-alice".parse().unwrap());
    request
}

fn describe(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery {
        query: sql.to_owned(),
        transaction_id: None,
    };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

/// The rule that does not bend: one schema, wherever it is asked for.
/// Trap 1.
#[tokio::test]
async fn the_declared_schema_is_the_streamed_schema() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let mut raw = node.raw().await;
    for sql in [
        "SELECT * FROM cities",
        "SELECT * FROM cities WHERE false",
        "SELECT a.city, b.city FROM cities a, cities b",
        "SELECT arrow_cast(city, 'Dictionary(Int32, Utf8)') AS d, arrow_cast(city, 'Utf8View') AS v FROM cities",
        "SELECT [city] AS l, {'a': people} AS s, NULL AS n, now() AS t FROM cities",
        "SELECT count(*), max(city) FROM cities",
        "SELECT 1",
        "EXPLAIN SELECT 1",
    ] {
        let info = alice.execute(sql.to_owned(), None).await.unwrap();
        let declared = Schema::try_from(IpcMessage(info.schema.clone())).unwrap();
        let asked = raw.get_schema(authorized(describe(sql))).await.unwrap().into_inner();
        assert_eq!(asked.schema, info.schema, "{sql}");
        let prepared = alice.prepare(sql.to_owned(), None).await.unwrap();
        assert_eq!(prepared.dataset_schema().unwrap(), &declared, "{sql}");
        assert_eq!(prepared.parameter_schema().unwrap(), &Schema::empty());
        prepared.close().await.unwrap();

        let messages: Vec<_> = raw
            .do_get(authorized(ticket(&info)))
            .await
            .unwrap()
            .into_inner()
            .try_collect()
            .await
            .unwrap();
        assert_eq!(Schema::try_from(&messages[0]).unwrap(), declared, "{sql}");
        for batch in fetch(&mut alice, &info).await.unwrap() {
            assert_eq!(batch.schema().as_ref(), &declared, "{sql}");
        }
    }
    // And what GetTables tells of a table is what SELECT * declares.
    let command = CommandGetTables {
        include_schema: true,
        ..CommandGetTables::default()
    };
    let info = alice.get_tables(command).await.unwrap();
    let tables = fetch(&mut alice, &info).await.unwrap();
    let listed = tables[0]
        .column_by_name("table_schema")
        .unwrap()
        .as_binary::<i32>()
        .value(0)
        .to_vec();
    let declared = alice
        .execute("SELECT * FROM cities".to_owned(), None)
        .await
        .unwrap()
        .schema;
    // A listing also tells which table the columns are of.
    let fields = |bytes: Vec<u8>| {
        let schema = Schema::try_from(IpcMessage(bytes.into())).unwrap();
        let fields = schema.fields().iter();
        fields
            .map(|field| (field.name().clone(), field.data_type().clone(), field.is_nullable()))
            .collect::<Vec<_>>()
    };
    assert_eq!(fields(listed), fields(declared.to_vec()));
}

/// Trap 11.
#[tokio::test]
async fn results_without_rows_say_their_schema() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let info = alice
        .execute("SELECT 1 AS a WHERE false".to_owned(), None)
        .await
        .unwrap();
    let messages: Vec<_> = node
        .raw()
        .await
        .do_get(authorized(ticket(&info)))
        .await
        .unwrap()
        .into_inner()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(Schema::try_from(&messages[0]).unwrap().field(0).name(), "a");
}

/// Trap 20.
#[tokio::test]
async fn prepared_statements_see_what_is_there_when_they_run() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let mut prepared = alice
        .prepare("SELECT count(*) FROM cities".to_owned(), None)
        .await
        .unwrap();
    for expected in 1..4 {
        let info = prepared.execute().await.unwrap();
        let batches = fetch(&mut alice, &info).await.unwrap();
        assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), expected);
        push(&mut alice, "cities", vec![cities(&["Oslo"])]).await;
    }
    // Parameters without columns are none; others are refused before anything runs.
    prepared
        .set_parameters(RecordBatch::new_empty(Arc::new(Schema::empty())))
        .unwrap();
    prepared.execute().await.unwrap();
    prepared.set_parameters(cities(&["Bern"])).unwrap();
    assert!(
        prepared
            .execute()
            .await
            .unwrap_err()
            .to_string()
            .contains("no parameters")
    );
}

/// Trap 26.
#[tokio::test]
async fn mistakes_have_their_codes_and_say_what_to_do() {
    let node = Node::start().await;
    let mut raw = node.raw().await;
    for (sql, code) in [
        ("SELEC 1", Code::InvalidArgument),
        ("SELECT nothing FROM nowhere", Code::NotFound),
        ("SELECT 'x' + DATE '2020-01-01' + nosuch(1)", Code::InvalidArgument),
        ("DROP TABLE nowhere", Code::NotFound),
        ("DROP VIEW nowhere", Code::NotFound),
        ("DELETE FROM nowhere", Code::NotFound),
        ("TRUNCATE TABLE cities", Code::Unimplemented),
        ("COPY (SELECT 1) TO '/tmp/x.csv'", Code::Unimplemented),
        (&format!("SELECT '{}'", "x".repeat(2 << 20)), Code::ResourceExhausted),
    ] {
        let status = raw.get_flight_info(authorized(describe(sql))).await.unwrap_err();
        assert_eq!(status.code(), code, "{}: {status}", &sql[..sql.len().min(80)]);
        assert!(status.message().len() <= 4096);
    }
    let plain = FlightDescriptor::new_cmd("SELECT 1");
    let status = raw.get_flight_info(authorized(plain)).await.unwrap_err();
    assert!(
        status.code() == Code::InvalidArgument && status.message().contains("Flight SQL"),
        "{status}"
    );
}

/// Many messages, none too large, all rows in order.
/// Trap 27.
#[tokio::test]
async fn large_results_arrive_whole_in_small_messages() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let rows = 200_000;
    let batch = RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from_iter_values(0..rows)) as ArrayRef),
        (
            "t",
            Arc::new(StringArray::from_iter_values(
                (0..rows).map(|n| format!("row number {n}")),
            )),
        ),
    ])
    .unwrap();
    push(
        &mut alice,
        "numbers",
        (0..20).map(|part| batch.slice(part * 10_000, 10_000)).collect(),
    )
    .await;
    let info = alice
        .execute("SELECT n, t FROM numbers ORDER BY n".to_owned(), None)
        .await
        .unwrap();
    for compression in ["none", "lz4", "zstd"] {
        let mut request = authorized(describe("SELECT n, t FROM numbers ORDER BY n"));
        request
            .metadata_mut()
            .insert("jetway-compression", compression.parse().unwrap());
        let mut raw = node.raw().await;
        let info = raw.get_flight_info(request).await.unwrap().into_inner();
        let messages: Vec<_> = raw
            .do_get(authorized(ticket(&info)))
            .await
            .unwrap()
            .into_inner()
            .try_collect()
            .await
            .unwrap();
        assert!(messages.iter().all(|message| message.data_body.len() <= 2 << 20));
        assert!(messages.len() > 3);
        let batches = fetch(&mut alice, &info).await.unwrap();
        let numbers: Vec<i64> = batches
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect();
        assert!(numbers.into_iter().eq(0..rows));
    }
    assert!(!info.schema.is_empty());
}
