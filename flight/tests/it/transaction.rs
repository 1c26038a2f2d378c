//! Transactions: several ingests and statements that become one commit for each dataset, or nothing.

use std::time::Duration;

use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{ActionEndTransactionRequest, CommandStatementIngest, EndTransaction, ProstMessageExt};
use arrow_flight::{Action, error::FlightError};
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::fixture::{MAX_PARTS, Node, cities, count, ingest_into, push};

type Client = FlightSqlServiceClient<Channel>;

async fn add(client: &mut Client, transaction: &Bytes, table: &str, names: &[&str]) -> Result<i64, FlightErrorText> {
    let command = CommandStatementIngest {
        transaction_id: Some(transaction.clone()),
        ..ingest_into(table)
    };
    let rows = stream::iter([Ok::<_, FlightError>(cities(names))]);
    client
        .execute_ingest(command, rows)
        .await
        .map_err(|error| error.to_string())
}

type FlightErrorText = String;

/// What the server says to the end of a transaction.
async fn end(node: &Node, user: &str, transaction: &Bytes, action: EndTransaction) -> Result<(), tonic::Status> {
    end_at(node, node.address, user, transaction, action).await
}

async fn end_at(
    node: &Node,
    address: std::net::SocketAddr,
    user: &str,
    transaction: &Bytes,
    action: EndTransaction,
) -> Result<(), tonic::Status> {
    let body = ActionEndTransactionRequest {
        transaction_id: transaction.clone(),
        action: action.into(),
    };
    let mut request = Request::new(Action {
        r#type: "EndTransaction".to_owned(),
        body: body.as_any().encode_to_vec().into(),
    });
    let token = format!("Bearer token-{user}").parse().unwrap();
    request.metadata_mut().insert("authorization", token);
    let mut client = arrow_flight::flight_service_client::FlightServiceClient::new(node.channel(address).await);
    let results: Vec<_> = client.do_action(request).await?.into_inner().try_collect().await?;
    assert!(results.is_empty(), "the end of a transaction has no result");
    Ok(())
}

async fn blocks(client: &mut Client, table: &str) -> i64 {
    use arrow::array::AsArray;
    let sql = format!("SELECT count(DISTINCT system_time) FROM {table}");
    let info = client.execute(sql, None).await.unwrap();
    let batches = crate::fixture::fetch(client, &info).await.unwrap();
    batches[0]
        .column(0)
        .as_primitive::<arrow::datatypes::Int64Type>()
        .value(0)
}

async fn staged(node: &Node) -> Vec<String> {
    let listed = node.staging.store().list(None);
    let mut names: Vec<String> = listed
        .map_ok(|object| object.location.to_string())
        .try_collect()
        .await
        .unwrap();
    names.sort();
    names
}

#[tokio::test]
async fn ingests_and_statements_become_one_commit_for_each_dataset() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let transaction = alice.begin_transaction().await.unwrap();
    assert_eq!(
        add(&mut alice, &transaction, "cities", &["Oslo", "Rome"])
            .await
            .unwrap(),
        2
    );
    assert_eq!(add(&mut alice, &transaction, "made", &["Kyiv"]).await.unwrap(), 1);
    assert_eq!(
        add(&mut alice, &transaction, "made", &["Riga", "Graz"]).await.unwrap(),
        2
    );
    let insert = "INSERT INTO cities SELECT upper(city), people FROM cities".to_owned();
    // Reads see what is committed, and not what the transaction has added.
    assert_eq!(
        alice
            .execute_update(insert.clone(), Some(transaction.clone()))
            .await
            .unwrap(),
        1
    );
    let mut prepared = alice.prepare(insert.clone(), Some(transaction.clone())).await.unwrap();
    assert_eq!(prepared.execute_update().await.unwrap(), 1);
    alice.execute(insert, Some(transaction.clone())).await.unwrap();
    assert_eq!(count(&mut alice, "cities").await, 1);
    assert!(alice.execute("SELECT * FROM made".to_owned(), None).await.is_err());

    // The other replica finishes it.
    end_at(&node, node.other_replica, "alice", &transaction, EndTransaction::Commit)
        .await
        .unwrap();
    assert_eq!(count(&mut alice, "cities").await, 6);
    assert_eq!(count(&mut alice, "made").await, 3);
    assert_eq!(
        (blocks(&mut alice, "cities").await, blocks(&mut alice, "made").await),
        (2, 1)
    );

    // An answer may get lost.
    for address in [node.address, node.other_replica] {
        end_at(&node, address, "alice", &transaction, EndTransaction::Commit)
            .await
            .unwrap();
    }
    assert_eq!(count(&mut alice, "cities").await, 6);
    assert!(staged(&node).await.iter().all(|name| !name.contains(".arrow")));
    let late = add(&mut alice, &transaction, "cities", &["late"]).await.unwrap_err();
    assert!(late.contains("committed"), "{late}");
    let undone = end(&node, "alice", &transaction, EndTransaction::Rollback)
        .await
        .unwrap_err();
    assert!(undone.message().contains("cannot be rolled back"), "{undone}");
}

