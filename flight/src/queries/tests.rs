use jetway_planner::Subject;

use super::*;

fn origin(account: &str) -> Origin {
    Origin {
        account: account.to_owned(),
        ..Origin::default()
    }
}

fn subject(name: &str) -> Subject {
    Subject::account(name.parse().unwrap())
}

fn state(queries: &Queries, id: QueryId) -> QueryState {
    queries.get(id).unwrap().state
}

#[tokio::test]
async fn a_query_goes_from_planned_to_its_end() {
    let queries = Queries::default();
    let id = QueryId::unique();
    queries.planned(id, origin("alice"), "StatementQuery", "SELECT 1");
    assert_eq!(state(&queries, id), QueryState::Planned);
    let active = queries
        .begin(id, origin("alice"), "StatementQuery", "SELECT 1")
        .unwrap();
    active.queued();
    assert_eq!(state(&queries, id), QueryState::Queued);
    active.running();
    assert_eq!(active.rows(2), 2);
    assert_eq!(active.rows(3), 5);
    active.meter().bytes(100);
    assert_eq!(state(&queries, id), QueryState::Running);
    active.finish(&Ok(()));
    let record = queries.get(id).unwrap();
    assert_eq!(
        (record.state, record.rows, record.bytes),
        (QueryState::Finished, 5, 100)
    );
    assert!(record.first_row.is_some() && record.finished.is_some() && record.error.is_none());
}

#[tokio::test]
async fn how_a_handle_ends_is_how_the_query_ended() {
    let queries = Queries::default();
    let begin = || queries.begin(QueryId::unique(), origin("alice"), "test", "").unwrap();
    let dropped = begin();
    let id = dropped.id();
    drop(dropped);
    assert_eq!(state(&queries, id), QueryState::Cancelled);
    let failed = begin();
    let id = failed.id();
    failed.finish(&Err(Error::invalid_argument("no")));
    let record = queries.get(id).unwrap();
    assert_eq!(record.state, QueryState::Failed);
    assert_eq!(record.error, Some(("INVALID_ARGUMENT", "no".into())));
}

#[tokio::test]
async fn only_the_owner_and_administrators_see_and_stop_a_query() {
    let queries = Queries::default();
    let active = queries.begin(QueryId::unique(), origin("alice"), "test", "").unwrap();
    active.running();
    let id = active.id();
    assert!(queries.list(&subject("bob")).is_empty());
    assert!(queries.cancel(id, &subject("bob")).is_err());
    assert!(!active.token().is_cancelled());
    assert_eq!(queries.list(&subject("alice")).len(), 1);
    let admin = Subject::admin("root".parse().unwrap());
    assert_eq!(queries.list(&admin).len(), 1);
    assert!(queries.cancel(id, &admin).unwrap());
    assert!(active.token().is_cancelled());
    let stopped: Result<()> = active.until_stopped(std::future::pending::<Result<()>>()).await;
    let stopped = stopped.unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Cancelled);
    assert!(stopped.message().contains("root"), "{stopped}");
    drop(active);
    assert_eq!(state(&queries, id), QueryState::Cancelled);
    assert!(!queries.cancel(id, &admin).unwrap(), "it has ended");
}

#[tokio::test]
async fn a_query_that_is_stopped_before_it_runs_never_does() {
    let queries = Queries::default();
    let id = QueryId::unique();
    queries.planned(id, origin("alice"), "test", "");
    assert!(!queries.cancel(id, &subject("alice")).unwrap());
    let error = queries.begin(id, origin("alice"), "test", "").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[tokio::test]
async fn the_time_limit_stops_a_query() {
    let queries = Queries::default();
    let active = queries.begin(QueryId::unique(), origin("alice"), "test", "").unwrap();
    let active = active.with_time_limit(Some(Duration::from_millis(5)));
    let error: Result<()> = active.until_stopped(std::future::pending::<Result<()>>()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    let id = active.id();
    drop(active);
    assert_eq!(queries.get(id).unwrap().error.unwrap().0, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn the_oldest_are_forgotten_but_never_one_that_runs() {
    let queries = Queries::new(3);
    let running = queries.begin(QueryId::unique(), origin("alice"), "test", "").unwrap();
    let first = QueryId::unique();
    queries.planned(first, origin("alice"), "test", "");
    for _ in 0..5 {
        queries.planned(QueryId::unique(), origin("alice"), "test", "");
    }
    assert_eq!(queries.list(&subject("alice")).len(), 3);
    assert!(queries.get(running.id()).is_some() && queries.get(first).is_none());
}
