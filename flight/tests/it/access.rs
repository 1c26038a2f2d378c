//! Who gets in, and what a ticket is worth to whom.

use std::time::Duration;

use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{FlightDescriptor, HandshakeRequest, Ticket};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::stream;
use prost::Message;
use tonic::{Code, Request};

use crate::fixture::{Node, cities, fetch, push, ticket};

fn query(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery {
        query: sql.to_owned(),
        transaction_id: None,
    };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

fn with_header<T>(message: T, value: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", value.parse().unwrap());
    request
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[tokio::test]
async fn nobody_gets_in_without_credentials() {
    let node = Node::start().await;
    let mut raw = node.raw().await;
    let status = raw.get_flight_info(query("SELECT 1")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.message().contains("log in first"), "{status}");
    for status in [
        raw.do_get(Ticket::new("x")).await.unwrap_err(),
        raw.do_put(stream::iter([])).await.unwrap_err(),
        raw.do_action(arrow_flight::Action::new("CreatePreparedStatement", ""))
            .await
            .unwrap_err(),
        raw.get_schema(query("SELECT 1")).await.unwrap_err(),
        raw.list_actions(arrow_flight::Empty {}).await.unwrap_err(),
        raw.do_exchange(stream::iter([])).await.unwrap_err(),
        raw.handshake(stream::iter([])).await.unwrap_err(),
        raw.get_flight_info(with_header(query("SELECT 1"), &basic("alice", "wrong")))
            .await
            .unwrap_err(),
        raw.get_flight_info(with_header(query("SELECT 1"), "Bearer nonsense"))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    }
}

#[tokio::test]
async fn a_password_gives_a_token_at_the_handshake_and_on_any_call() {
    let node = Node::start().await;
    let mut raw = node.raw().await;
    let hello = stream::iter([HandshakeRequest::default()]);
    let response = raw
        .handshake(with_header(hello, &basic("alice", "secret")))
        .await
        .unwrap();
    assert_eq!(response.metadata().get("authorization").unwrap(), "Bearer token-alice");
    let payload = response.into_inner().message().await.unwrap().unwrap().payload;
    assert_eq!(payload, "token-alice");

    let response = raw
        .get_flight_info(with_header(query("SELECT 1"), &basic("alice", "secret")))
        .await
        .unwrap();
    assert_eq!(response.metadata().get("authorization").unwrap(), "Bearer token-alice");
    let response = raw
        .get_flight_info(with_header(query("SELECT 1"), "Bearer token-alice"))
        .await
        .unwrap();
    assert!(response.metadata().get("authorization").is_none());
}

/// Traps 30, 31 and 43.
#[tokio::test]
async fn tickets_are_good_on_every_replica_more_than_once_and_keep_their_rows() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern", "Oslo"])]).await;
    let info = alice.execute("SELECT city FROM cities".to_owned(), None).await.unwrap();
    push(&mut alice, "cities", vec![cities(&["Rome"])]).await;
    let mut elsewhere = node.client_of("alice", node.other_replica).await;
    for _ in 0..2 {
        for client in [&mut alice, &mut elsewhere] {
            let rows: usize = fetch(client, &info)
                .await
                .unwrap()
                .iter()
                .map(|batch| batch.num_rows())
                .sum();
            assert_eq!(rows, 2);
        }
    }
}

/// Trap 31.
#[tokio::test]
async fn tickets_are_worth_nothing_to_others_later_or_when_forged() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    let info = alice.execute("SELECT 1".to_owned(), None).await.unwrap();
    assert!(info.endpoint[0].expiration_time.is_some());
    let mut raw = node.raw().await;

    let status = raw
        .do_get(with_header(ticket(&info), "Bearer token-bob"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);

    let mut forged = ticket(&info).ticket.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let status = raw
        .do_get(with_header(Ticket::new(forged), "Bearer token-alice"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let status = raw
        .do_get(with_header(Ticket::new("anything"), "Bearer token-alice"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);

    node.wait(Duration::from_secs(2 * 60 * 60));
    let status = raw
        .do_get(with_header(ticket(&info), "Bearer token-alice"))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("run the query again"), "{status}");
}