#[tokio::test]
async fn a_commit_whose_traces_are_lost_adds_nothing_again() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let transaction = alice.begin_transaction().await.unwrap();
    add(&mut alice, &transaction, "cities", &["Oslo"]).await.unwrap();
    let parts: Vec<_> = {
        let store = node.staging.store();
        let mut kept = Vec::new();
        for name in staged(&node).await {
            let path = object_store::path::Path::from(name);
            let bytes = object_store::ObjectStoreExt::get(store, &path)
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
            kept.push((path, bytes));
        }
        kept
    };
    end(&node, "alice", &transaction, EndTransaction::Commit).await.unwrap();
    // As if the process had died between the last commit and its note that it was done.
    for (path, bytes) in parts {
        object_store::ObjectStoreExt::put(node.staging.store(), &path, bytes.into())
            .await
            .unwrap();
    }
    for name in staged(&node).await.iter().filter(|name| name.ends_with("done")) {
        let path = object_store::path::Path::from(name.as_str());
        object_store::ObjectStoreExt::delete(node.staging.store(), &path)
            .await
            .unwrap();
    }
    end_at(&node, node.other_replica, "alice", &transaction, EndTransaction::Commit)
        .await
        .unwrap();
    assert_eq!(count(&mut alice, "cities").await, 1);
}

#[tokio::test]
async fn a_rollback_and_silence_leave_nothing() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let transaction = alice.begin_transaction().await.unwrap();
    add(&mut alice, &transaction, "cities", &["Oslo"]).await.unwrap();
    for _ in 0..2 {
        end_at(
            &node,
            node.other_replica,
            "alice",
            &transaction,
            EndTransaction::Rollback,
        )
        .await
        .unwrap();
    }
    let gone = end(&node, "alice", &transaction, EndTransaction::Commit)
        .await
        .unwrap_err();
    assert!(gone.message().contains("rolled back"), "{gone}");

    let forgotten = alice.begin_transaction().await.unwrap();
    add(&mut alice, &forgotten, "cities", &["Rome"]).await.unwrap();
    node.wait(Duration::from_secs(70 * 60));
    let late = end(&node, "alice", &forgotten, EndTransaction::Commit)
        .await
        .unwrap_err();
    assert_eq!(late.code(), Code::FailedPrecondition, "{late}");
    assert_eq!(
        node.planner.collect_transactions().await.unwrap(),
        0,
        "clocks may differ"
    );
    node.wait(Duration::from_secs(10 * 60));
    assert_eq!(node.planner.collect_transactions().await.unwrap(), 2);
    assert_eq!(staged(&node).await, [""; 0]);
    assert_eq!(count(&mut alice, "cities").await, 1);
}

