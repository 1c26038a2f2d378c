//! How many queries run at once, and who is next.
//!
//! Accounts take turns: of those that wait and may run one more, the one that waits longest for its turn is next; within an
//! account, whoever came first. So an account that sends a thousand queries delays others by one of them at most.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::queries::ActiveQuery;
use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// How many queries run and wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionOptions {
    /// Most queries that run at once.
    pub concurrency: usize,
    /// Most queries of one account that run at once.
    pub per_account: usize,
    /// Most queries that wait.
    pub queue_length: usize,
    /// Longest time that a query waits.
    pub queue_timeout: Duration,
}

impl Default for AdmissionOptions {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            concurrency: (4 * cores).max(8),
            per_account: (4 * cores).max(8),
            queue_length: 1000,
            queue_timeout: Duration::from_secs(60),
        }
    }
}

/// Lets queries in. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    options: AdmissionOptions,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    by_account: HashMap<String, usize>,
    /// Accounts that wait, the next one first; each has a line below.
    turns: VecDeque<String>,
    lines: HashMap<String, VecDeque<Waiter>>,
    waiting: usize,
    next: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    admitted: oneshot::Sender<Permit>,
}

/// The right to run, given back on drop.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Admission,
    account: String,
}

/// A place in the queue, left on drop.
struct Place<'a> {
    admission: &'a Admission,
    account: &'a str,
    number: u64,
}

impl Admission {
    pub(crate) fn new(options: AdmissionOptions) -> Self {
        let options = AdmissionOptions {
            concurrency: options.concurrency.max(1),
            per_account: options.per_account.max(1),
            ..options
        };
        Self {
            options,
            state: Arc::default(),
        }
    }

    /// Waits until the query may run.
    ///
    /// # Errors
    /// `Unavailable`, with the time to try again, when too many wait or it waited for too long; whatever stops the query.
    pub(crate) async fn enter(&self, query: &ActiveQuery) -> Result<Permit> {
        let account = query.account();
        if let Some(permit) = self.try_enter(account) {
            return Ok(permit);
        }
        query.queued();
        query.until_stopped(self.wait(account)).await
    }

    fn try_enter(&self, account: &str) -> Option<Permit> {
        let mut state = self.state();
        // Whoever came first goes first.
        let free = !state.lines.contains_key(account) && self.has_room(&state, account);
        free.then(|| self.admit(&mut state, account))
    }

    async fn wait(&self, account: &str) -> Result<Permit> {
        let began = Instant::now();
        let (admitted, permit) = oneshot::channel();
        let place = self.line_up(account, admitted)?;
        let outcome = tokio::time::timeout(self.options.queue_timeout, permit).await;
        metrics::histogram!("jetway_query_queue_seconds").record(began.elapsed().as_secs_f64());
        drop(place);
        match outcome {
            Ok(Ok(permit)) => Ok(permit),
            _ => {
                metrics::counter!("jetway_queries_refused_total", "reason" => "waited").increment(1);
                Err(busy(format!(
                    "the node is busy: the query waited for {} s without its turn coming",
                    self.options.queue_timeout.as_secs_f64()
                )))
            }
        }
    }

    fn line_up<'a>(&'a self, account: &'a str, admitted: oneshot::Sender<Permit>) -> Result<Place<'a>> {
        let mut state = self.state();
        if state.waiting >= self.options.queue_length {
            metrics::counter!("jetway_queries_refused_total", "reason" => "queue full").increment(1);
            return Err(busy(format!(
                "the node is busy: {} queries wait already",
                state.waiting
            )));
        }
        let number = state.next;
        state.next += 1;
        state.waiting += 1;
        metrics::gauge!("jetway_queries_queued").set(state.waiting as f64);
        let line = state.lines.entry(account.to_owned()).or_default();
        let is_first = line.is_empty();
        line.push_back(Waiter { number, admitted });
        if is_first {
            state.turns.push_back(account.to_owned());
        }
        // A permit may have come back since it was looked for.
        let next = self.admit_next(&mut state);
        drop(state);
        send(next);
        Ok(Place {
            admission: self,
            account,
            number,
        })
    }

    fn has_room(&self, state: &State, account: &str) -> bool {
        state.running < self.options.concurrency
            && state.by_account.get(account).copied().unwrap_or(0) < self.options.per_account
    }

    fn admit(&self, state: &mut State, account: &str) -> Permit {
        state.running += 1;
        *state.by_account.entry(account.to_owned()).or_default() += 1;
        metrics::gauge!("jetway_queries_running").set(state.running as f64);
        Permit {
            admission: self.clone(),
            account: account.to_owned(),
        }
    }

    /// Takes those whose turn it is out of the queue.
    fn admit_next(&self, state: &mut State) -> Vec<(oneshot::Sender<Permit>, Permit)> {
        let mut admitted = Vec::new();
        let mut passed = 0;
        while passed < state.turns.len() {
            let Some(account) = state.turns.pop_front() else { break };
            if !self.has_room(state, &account) {
                state.turns.push_back(account);
                passed += 1;
                continue;
            }
            let line = state.lines.get_mut(&account);
            let waiter = line.and_then(VecDeque::pop_front);
            if state.lines.get(&account).is_some_and(|line| !line.is_empty()) {
                state.turns.push_back(account.clone());
            } else {
                state.lines.remove(&account);
            }
            if let Some(waiter) = waiter {
                let permit = self.admit(state, &account);
                admitted.push((waiter.admitted, permit));
            }
            passed = 0;
        }
        admitted
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands out permits, without the lock: one that nobody takes any more is dropped, which takes it.
fn send(admitted: Vec<(oneshot::Sender<Permit>, Permit)>) {
    for (waiter, permit) in admitted {
        drop(waiter.send(permit));
    }
}

fn busy(what: String) -> Error {
    /// When it is worth to try again.
    const AFTER: Duration = Duration::from_secs(2);
    Error::new(
        ErrorKind::Unavailable,
        format!(
            "{what}; try again in {} s, or run fewer queries at once",
            AFTER.as_secs()
        ),
    )
    .with_retry_after(AFTER)
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.running = state.running.saturating_sub(1);
        if let Some(count) = state.by_account.get_mut(&self.account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.by_account.remove(&self.account);
            }
        }
        metrics::gauge!("jetway_queries_running").set(state.running as f64);
        let next = self.admission.admit_next(&mut state);
        drop(state);
        send(next);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.waiting = state.waiting.saturating_sub(1);
        metrics::gauge!("jetway_queries_queued").set(state.waiting as f64);
        if let Some(line) = state.lines.get_mut(self.account) {
            line.retain(|waiter| waiter.number != self.number);
            if line.is_empty() {
                state.lines.remove(self.account);
                state.turns.retain(|account| account != self.account);
            }
        }
    }
}
