use std::sync::Mutex as StdMutex;

use tokio::task::JoinHandle;

use super::*;
use crate::queries::{Origin, Queries, QueryId};

fn options(concurrency: usize, per_account: usize) -> AdmissionOptions {
    AdmissionOptions {
        concurrency,
        per_account,
        queue_length: 100,
        queue_timeout: Duration::from_secs(60),
    }
}

fn query(queries: &Queries, account: &str) -> ActiveQuery {
    let origin = Origin {
        account: account.to_owned(),
        ..Origin::default()
    };
    queries.begin(QueryId::unique(), origin, "test", "SELECT 1").unwrap()
}

/// Lines up, notes its name when it is its turn, and leaves.
async fn line_up(
    admission: &Admission,
    queries: &Queries,
    name: &str,
    order: &Arc<StdMutex<Vec<String>>>,
) -> JoinHandle<()> {
    let before = admission.state().waiting;
    let (own, query, name, order) = (
        admission.clone(),
        query(queries, &name[..1]),
        name.to_owned(),
        Arc::clone(order),
    );
    let task = tokio::spawn(async move {
        let permit = own.enter(&query).await.unwrap();
        order.lock().unwrap().push(name);
        drop(permit);
    });
    while admission.state().waiting == before {
        tokio::task::yield_now().await;
    }
    task
}

#[tokio::test]
async fn accounts_take_turns_and_each_is_served_in_order() {
    let (admission, queries, order) = (Admission::new(options(1, 1)), Queries::default(), Arc::default());
    let busy = admission.enter(&query(&queries, "z")).await.unwrap();
    let mut tasks = Vec::new();
    for name in ["a1", "a2", "a3", "b1", "b2", "c1"] {
        tasks.push(line_up(&admission, &queries, name, &order).await);
    }
    drop(busy);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    let state = admission.state();
    assert!(state.running == 0 && state.waiting == 0 && state.lines.is_empty() && state.turns.is_empty());
}

#[tokio::test]
async fn an_account_at_its_limit_does_not_hold_up_others() {
    let (admission, queries, order) = (Admission::new(options(2, 1)), Queries::default(), Arc::default());
    let _first = admission.enter(&query(&queries, "a")).await.unwrap();
    let waits = line_up(&admission, &queries, "a2", &order).await;
    let other = admission.enter(&query(&queries, "b")).await.unwrap();
    assert!(!waits.is_finished());
    drop(other);
    tokio::task::yield_now().await;
    assert!(!waits.is_finished(), "the account has one more than it may");
    waits.abort();
}

#[tokio::test]
async fn a_full_queue_and_a_long_wait_are_refused_with_a_time_to_try_again() {
    let queries = Queries::default();
    let full = Admission::new(AdmissionOptions {
        queue_length: 0,
        ..options(1, 1)
    });
    let slow = Admission::new(AdmissionOptions {
        queue_timeout: Duration::from_millis(10),
        ..options(1, 1)
    });
    for admission in [full, slow] {
        let running = admission.enter(&query(&queries, "a")).await.unwrap();
        let error = admission.enter(&query(&queries, "b")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.is_retryable() && error.retry_after().is_some());
        assert_eq!(admission.state().waiting, 0);
        drop(running);
        admission.enter(&query(&queries, "b")).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_goes_away_or_is_stopped_leaves_the_queue() {
    let (admission, queries, order) = (Admission::new(options(1, 1)), Queries::default(), Arc::default());
    let running = admission.enter(&query(&queries, "z")).await.unwrap();
    let gone = line_up(&admission, &queries, "a1", &order).await;
    let last = line_up(&admission, &queries, "a2", &order).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert_eq!(admission.state().waiting, 1);
    let stopped = query(&queries, "b");
    stopped.token().cancel();
    let error = admission.enter(&stopped).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    drop(running);
    last.await.unwrap();
    assert_eq!(*order.lock().unwrap(), ["a2"]);
}