#[tokio::test]
async fn nobody_makes_up_a_transaction_or_uses_one_of_somebody_else() {
    let node = Node::start().await;
    let (mut alice, mut bob) = (node.client("alice").await, node.client("bob").await);
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let transaction = alice.begin_transaction().await.unwrap();
    add(&mut alice, &transaction, "cities", &["Oslo"]).await.unwrap();
    let mut forged = transaction.to_vec();
    let last = forged.len() - 40;
    forged[last] ^= 1;
    for (user, id, code) in [
        ("bob", transaction.clone(), Code::PermissionDenied),
        ("alice", forged.into(), Code::InvalidArgument),
        ("alice", Bytes::from_static(b"0123456789abcdef"), Code::InvalidArgument),
        ("alice", Bytes::new(), Code::InvalidArgument),
    ] {
        for action in [EndTransaction::Commit, EndTransaction::Rollback] {
            let status = end(&node, user, &id, action).await.unwrap_err();
            assert_eq!(status.code(), code, "{user}: {status}");
        }
    }
    let refused = add(&mut bob, &transaction, "cities", &["Rome"]).await.unwrap_err();
    assert!(refused.contains("another account"), "{refused}");
    let unclear = end(&node, "alice", &transaction, EndTransaction::Unspecified)
        .await
        .unwrap_err();
    assert_eq!(unclear.code(), Code::InvalidArgument);
    end(&node, "alice", &transaction, EndTransaction::Commit).await.unwrap();
    assert_eq!(count(&mut alice, "cities").await, 2);
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused_when_they_are_sent() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let transaction = alice.begin_transaction().await.unwrap();
    add(&mut alice, &transaction, "cities", &["Oslo"]).await.unwrap();
    add(&mut alice, &transaction, "made", &["Oslo"]).await.unwrap();
    let other = arrow::array::RecordBatch::try_from_iter([(
        "country",
        std::sync::Arc::new(arrow::array::StringArray::from_iter_values(["Norway"])) as arrow::array::ArrayRef,
    )])
    .unwrap();
    for table in ["cities", "made"] {
        let command = CommandStatementIngest {
            transaction_id: Some(transaction.clone()),
            ..ingest_into(table)
        };
        let rows = stream::iter([Ok::<_, FlightError>(other.clone())]);
        let refused = alice.execute_ingest(command, rows).await.unwrap_err().to_string();
        assert!(refused.contains("column"), "{refused}");
    }
    end(&node, "alice", &transaction, EndTransaction::Commit).await.unwrap();
    assert_eq!(
        (count(&mut alice, "cities").await, count(&mut alice, "made").await),
        (2, 1)
    );
}

#[tokio::test]
async fn a_commit_that_cannot_succeed_rolls_back() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    push(&mut alice, "towns", vec![cities(&["Thun"])]).await;
    let transaction = alice.begin_transaction().await.unwrap();
    add(&mut alice, &transaction, "cities", &["Oslo"]).await.unwrap();
    add(&mut alice, &transaction, "towns", &["Olten"]).await.unwrap();
    // Its rows are about a dataset that is gone.
    alice
        .execute_update("DROP TABLE cities".to_owned(), None)
        .await
        .unwrap();
    let failed = end(&node, "alice", &transaction, EndTransaction::Commit)
        .await
        .unwrap_err();
    assert!(failed.message().contains("nothing was committed"), "{failed}");
    end(&node, "alice", &transaction, EndTransaction::Rollback)
        .await
        .unwrap();
    assert_eq!(count(&mut alice, "towns").await, 1);

    // The second dataset is gone: the first one is committed, and the answer says so.
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let transaction = alice.begin_transaction().await.unwrap();
    add(&mut alice, &transaction, "towns", &["Olten"]).await.unwrap();
    add(&mut alice, &transaction, "cities", &["Oslo"]).await.unwrap();
    alice
        .execute_update("DROP TABLE cities".to_owned(), None)
        .await
        .unwrap();
    let partial = end(&node, "alice", &transaction, EndTransaction::Commit)
        .await
        .unwrap_err();
    assert!(partial.message().contains("committed: "), "{partial}");
    assert_eq!(count(&mut alice, "towns").await, 2);
    assert!(end(&node, "alice", &transaction, EndTransaction::Commit).await.is_err());
    assert_eq!(count(&mut alice, "towns").await, 2);
}

#[tokio::test]
async fn a_transaction_has_so_many_parts_and_no_more() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    let transaction = alice.begin_transaction().await.unwrap();
    for _ in 0..MAX_PARTS {
        add(&mut alice, &transaction, "cities", &["Oslo"]).await.unwrap();
    }
    let error = add(&mut alice, &transaction, "cities", &["Rome"]).await.unwrap_err();
    assert!(error.contains(&MAX_PARTS.to_string()), "{error}");
    // What is in it can be committed.
    end(&node, "alice", &transaction, EndTransaction::Commit).await.unwrap();
    assert_eq!(count(&mut alice, "cities").await, 1 + MAX_PARTS as i64);
}
