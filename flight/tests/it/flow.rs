//! The life of an answer: endpoints, renewing, polling, the spool.

use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{ActionCancelQueryRequest, ActionCancelQueryResult, CommandStatementQuery, ProstMessageExt};
use arrow_flight::{
    Action, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, Criteria, FlightDescriptor, FlightEndpoint,
    FlightInfo, RenewFlightEndpointRequest, Ticket, decode::FlightRecordBatchStream,
};
use futures::TryStreamExt;
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::fixture::{Node, cities, push, ticket};

/// A request of somebody, with headers.
pub(crate) fn request<T>(user: &str, message: T, headers: &[(&'static str, &str)]) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("authorization", format!("Bearer token-{user}").parse().unwrap());
    for (name, value) in headers {
        metadata.insert(*name, value.parse().unwrap());
    }
    request
}

pub(crate) fn describe(sql: &str) -> FlightDescriptor {
    let command = CommandStatementQuery {
        query: sql.to_owned(),
        transaction_id: None,
    };
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

type Raw = FlightServiceClient<Channel>;

async fn plan(raw: &mut Raw, sql: &str, headers: &[(&'static str, &str)]) -> FlightInfo {
    raw.get_flight_info(request("alice", describe(sql), headers))
        .await
        .unwrap()
        .into_inner()
}

async fn read(raw: &mut Raw, ticket: Ticket, headers: &[(&'static str, &str)]) -> Result<Vec<RecordBatch>, Status> {
    let messages = raw.do_get(request("alice", ticket, headers)).await?.into_inner();
    let rows = FlightRecordBatchStream::new_from_flight_data(messages.map_err(Into::into));
    rows.try_collect().await.map_err(|error| match error {
        arrow_flight::error::FlightError::Tonic(status) => *status,
        other => panic!("{other}"),
    })
}

fn numbers(batches: &[RecordBatch]) -> Vec<i64> {
    let numbers = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values());
    numbers.copied().collect()
}

async fn node_with_cities() -> Node {
    let node = Node::start().await;
    let names: Vec<String> = (0..3000).map(|number| format!("city {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    push(&mut node.client("alice").await, "cities", vec![cities(&names)]).await;
    node
}

#[tokio::test]
async fn who_asks_gets_endpoints_that_have_each_row_once() {
    let node = node_with_cities().await;
    let mut raw = node.raw().await;
    let sql = "SELECT people FROM cities WHERE people % 2000 = 0";
    // A plain client may read the first endpoint only.
    assert_eq!(plan(&mut raw, sql, &[]).await.endpoint.len(), 1);
    let info = plan(&mut raw, sql, &[("jetway-endpoints", "3")]).await;
    assert_eq!(info.endpoint.len(), 3);
    let mut other = FlightServiceClient::new(node.channel(node.other_replica).await);
    let mut all = Vec::new();
    for (index, endpoint) in info.endpoint.iter().enumerate() {
        let ticket = endpoint.ticket.clone().unwrap();
        let rows = read(if index == 1 { &mut other } else { &mut raw }, ticket, &[])
            .await
            .unwrap();
        assert!(!rows.is_empty());
        all.extend(numbers(&rows));
    }
    all.sort_unstable();
    assert_eq!(all, (0..1500).map(|number| number * 2000).collect::<Vec<_>>());
    // What has an order has one stream.
    let info = plan(
        &mut raw,
        "SELECT people FROM cities ORDER BY people",
        &[("jetway-endpoints", "3")],
    )
    .await;
    assert_eq!((info.endpoint.len(), info.ordered), (1, true));
    let wrong = raw
        .get_flight_info(request("alice", describe(sql), &[("jetway-endpoints", "many")]))
        .await;
    assert_eq!(wrong.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn endpoints_read_the_heads_of_their_query() {
    let node = node_with_cities().await;
    let mut raw = node.raw().await;
    let info = plan(&mut raw, "SELECT people FROM cities", &[("jetway-endpoints", "2")]).await;
    push(&mut node.client("alice").await, "cities", vec![cities(&["new"])]).await;
    let mut rows = 0;
    for endpoint in info.endpoint {
        rows += numbers(&read(&mut raw, endpoint.ticket.unwrap(), &[]).await.unwrap()).len();
    }
    assert_eq!(rows, 3000);
}

/// Trap 31: twice is fine, late and by others is refused.
/// Trap 31.
#[tokio::test]
async fn a_ticket_is_good_twice_but_not_late_and_not_for_others() {
    let node = node_with_cities().await;
    let mut raw = node.raw().await;
    // At each run it would say something else.
    let info = plan(&mut raw, "SELECT people, random() AS r FROM cities LIMIT 5", &[]).await;
    let first = read(&mut raw, ticket(&info), &[]).await.unwrap();
    assert_eq!(read(&mut raw, ticket(&info), &[]).await.unwrap(), first);
    let theft = raw.do_get(request("bob", ticket(&info), &[])).await.unwrap_err();
    assert_eq!(theft.code(), Code::PermissionDenied);
    node.wait(Duration::from_secs(3700));
    let late = read(&mut raw, ticket(&info), &[]).await.unwrap_err();
    assert_eq!(late.code(), Code::FailedPrecondition);
    assert!(late.message().contains("run the query again"), "{late}");
}

async fn renew(raw: &mut Raw, user: &str, endpoint: FlightEndpoint) -> Result<FlightEndpoint, Status> {
    let body = RenewFlightEndpointRequest {
        endpoint: Some(endpoint),
    };
    let action = Action::new("RenewFlightEndpoint", body.encode_to_vec());
    let mut answers = raw.do_action(request(user, action, &[])).await?.into_inner();
    let answer = answers.message().await?.unwrap();
    Ok(FlightEndpoint::decode(answer.body).unwrap())
}

#[tokio::test]
async fn a_ticket_can_be_renewed_for_a_day() {
    let node = node_with_cities().await;
    let mut raw = node.raw().await;
    let mut endpoint = plan(&mut raw, "SELECT count(*) FROM cities", &[])
        .await
        .endpoint
        .remove(0);
    let first = endpoint.expiration_time.unwrap().seconds;
    assert_eq!(
        renew(&mut raw, "bob", endpoint.clone()).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    node.wait(Duration::from_secs(50 * 60));
    endpoint = renew(&mut raw, "alice", endpoint).await.unwrap();
    assert!(endpoint.expiration_time.unwrap().seconds >= first + 49 * 60);
    node.wait(Duration::from_secs(50 * 60));
    assert_eq!(
        numbers(&read(&mut raw, endpoint.ticket.clone().unwrap(), &[]).await.unwrap()),
        [3000]
    );
    // Late, but not too late.
    node.wait(Duration::from_secs(30 * 60));
    assert!(read(&mut raw, endpoint.ticket.clone().unwrap(), &[]).await.is_err());
    endpoint = renew(&mut raw, "alice", endpoint).await.unwrap();
    assert!(read(&mut raw, endpoint.ticket.clone().unwrap(), &[]).await.is_ok());
    for _ in 0..24 {
        node.wait(Duration::from_secs(50 * 60));
        endpoint = renew(&mut raw, "alice", endpoint).await.unwrap();
    }
    node.wait(Duration::from_secs(3 * 60 * 60));
    let error = renew(&mut raw, "alice", endpoint).await.unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
}

/// Trap 42.
#[tokio::test]
async fn an_answer_is_kept_for_the_same_question_of_the_same_account() {
    let node = node_with_cities().await;
    let mut raw = node.raw().await;
    let mut bob = node.client("bob").await;
    push(&mut node.client("public").await, "towns", vec![cities(&["a", "b"])]).await;
    let kept = || node.spool.snapshot();
    let sql = "SELECT people FROM public.towns";
    let reads = || kept().iter().map(|answer| answer.reads).sum::<u64>();
    let info = plan(&mut raw, sql, &[]).await;
    let first = read(&mut raw, ticket(&info), &[]).await.unwrap();
    assert_eq!((kept().len(), reads()), (1, 1));
    let info = plan(&mut raw, sql, &[]).await;
    assert_eq!(read(&mut raw, ticket(&info), &[]).await.unwrap(), first);
    assert_eq!((kept().len(), reads()), (1, 2));
    // Another account, another profile and another head are other answers.
    let info = bob.execute(sql.to_owned(), None).await.unwrap();
    crate::fixture::fetch(&mut bob, &info).await.unwrap();
    assert_eq!(kept().len(), 2);
    let info = plan(&mut raw, sql, &[("jetway-compression", "lz4")]).await;
    read(&mut raw, ticket(&info), &[]).await.unwrap();
    assert_eq!(kept().len(), 3);
    push(&mut node.client("public").await, "towns", vec![cities(&["c"])]).await;
    let info = plan(&mut raw, sql, &[]).await;
    assert_eq!(numbers(&read(&mut raw, ticket(&info), &[]).await.unwrap()).len(), 3);
    assert_eq!(kept().len(), 4);
    // And nothing is kept that must not be.
    let info = plan(&mut raw, "SELECT 17", &[]).await;
    read(&mut raw, ticket(&info), &[("jetway-spool", "never")])
        .await
        .unwrap();
    assert_eq!(kept().len(), 4);
}

#[tokio::test]
async fn a_download_that_was_asked_to_be_kept_is_read_on_from_the_middle() {
    let node = node_with_cities().await;
    let mut raw = node.raw().await;
    // Some messages of two MiB.
    let sql = "SELECT a.people AS p, repeat('x', 1000) AS t FROM cities a, cities b WHERE b.people < 5000";
    let info = plan(&mut raw, sql, &[]).await;
    let always = [("jetway-spool", "always")];
    let mut cut = raw
        .do_get(request("alice", ticket(&info), &always))
        .await
        .unwrap()
        .into_inner();
    let mut messages = Vec::new();
    while messages.len() < 4 {
        messages.push(cut.message().await.unwrap().unwrap());
    }
    drop(cut);
    let rest = raw
        .do_get(request(
            "alice",
            ticket(&info),
            &[("jetway-spool", "always"), ("jetway-resume-from", "3")],
        ))
        .await
        .unwrap()
        .into_inner();
    let rest: Vec<_> = rest.try_collect().await.unwrap();
    messages.extend(rest.into_iter().skip(1));
    let whole = raw
        .do_get(request("alice", ticket(&info), &[]))
        .await
        .unwrap()
        .into_inner();
    let whole: Vec<_> = whole.try_collect().await.unwrap();
    assert!(messages == whole);
    let rows = FlightRecordBatchStream::new_from_flight_data(futures::stream::iter(whole.into_iter().map(Ok)));
    let rows: Vec<RecordBatch> = rows.try_collect().await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 15_000);
    // Nobody else's answer is read on.
    let info = plan(&mut raw, sql, &[]).await;
    let error = read(&mut raw, ticket(&info), &[("jetway-resume-from", "3")])
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn polls_tell_more_until_all_is_there() {
    let node = node_with_cities().await;
    let mut raw = node.raw().await;
    let sql = "SELECT a.people AS p, repeat('x', 1000) AS t FROM cities a, cities b WHERE b.people < 40000";
    let mut descriptor = describe(sql);
    let mut known = Vec::<FlightEndpoint>::new();
    let mut progress = Vec::new();
    let info = loop {
        let poll = raw
            .poll_flight_info(request("alice", descriptor.clone(), &[]))
            .await
            .unwrap()
            .into_inner();
        let info = poll.info.unwrap();
        assert!(poll.expiration_time.is_some());
        progress.push(poll.progress.unwrap());
        let tickets =
            |endpoints: &[FlightEndpoint]| endpoints.iter().map(|e| e.app_metadata.clone()).collect::<Vec<_>>();
        assert!(info.endpoint.len() >= known.len());
        assert_eq!(tickets(&info.endpoint[..known.len()]), tickets(&known));
        known = info.endpoint.clone();
        match poll.flight_descriptor {
            Some(next) => descriptor = next,
            None => {
                assert_eq!(poll.progress, Some(1.0));
                break info;
            }
        }
    };
    assert!(info.endpoint.len() > 2, "{} endpoints", info.endpoint.len());
    // A machine that is fast enough is done at the first poll.
    assert!(progress.is_sorted(), "{progress:?}");
    assert!(
        progress[..progress.len() - 1]
            .iter()
            .all(|share| (0.0..1.0).contains(share)),
        "{progress:?}"
    );
    assert_eq!(info.total_records, 120_000);
    let mut rows = 0;
    for endpoint in &info.endpoint {
        let batches = read(&mut raw, endpoint.ticket.clone().unwrap(), &[]).await.unwrap();
        rows += numbers(&batches).len();
    }
    assert_eq!(rows, 120_000);
    // Rows that another replica does not have are not made up there.
    let mut other = FlightServiceClient::new(node.channel(node.other_replica).await);
    let error = read(&mut other, info.endpoint[1].ticket.clone().unwrap(), &[])
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_small_query_is_polled_once_and_its_ticket_is_good_everywhere() {
    let node = node_with_cities().await;
    let mut raw = node.raw().await;
    let poll = raw
        .poll_flight_info(request("alice", describe("SELECT count(*) FROM cities"), &[]))
        .await
        .unwrap()
        .into_inner();
    assert!(poll.flight_descriptor.is_none());
    let info = poll.info.unwrap();
    let mut other = FlightServiceClient::new(node.channel(node.other_replica).await);
    for client in [&mut raw, &mut other] {
        assert_eq!(numbers(&read(client, ticket(&info), &[]).await.unwrap()), [3000]);
    }
    // What fails says so in a poll.
    for (sql, code) in [
        ("SELECT * FROM nowhere", Code::NotFound),
        ("SELECT 1 / (people - people) FROM cities", Code::InvalidArgument),
    ] {
        let error = raw
            .poll_flight_info(request("alice", describe(sql), &[]))
            .await
            .unwrap_err();
        assert_eq!(error.code(), code, "{sql}: {error}");
    }
    // A poll may be continued elsewhere as long as it gave out nothing.
    let forged = raw
        .poll_flight_info(request("bob", FlightDescriptor::new_cmd("x"), &[]))
        .await
        .unwrap_err();
    assert_eq!(forged.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn datasets_are_flights() {
    let node = node_with_cities().await;
    let mut raw = node.raw().await;
    push(&mut node.client("bob").await, "secrets", vec![cities(&["x"])]).await;
    let list = async |raw: &mut Raw, pattern: &str| {
        let criteria = Criteria {
            expression: pattern.to_owned().into(),
        };
        let flights = raw
            .list_flights(request("alice", criteria, &[]))
            .await
            .unwrap()
            .into_inner();
        flights.try_collect::<Vec<FlightInfo>>().await.unwrap()
    };
    assert_eq!(list(&mut raw, "").await.len(), 1);
    assert!(list(&mut raw, "bob/%").await.is_empty());
    let listed = list(&mut raw, "alice/c%").await.remove(0);
    let descriptor = listed.flight_descriptor.unwrap();
    assert_eq!(descriptor.path, ["alice", "cities"]);
    let info = raw
        .get_flight_info(request("alice", descriptor.clone(), &[]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(info.schema, listed.schema);
    let schema = raw
        .get_schema(request("alice", descriptor, &[]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(schema.schema, info.schema);
    let rows = read(&mut raw, ticket(&info), &[]).await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 3000);
    for path in [
        vec!["bob", "secrets"],
        vec!["a\"; DROP TABLE cities"],
        vec!["a", "b", "c"],
        vec![],
    ] {
        let descriptor = FlightDescriptor::new_path(path.iter().map(ToString::to_string).collect());
        let error = raw
            .get_flight_info(request("alice", descriptor, &[]))
            .await
            .unwrap_err();
        assert!(
            [Code::NotFound, Code::InvalidArgument].contains(&error.code()),
            "{path:?}: {error}"
        );
    }
}

async fn cancel(raw: &mut Raw, user: &str, info: FlightInfo) -> Result<CancelStatus, Status> {
    let body = CancelFlightInfoRequest { info: Some(info) }.encode_to_vec();
    let action = Action::new("CancelFlightInfo", body);
    let mut answers = raw.do_action(request(user, action, &[])).await?.into_inner();
    let answer = answers.message().await?.unwrap();
    Ok(CancelFlightInfoResult::decode(answer.body).unwrap().status())
}

#[tokio::test]
async fn a_query_is_cancelled_before_and_while_it_runs() {
    let node = node_with_cities().await;
    let mut raw = node.raw().await;
    let info = plan(&mut raw, "SELECT people FROM cities", &[]).await;
    assert_eq!(
        cancel(&mut raw, "bob", info.clone()).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    assert_eq!(
        cancel(&mut raw, "alice", info.clone()).await.unwrap(),
        CancelStatus::Cancelled
    );
    assert_eq!(
        read(&mut raw, ticket(&info), &[]).await.unwrap_err().code(),
        Code::Cancelled
    );

    let endless = "SELECT a.people AS p, repeat('x', 1000) AS t FROM cities a, cities b, cities c";
    let info = plan(&mut raw, endless, &[]).await;
    let mut rows = raw
        .do_get(request("alice", ticket(&info), &[]))
        .await
        .unwrap()
        .into_inner();
    rows.message().await.unwrap().unwrap();
    rows.message().await.unwrap().unwrap();
    assert_eq!(
        cancel(&mut raw, "alice", info.clone()).await.unwrap(),
        CancelStatus::Cancelling
    );
    let ended = loop {
        match rows.message().await {
            Ok(Some(_)) => {}
            other => break other.unwrap_err(),
        }
    };
    assert_eq!(ended.code(), Code::Cancelled);
    assert_eq!(
        read(&mut raw, ticket(&info), &[]).await.unwrap_err().code(),
        Code::Cancelled
    );

    // One that runs in the background, by what a poll told.
    let slow = "SELECT count(*) FROM cities a, cities b, cities c WHERE a.people + b.people > c.people";
    let poll = raw
        .poll_flight_info(request("alice", describe(slow), &[]))
        .await
        .unwrap()
        .into_inner();
    let next = poll.flight_descriptor.unwrap();
    let info = FlightInfo {
        flight_descriptor: Some(next.clone()),
        ..poll.info.unwrap()
    };
    assert_eq!(cancel(&mut raw, "alice", info).await.unwrap(), CancelStatus::Cancelling);
    let ended = loop {
        match raw.poll_flight_info(request("alice", next.clone(), &[])).await {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::Cancelled);

    let listing = raw
        .get_flight_info(request(
            "alice",
            FlightDescriptor::new_cmd(arrow_flight::sql::CommandGetCatalogs {}.as_any().encode_to_vec()),
            &[],
        ))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        cancel(&mut raw, "alice", listing).await.unwrap(),
        CancelStatus::NotCancellable
    );
    assert_eq!(
        cancel(&mut raw, "alice", FlightInfo::default())
            .await
            .unwrap_err()
            .code(),
        Code::InvalidArgument
    );
}

#[tokio::test]
async fn older_clients_cancel_as_well() {
    let node = node_with_cities().await;
    let mut raw = node.raw().await;
    let info = plan(&mut raw, "SELECT people FROM cities", &[]).await;
    let body = ActionCancelQueryRequest {
        info: info.encode_to_vec().into(),
    };
    let action = Action::new("CancelQuery", body.as_any().encode_to_vec());
    let mut answers = raw.do_action(request("alice", action, &[])).await.unwrap().into_inner();
    let answer = arrow_flight::sql::Any::decode(answers.message().await.unwrap().unwrap().body).unwrap();
    let result: ActionCancelQueryResult = answer.unpack().unwrap().unwrap();
    assert_eq!(result.result, 1);
    assert_eq!(
        read(&mut raw, ticket(&info), &[]).await.unwrap_err().code(),
        Code::Cancelled
    );
}

#[tokio::test]
async fn actions_are_listed() {
    let node = Node::start().await;
    let mut raw = node.raw().await;
    let actions = raw
        .list_actions(request("alice", arrow_flight::Empty {}, &[]))
        .await
        .unwrap()
        .into_inner();
    let actions: Vec<arrow_flight::ActionType> = actions.try_collect().await.unwrap();
    for name in [
        "CancelFlightInfo",
        "CancelQuery",
        "RenewFlightEndpoint",
        "CreatePreparedStatement",
        "ClosePreparedStatement",
    ] {
        assert!(
            actions
                .iter()
                .any(|action| action.r#type == name && !action.description.is_empty()),
            "{name}"
        );
    }
    let mut names: Vec<_> = actions.iter().map(|action| &action.r#type).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), actions.len());
}

/// A kept answer needs nothing of the dataset any more, and all the same it is not for those who may not read it now.
#[tokio::test]
async fn a_kept_answer_is_not_given_when_the_permission_is_gone() {
    let node = Node::start_with(|options| options.cached_plans = 0).await;
    push(
        &mut node.client("alice").await,
        "cities",
        vec![cities(&["Bern", "Oslo"])],
    )
    .await;
    let mut raw = node.raw().await;
    let sql = "SELECT people FROM cities";
    let info = plan(&mut raw, sql, &[]).await;
    for _ in 0..2 {
        assert_eq!(numbers(&read(&mut raw, ticket(&info), &[]).await.unwrap()).len(), 2);
    }
    assert_eq!(node.spool.snapshot().len(), 1, "the answer is kept");
    node.take_away("alice/cities");
    let error = read(&mut raw, ticket(&info), &[]).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "{error}");
    let error = raw
        .get_flight_info(request("alice", describe(sql), &[]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::NotFound, "{error}");
}
