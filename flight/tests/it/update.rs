//! Rows by SQL, and uploads that are sent twice because an answer got lost.

use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow_flight::FlightData;
use arrow_flight::FlightDescriptor;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{CommandStatementIngest, DoPutUpdateResult, ProstMessageExt};
use futures::{TryStreamExt, stream};
use prost::Message;
use tonic::{Code, Request};

use crate::fixture::{Node, cities, count, fetch, ingest_into, push};

/// Trap 21.
#[tokio::test]
async fn inserts_run_once_however_they_are_sent() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let insert = "INSERT INTO cities VALUES ('Oslo', 1), ('Rome', 2)".to_owned();
    assert_eq!(alice.execute_update(insert.clone(), None).await.unwrap(), 2);
    assert_eq!(count(&mut alice, "cities").await, 3);

    let mut prepared = alice.prepare(insert.clone(), None).await.unwrap();
    assert_eq!(count(&mut alice, "cities").await, 3, "preparing runs nothing");
    assert_eq!(prepared.execute_update().await.unwrap(), 2);
    assert_eq!(count(&mut alice, "cities").await, 5);

    // Clients that do not know what a text does send it as a query; whatever they do with the ticket, it ran once.
    let info = alice.execute(insert, None).await.unwrap();
    assert_eq!(count(&mut alice, "cities").await, 7);
    for _ in 0..2 {
        let batches = fetch(&mut alice, &info).await.unwrap();
        let rows: Vec<i64> = batches
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect();
        assert_eq!(rows, [2]);
        assert_eq!(batches[0].schema(), info.clone().try_decode_schema().unwrap().into());
    }
    assert_eq!(count(&mut alice, "cities").await, 7);
}

/// Trap 21: DDL runs once wherever it is sent, and nothing that only plans runs it.
#[tokio::test]
async fn tables_are_made_and_dropped_once_however_it_is_sent() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let create = |table: &str| format!("CREATE TABLE {table} (n BIGINT NOT NULL, name VARCHAR)");
    assert_eq!(alice.execute_update(create("a"), None).await.unwrap(), 0);

    // A second time would fail, since the table is there.
    let info = alice.execute(create("b"), None).await.unwrap();
    for _ in 0..2 {
        let batches = fetch(&mut alice, &info).await.unwrap();
        assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().values(), &[0]);
    }
    let mut prepared = alice.prepare(create("c"), None).await.unwrap();
    let missing = alice.execute("SELECT * FROM c".to_owned(), None).await.unwrap_err();
    assert!(missing.to_string().contains("there is no dataset"), "{missing}");
    assert_eq!(prepared.execute_update().await.unwrap(), 0);
    let taken = prepared.execute_update().await.unwrap_err();
    assert!(taken.to_string().contains("already there"), "{taken}");

    let made = "CREATE TABLE d AS SELECT value AS n FROM generate_series(1, 5)".to_owned();
    assert_eq!(alice.execute_update(made, None).await.unwrap(), 5);
    for (table, rows) in [("a", 0), ("b", 0), ("c", 0), ("d", 5)] {
        assert_eq!(count(&mut alice, table).await, rows, "{table}");
        let dropped = alice.execute_update(format!("DROP TABLE {table}"), None).await.unwrap();
        assert_eq!(dropped, 0);
        assert!(alice.execute(format!("SELECT * FROM {table}"), None).await.is_err());
    }
}

async fn messages(command: CommandStatementIngest, names: &[&str]) -> Vec<FlightData> {
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(descriptor))
        .build(stream::iter([Ok(cities(names))]))
        .try_collect()
        .await
        .unwrap()
}

fn request<T>(message: T, key: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("authorization", "Bearer token-alice".parse().unwrap());
    if let Some(key) = key {
        metadata.insert("x-jetway-idempotency-key", key.parse().unwrap());
    }
    request
}

/// The client is gone when the answer comes; it sends the rows again, to another replica.
/// Trap 21.
#[tokio::test]
async fn an_upload_whose_answer_was_lost_is_taken_in_once() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    for (number, header) in [true, false].into_iter().enumerate() {
        let key = format!("upload {number}");
        let mut command = ingest_into("cities");
        if !header {
            command.options.insert("idempotency_key".to_owned(), key.clone());
        }
        let header = header.then_some(key.as_str());
        let before = count(&mut alice, "cities").await;
        let mut raw = node.raw().await;
        let upload = request(stream::iter(messages(command.clone(), &["Oslo", "Rome"]).await), header);
        let call = tokio::spawn(async move { raw.do_put(upload).await.map(drop) });
        while count(&mut alice, "cities").await == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        call.abort();

        let channel = node.channel(node.other_replica).await;
        let mut other = arrow_flight::flight_service_client::FlightServiceClient::new(channel);
        let upload = request(stream::iter(messages(command, &["Oslo", "Rome"]).await), header);
        let answers: Vec<_> = other
            .do_put(upload)
            .await
            .unwrap()
            .into_inner()
            .try_collect()
            .await
            .unwrap();
        let answer = DoPutUpdateResult::decode(answers[0].app_metadata.clone()).unwrap();
        assert_eq!(answer.record_count, 2);
        assert_eq!(count(&mut alice, "cities").await, before + 2);
    }
}

#[tokio::test]
async fn wrong_options_are_refused() {
    let node = Node::start().await;
    let mut raw = node.raw().await;
    let command = |name: &str, value: &str| {
        let mut command = ingest_into("cities");
        command.options.insert(name.to_owned(), value.to_owned());
        command
    };
    for (command, key) in [
        (command("idempotency_key", ""), None),
        (command("idempotency_key", "one"), Some("two")),
        (command("evolve_schema", "maybe"), None),
        (command("event_time", "yesterday"), None),
        (command("speed", "9"), None),
    ] {
        let upload = request(stream::iter(messages(command.clone(), &["Oslo"]).await), key);
        let status = raw.do_put(upload).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{command:?}: {status}");
    }
}
