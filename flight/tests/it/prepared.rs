//! Prepared statements: what they tell, and how values get from a bind to a run.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    Any, CommandPreparedStatementQuery, CommandPreparedStatementUpdate, DoPutPreparedStatementResult,
    DoPutUpdateResult, ProstMessageExt,
};
use arrow_flight::{Action, FlightData, FlightDescriptor, FlightInfo};
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::fixture::{Node, cities, count, push};

type Raw = FlightServiceClient<Channel>;

fn request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let token = "Bearer token-alice".parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    request
}

/// The answer as bytes, since the crate's own message lacks a field.
async fn prepare(raw: &mut Raw, sql: &str) -> Result<(ActionCreatePreparedStatementResult, Bytes), Status> {
    let query = ActionCreatePreparedStatementRequest {
        query: sql.to_owned(),
        transaction_id: None,
    };
    let action = Action {
        r#type: "CreatePreparedStatement".to_owned(),
        body: query.as_any().encode_to_vec().into(),
    };
    let answers: Vec<_> = raw.do_action(request(action)).await?.into_inner().try_collect().await?;
    let value = Any::decode(answers[0].body.clone()).unwrap().value;
    Ok((
        ActionCreatePreparedStatementResult::decode(value.clone()).unwrap(),
        value,
    ))
}

async fn upload(command: Vec<u8>, rows: RecordBatch) -> Vec<FlightData> {
    FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(FlightDescriptor::new_cmd(command)))
        .build(stream::iter([Ok(rows)]))
        .try_collect()
        .await
        .unwrap()
}

async fn bind(raw: &mut Raw, handle: &Bytes, rows: RecordBatch) -> Result<Bytes, Status> {
    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: handle.clone(),
    };
    let messages = upload(command.as_any().encode_to_vec(), rows).await;
    let answers: Vec<_> = raw
        .do_put(request(stream::iter(messages)))
        .await?
        .into_inner()
        .try_collect()
        .await?;
    let answer = DoPutPreparedStatementResult::decode(answers[0].app_metadata.clone()).unwrap();
    Ok(answer.prepared_statement_handle.unwrap())
}

async fn info(raw: &mut Raw, handle: &Bytes) -> Result<FlightInfo, Status> {
    let command = CommandPreparedStatementQuery {
        prepared_statement_handle: handle.clone(),
    };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    Ok(raw.get_flight_info(request(descriptor)).await?.into_inner())
}

async fn run(raw: &mut Raw, handle: &Bytes) -> Result<Vec<i64>, Status> {
    let info = info(raw, handle).await?;
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let messages = raw.do_get(request(ticket)).await?.into_inner().map_err(Into::into);
    let stream = arrow_flight::decode::FlightRecordBatchStream::new_from_flight_data(messages);
    let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    let rows = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
    Ok(rows.collect())
}

fn ints(values: impl IntoIterator<Item = i64>) -> RecordBatch {
    RecordBatch::try_from_iter([("p", Arc::new(Int64Array::from_iter_values(values)) as ArrayRef)]).unwrap()
}

async fn with_cities(node: &Node) -> Raw {
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern", "Oslo", "Rome"])]).await;
    node.raw().await
}

const QUERY: &str = "SELECT people FROM cities WHERE people >= ? ORDER BY people";

/// Trap 30. Trap 23: a bind answers with a handle that any replica can run.
#[tokio::test]
async fn bound_values_travel_in_the_handle() {
    let node = Node::start().await;
    let mut raw = with_cities(&node).await;
    let (prepared, _) = prepare(&mut raw, QUERY).await.unwrap();
    let first = bind(&mut raw, &prepared.prepared_statement_handle, ints([1000]))
        .await
        .unwrap();
    let second = bind(&mut raw, &prepared.prepared_statement_handle, ints([2000, 1000]))
        .await
        .unwrap();
    let mut other = FlightServiceClient::new(node.channel(node.other_replica).await);
    for replica in [&mut raw, &mut other] {
        assert_eq!(run(replica, &first).await.unwrap(), [1000, 2000]);
        assert_eq!(run(replica, &second).await.unwrap(), [2000, 1000, 2000]);
    }
    // A bound handle can be bound again.
    let third = bind(&mut other, &second, ints([5000])).await.unwrap();
    assert_eq!(run(&mut raw, &third).await.unwrap(), [0i64; 0]);
}

/// Trap 23: clients that do not look at the answer of a bind.
#[tokio::test]
async fn old_clients_run_the_handle_that_they_have() {
    let node = Node::start().await;
    let mut raw = with_cities(&node).await;
    let (prepared, _) = prepare(&mut raw, QUERY).await.unwrap();
    let handle = prepared.prepared_statement_handle;
    let status = run(&mut raw, &handle).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("bind"), "{status}");
    for (value, expected) in [(2000, vec![2000]), (1000, vec![1000, 2000])] {
        bind(&mut raw, &handle, ints([value])).await.unwrap();
        assert_eq!(run(&mut raw, &handle).await.unwrap(), expected);
    }
    let close = ActionClosePreparedStatementRequest {
        prepared_statement_handle: handle.clone(),
    };
    let action = Action {
        r#type: "ClosePreparedStatement".to_owned(),
        body: close.as_any().encode_to_vec().into(),
    };
    raw.do_action(request(action)).await.unwrap();
    assert_eq!(run(&mut raw, &handle).await.unwrap_err().code(), Code::InvalidArgument);
}

