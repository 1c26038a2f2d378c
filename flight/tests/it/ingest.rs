//! Rows in: all of them or none.

use std::time::Duration;

use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::sql::{DoPutUpdateResult, ProstMessageExt, TableExistsOption, TableNotExistOption};
use arrow_flight::{FlightData, FlightDescriptor};
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use tonic::{Code, Request};

use crate::fixture::{Node, cities, count, ingest_into, push};

async fn messages(table: &str, batches: usize) -> Vec<FlightData> {
    let descriptor = FlightDescriptor::new_cmd(ingest_into(table).as_any().encode_to_vec());
    FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(descriptor))
        .build(stream::iter((0..batches).map(|_| Ok(cities(&["Bern", "Oslo"])))))
        .try_collect()
        .await
        .unwrap()
}

fn authorized<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", "Bearer token-alice".parse().unwrap());
    request
}

#[tokio::test]
async fn acknowledged_rows_are_there_and_counted() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    assert_eq!(
        push(&mut alice, "cities", vec![cities(&["Bern", "Oslo"]), cities(&["Rome"])]).await,
        3
    );
    assert_eq!(push(&mut alice, "cities", vec![cities(&["Riga"])]).await, 1);
    assert_eq!(count(&mut alice, "cities").await, 4);

    let result = node
        .raw()
        .await
        .do_put(authorized(stream::iter(messages("cities", 2).await)))
        .await
        .unwrap();
    let results: Vec<_> = result.into_inner().try_collect().await.unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(
        DoPutUpdateResult::decode(results[0].app_metadata.clone())
            .unwrap()
            .record_count,
        4
    );
}

#[tokio::test]
async fn options_are_obeyed() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let mut command = ingest_into("cities");
    let options = command.table_definition_options.as_mut().unwrap();
    options.if_not_exist = TableNotExistOption::Fail.into();
    let error = alice
        .execute_ingest(command.clone(), stream::iter([Ok(cities(&["Bern"]))]))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("NotFound") || error.to_string().contains("not found"),
        "{error}"
    );
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    command.table_definition_options.as_mut().unwrap().if_exists = TableExistsOption::Fail.into();
    let error = alice
        .execute_ingest(command, stream::iter([Ok(cities(&["Oslo"]))]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("exist"), "{error}");
    assert_eq!(count(&mut alice, "cities").await, 1);
}

/// Who asks for acknowledgements gets JSON for each batch and at the end; rows are there before the last one, not before.
#[tokio::test]
async fn each_batch_is_acknowledged_to_who_asks() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let mut command = ingest_into("cities");
    command.options.insert("acknowledge".to_owned(), "batches".to_owned());
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let (sender, batches) = tokio::sync::mpsc::unbounded_channel();
    let uploads = FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(descriptor.clone()))
        .build(tokio_stream::wrappers::UnboundedReceiverStream::new(batches))
        .map(Result::unwrap);
    sender.send(Ok(cities(&["Bern", "Oslo"]))).unwrap();
    let mut answers = node.raw().await.do_put(authorized(uploads)).await.unwrap().into_inner();
    let mut next = async || String::from_utf8(answers.message().await.unwrap().unwrap().app_metadata.to_vec()).unwrap();
    assert_eq!(next().await, r#"{"received":2,"batches":1}"#);
    sender.send(Ok(cities(&["Rome"]))).unwrap();
    assert_eq!(next().await, r#"{"received":3,"batches":2}"#);
    assert!(
        alice.execute("SELECT * FROM cities".to_owned(), None).await.is_err(),
        "nothing is committed yet"
    );
    drop(sender);
    let end = next().await;
    assert!(
        end.starts_with(r#"{"committed":true,"rows":3,"events":3,"dataset":"did:odf:"#),
        "{end}"
    );
    assert!(answers.message().await.unwrap().is_none());
    assert_eq!(count(&mut alice, "cities").await, 3);

    // A client that does not read its acknowledgements holds up nothing.
    let many = (0..200).map(|_| Ok(cities(&["Riga"])));
    let many: Vec<FlightData> = FlightDataEncoderBuilder::new()
        .with_flight_descriptor(Some(descriptor))
        .build(stream::iter(many))
        .try_collect()
        .await
        .unwrap();
    let answers = node.raw().await.do_put(authorized(stream::iter(many))).await.unwrap();
    let answers: Vec<_> = answers.into_inner().try_collect().await.unwrap();
    let last = String::from_utf8(answers.last().unwrap().app_metadata.to_vec()).unwrap();
    assert!(last.starts_with(r#"{"committed":true,"rows":200,"#), "{last}");
    assert_eq!(count(&mut alice, "cities").await, 203);

    command.options.insert("acknowledge".to_owned(), "sometimes".to_owned());
    let error = alice
        .execute_ingest(command, stream::iter([Ok(cities(&["Bern"]))]))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("acknowledge must be"), "{error}");
}

/// An upload that breaks off after some acknowledgements leaves nothing, and its stream ends with an error.
#[tokio::test]
async fn acknowledged_batches_of_a_broken_upload_leave_nothing() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let mut command = ingest_into("cities");
    command.options.insert("acknowledge".to_owned(), "batches".to_owned());
    let mut upload = messages("cities", 5).await;
    upload[0].flight_descriptor = Some(FlightDescriptor::new_cmd(command.as_any().encode_to_vec()));
    let last = upload.last_mut().unwrap();
    last.data_body = last.data_body.slice(..last.data_body.len() - 64);
    let answers = node.raw().await.do_put(authorized(stream::iter(upload))).await.unwrap();
    let answers: Result<Vec<_>, _> = answers.into_inner().try_collect().await;
    assert_eq!(answers.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(count(&mut alice, "cities").await, 1);
}

#[tokio::test]
async fn broken_uploads_leave_nothing() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let mut raw = node.raw().await;

    let mut cut = messages("cities", 5).await;
    let last = cut.last_mut().unwrap();
    last.data_body = last.data_body.slice(..last.data_body.len() - 64);
    let status = raw.do_put(authorized(stream::iter(cut))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    assert!(status.message().contains("nothing of it was taken in"), "{status}");

    let mut headless = messages("cities", 1).await;
    headless[0].flight_descriptor = None;
    let status = raw.do_put(authorized(stream::iter(headless))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);

    let mut path = messages("cities", 1).await;
    path[0].flight_descriptor = Some(FlightDescriptor::new_path(vec!["cities".to_owned()]));
    let status = raw.do_put(authorized(stream::iter(path))).await.unwrap_err();
    assert!(
        status.code() == Code::InvalidArgument && status.message().contains("CommandStatementIngest"),
        "{status}"
    );

    let status = raw.do_put(authorized(stream::iter([]))).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(count(&mut alice, "cities").await, 1);
}

/// A client that dies in the middle must not leave half of its rows.
#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    for _ in 0..5 {
        let mut raw = node.raw().await;
        let endless = stream::iter(messages("cities", 50).await).chain(stream::pending());
        let call = tokio::spawn(async move { raw.do_put(authorized(endless)).await.map(drop) });
        tokio::time::sleep(Duration::from_millis(50)).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(count(&mut alice, "cities").await, 1);
}
