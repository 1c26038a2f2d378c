//! Substrait plans: whose datasets they read.

use arrow_flight::sql::{CommandStatementSubstraitPlan, ProstMessageExt, SubstraitPlan};
use arrow_flight::{FlightDescriptor, FlightInfo};
use prost::Message;
use tonic::{Code, Request, Status};

use crate::fixture::{Node, cities, fetch, push};

/// A field of a protobuf message that holds bytes of less than 128.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2, content.len() as u8];
    bytes.extend(content);
    bytes
}

/// A plan that reads the column `city` of a table.
fn plan(table: &[&str]) -> Vec<u8> {
    // A text that may be null.
    let string = field(12, &[2 << 3, 1]);
    let schema = [field(1, b"city"), field(2, &field(1, &string))].concat();
    let names: Vec<u8> = table.iter().flat_map(|name| field(1, name.as_bytes())).collect();
    let read = [field(2, &schema), field(7, &names)].concat();
    let root = [field(1, &field(1, &read)), field(2, b"city")].concat();
    field(3, &field(2, &root))
}

async fn info(node: &Node, account: &str, table: &[&str]) -> Result<FlightInfo, Status> {
    let plan = SubstraitPlan {
        plan: plan(table).into(),
        version: String::new(),
    };
    let command = CommandStatementSubstraitPlan {
        plan: Some(plan),
        transaction_id: None,
    };
    let mut request = Request::new(FlightDescriptor::new_cmd(command.as_any().encode_to_vec()));
    let bearer = format!("Bearer token-{account}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    Ok(node.raw().await.get_flight_info(request).await?.into_inner())
}

#[tokio::test]
async fn plans_read_what_their_sender_may_read() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern", "Oslo"])]).await;

    for table in [&["cities"][..], &["alice", "cities"], &["jetway", "alice", "cities"]] {
        let info = info(&node, "alice", table).await.unwrap();
        let found = fetch(&mut alice, &info).await.unwrap();
        assert_eq!(
            found.iter().map(|batch| batch.num_rows()).sum::<usize>(),
            2,
            "{table:?}"
        );
    }
    for table in [&["cities"][..], &["alice", "cities"]] {
        let refused = info(&node, "bob", table).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
    }
}