/// Trap 22. Trap 24.
/// Traps 22 and 24.
#[tokio::test]
async fn prepare_tells_types_and_whether_it_is_an_update() {
    let node = Node::start().await;
    let mut raw = with_cities(&node).await;
    for (sql, types, columns, is_update) in [
        (QUERY, vec![DataType::Int64], Some(1), false),
        ("SELECT 1", vec![], Some(1), false),
        (
            "INSERT INTO cities VALUES (?, ?)",
            vec![DataType::Utf8, DataType::Int64],
            None,
            true,
        ),
        ("CREATE TABLE copy AS SELECT * FROM cities", vec![], None, true),
        (
            "SELECT city, people, city FROM cities WHERE city LIKE ?",
            vec![DataType::Utf8],
            Some(3),
            false,
        ),
    ] {
        let (prepared, bytes) = prepare(&mut raw, sql).await.unwrap();
        let schema = arrow_flight::IpcMessage(prepared.parameter_schema.clone());
        let schema: arrow::datatypes::Schema = schema.try_into().unwrap();
        let found: Vec<_> = schema.fields().iter().map(|field| field.data_type().clone()).collect();
        assert_eq!(found, types, "{sql}");
        match columns {
            None => assert!(prepared.dataset_schema.is_empty(), "{sql}"),
            Some(columns) => {
                let schema: arrow::datatypes::Schema = arrow_flight::IpcMessage(prepared.dataset_schema.clone())
                    .try_into()
                    .unwrap();
                assert_eq!(schema.fields().len(), columns, "{sql}");
            }
        }
        // Field 4, which is a boolean.
        assert!(bytes.ends_with(&[4 << 3, u8::from(is_update)]), "{sql}");
    }
    let mut alice = node.client("alice").await;
    assert_eq!(count(&mut alice, "cities").await, 3, "preparing runs nothing");
}

#[tokio::test]
async fn an_update_takes_its_rows_with_the_command_or_from_the_handle() {
    let node = Node::start().await;
    let mut raw = with_cities(&node).await;
    let (prepared, _) = prepare(&mut raw, "INSERT INTO cities (people) VALUES (?)")
        .await
        .unwrap();
    let mut update = async |handle: &Bytes, rows: Option<RecordBatch>| {
        let command = CommandPreparedStatementUpdate {
            prepared_statement_handle: handle.clone(),
        };
        let command = command.as_any().encode_to_vec();
        let messages = match rows {
            Some(rows) => upload(command, rows).await,
            None => vec![FlightData::new().with_descriptor(FlightDescriptor::new_cmd(command))],
        };
        let answers: Vec<_> = raw
            .do_put(request(stream::iter(messages)))
            .await?
            .into_inner()
            .try_collect()
            .await?;
        Ok::<_, Status>(
            DoPutUpdateResult::decode(answers[0].app_metadata.clone())
                .unwrap()
                .record_count,
        )
    };
    // The column `city` of the first push has no nulls.
    let handle = prepared.prepared_statement_handle;
    let status = update(&handle, Some(ints([1]))).await.unwrap_err();
    assert!(status.message().contains("city"), "{status}");
    let mut raw = node.raw().await;
    let (prepared, _) = prepare(&mut raw, "INSERT INTO cities VALUES ('x', ?)").await.unwrap();
    let handle = prepared.prepared_statement_handle;
    assert_eq!(update(&handle, Some(ints(0..10_000))).await.unwrap(), 10_000);
    let bound = bind(&mut raw, &handle, ints([1, 2, 3])).await.unwrap();
    assert_eq!(update(&bound, None).await.unwrap(), 3);
    let mut alice = node.client("alice").await;
    assert_eq!(count(&mut alice, "cities").await, 3 + 10_000 + 3);
}

#[tokio::test]
async fn what_is_bound_is_bounded_and_is_nobody_elses() {
    let node = Node::start().await;
    let mut raw = with_cities(&node).await;
    let (prepared, _) = prepare(&mut raw, "SELECT length(?)").await.unwrap();
    let handle = prepared.prepared_statement_handle;
    let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(2 << 20)]));
    let long = RecordBatch::try_from_iter([("p", long)]).unwrap();
    let status = bind(&mut raw, &handle, long).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let mut forged = handle.to_vec();
    forged[10] ^= 1;
    assert_eq!(
        bind(&mut raw, &forged.into(), ints([1])).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let bound = bind(&mut raw, &handle, ints([1])).await.unwrap();
    node.wait(Duration::from_secs(25 * 60 * 60));
    assert_eq!(
        run(&mut raw, &bound).await.unwrap_err().code(),
        Code::FailedPrecondition
    );
}
