//! Plans and answers that are kept: used when they can be, and never when something changed.

use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow_flight::Ticket;
use arrow_flight::sql::client::FlightSqlServiceClient;
use futures::TryStreamExt;
use tonic::Code;
use tonic::transport::Channel;

use crate::fixture::{Node, cities, push, ticket};
use crate::flow::{describe, request};

type Client = FlightSqlServiceClient<Channel>;

const COUNT: &str = "SELECT count(*) FROM cities";

fn number(batches: &[RecordBatch]) -> i64 {
    let rows = batches.iter().find(|batch| batch.num_rows() > 0).unwrap();
    rows.column(0).as_primitive::<Int64Type>().value(0)
}

/// The code of what failed.
fn code(error: &arrow_flight::error::FlightError) -> Code {
    match error {
        arrow_flight::error::FlightError::Tonic(status) => status.code(),
        other => panic!("{other}"),
    }
}

async fn plan(client: &mut Client, sql: &str) -> Result<Ticket, Code> {
    let info = client.execute(sql.to_owned(), None).await;
    info.map(|info| ticket(&info)).map_err(|error| code(&error))
}

async fn fetch(client: &mut Client, ticket: Ticket) -> Result<i64, Code> {
    let rows = match client.do_get(ticket).await {
        Ok(rows) => rows.try_collect::<Vec<_>>().await,
        Err(error) => Err(error),
    };
    rows.map(|rows| number(&rows)).map_err(|error| code(&error))
}

async fn ask(client: &mut Client, sql: &str) -> Result<i64, Code> {
    let ticket = plan(client, sql).await?;
    fetch(client, ticket).await
}

/// A question that comes again is neither planned nor run.
#[tokio::test]
async fn a_small_question_that_comes_again_is_answered_from_what_is_kept() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern", "Oslo", "Rome"])]).await;
    for (sql, answer) in [
        ("SELECT 1", 1),
        (COUNT, 3),
        ("SELECT people FROM cities WHERE city = 'Oslo'", 1000),
    ] {
        assert_eq!(ask(&mut alice, sql).await, Ok(answer));
        let kept = node.spool.snapshot().len();
        let before = node.planner.plan_cache();
        for _ in 0..3 {
            assert_eq!(ask(&mut alice, sql).await, Ok(answer));
        }
        let after = node.planner.plan_cache();
        assert_eq!((after.hits, after.misses), (before.hits + 3, before.misses), "{sql}");
        assert_eq!(node.spool.snapshot().len(), kept, "{sql}");
    }
    let reads: Vec<u64> = node.spool.snapshot().iter().map(|answer| answer.reads).collect();
    assert_eq!(reads, [4, 4, 4]);
}

#[tokio::test]
async fn what_is_kept_is_of_its_head_its_subject_and_its_settings() {
    let node = Node::start().await;
    let (mut alice, mut bob) = (node.client("alice").await, node.client("bob").await);
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    push(&mut bob, "cities", vec![cities(&["Oslo", "Rome"])]).await;
    let mut rows = 1;
    for _ in 0..2 {
        assert_eq!(ask(&mut alice, COUNT).await, Ok(rows));
        assert_eq!(ask(&mut bob, COUNT).await, Ok(2));
        let old = plan(&mut alice, COUNT).await.unwrap();
        push(&mut alice, "cities", vec![cities(&["Wien"])]).await;
        assert_eq!(ask(&mut alice, COUNT).await, Ok(rows + 1), "a commit is seen at once");
        assert_eq!(fetch(&mut alice, old).await, Ok(rows), "but not by a ticket of before");
        rows += 1;
    }
    // Another schema is another dataset, which alice may not see.
    let mut raw = node.raw().await;
    let other = raw
        .get_flight_info(request("alice", describe(COUNT), &[("jetway-schema", "bob")]))
        .await;
    assert_eq!(other.unwrap_err().code(), Code::NotFound);
    assert_eq!(ask(&mut alice, COUNT).await, Ok(rows));
    // A dataset that is made anew is another one.
    alice
        .execute_update("DROP TABLE cities".to_owned(), None)
        .await
        .unwrap();
    assert_eq!(ask(&mut alice, COUNT).await, Err(Code::NotFound));
    push(&mut alice, "cities", vec![cities(&["a", "b", "c", "d", "e", "f"])]).await;
    assert_eq!(ask(&mut alice, COUNT).await, Ok(6));
}

/// The answer is there, the ticket is good and the account is the same: what counts is the permission.
#[tokio::test]
async fn a_permission_that_is_gone_gets_no_answer_that_is_kept() {
    let node = Node::start_with(|options| options.cached_plan_age = Duration::ZERO).await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["Bern"])]).await;
    for _ in 0..2 {
        assert_eq!(ask(&mut alice, COUNT).await, Ok(1));
    }
    let ticket = plan(&mut alice, COUNT).await.unwrap();
    node.catalog.deny("alice", true);
    assert_eq!(ask(&mut alice, COUNT).await, Err(Code::PermissionDenied));
    assert_eq!(fetch(&mut alice, ticket.clone()).await, Err(Code::PermissionDenied));
    node.catalog.deny("alice", false);
    assert_eq!(fetch(&mut alice, ticket).await, Ok(1));
    assert_eq!(ask(&mut alice, COUNT).await, Ok(1));
}

/// A prepared statement has one plan for all values, on every replica.
#[tokio::test]
async fn a_prepared_statement_is_planned_once_for_all_values() {
    let node = Node::start().await;
    let mut alice = node.client("alice").await;
    push(&mut alice, "cities", vec![cities(&["a", "b", "c", "d"])]).await;
    let sql = "SELECT people FROM cities WHERE people = ?";
    let mut prepared = alice.prepare(sql.to_owned(), None).await.unwrap();
    let before = node.planner.plan_cache();
    for wanted in [0, 3000, 1000, 2000] {
        let values = cities(&["x"]).project(&[1]).unwrap();
        let values = RecordBatch::try_new(
            values.schema(),
            vec![std::sync::Arc::new(arrow::array::Int64Array::from(vec![wanted]))],
        );
        prepared.set_parameters(values.unwrap()).unwrap();
        let info = prepared.execute().await.unwrap();
        assert_eq!(fetch(&mut alice, ticket(&info)).await, Ok(wanted));
    }
    let after = node.planner.plan_cache();
    assert_eq!((after.hits, after.misses), (before.hits + 3, before.misses + 1));
}
