//! A query that waits or runs.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use jetway_planner::Usage;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Entry, QueryId, QueryState, Stopped};
use crate::call::code_name;
use crate::status::code;
use crate::{Error, ErrorKind, Result};

/// A fetch of a query, or of a part of it. Unless it is told how it ended, dropping it means that the client went away.
#[derive(Debug)]
pub struct ActiveQuery {
    entry: Arc<Entry>,
    ended: bool,
    timer: Option<JoinHandle<()>>,
}

/// Counts what leaves, and tells those who write to a client when to stop. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Entry>);

impl Meter {
    /// Counts bytes that were sent.
    pub fn bytes(&self, bytes: u64) {
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Ready when the query is to stop; says why.
    pub async fn stopped(&self) -> Error {
        self.0.stop.cancelled().await;
        self.0.why()
    }
}

impl Entry {
    pub(super) fn why(&self) -> Error {
        match &self.progress().stopped {
            Some(stopped) => stopped.error(),
            None => Error::new(ErrorKind::Cancelled, "the query was stopped"),
        }
    }
}

impl ActiveQuery {
    pub(super) fn new(entry: Arc<Entry>) -> Self {
        Self {
            entry,
            ended: false,
            timer: None,
        }
    }

    /// Its name.
    pub fn id(&self) -> QueryId {
        self.entry.id
    }

    /// Whose it is.
    pub fn account(&self) -> &str {
        &self.entry.origin.account
    }

    /// Cancelled when the query is to stop.
    pub fn token(&self) -> &CancellationToken {
        &self.entry.stop
    }

    /// What it uses of the node.
    pub fn usage(&self) -> &Usage {
        &self.entry.usage
    }

    /// For those who send its rows.
    pub fn meter(&self) -> Meter {
        Meter(Arc::clone(&self.entry))
    }

    /// Stops the query when this time is over. Needs a Tokio runtime.
    #[must_use]
    pub fn with_time_limit(mut self, limit: Option<Duration>) -> Self {
        if let Some(limit) = limit {
            let entry = Arc::clone(&self.entry);
            self.timer = Some(tokio::spawn(async move {
                tokio::time::sleep(limit).await;
                entry.stop(Stopped::Time(limit));
            }));
        }
        self
    }

    /// It waits for others to end.
    pub fn queued(&self) {
        let mut progress = self.entry.progress();
        progress.state = QueryState::Queued;
        progress.queued.get_or_insert_with(Utc::now);
    }

    /// It runs.
    pub fn running(&self) {
        let mut progress = self.entry.progress();
        progress.state = QueryState::Running;
        progress.started.get_or_insert_with(Utc::now);
    }

    /// Counts rows; gives how many there were so far.
    pub fn rows(&self, rows: u64) -> u64 {
        if rows > 0 && self.entry.rows.load(Ordering::Relaxed) == 0 {
            self.entry.progress().first_row.get_or_insert_with(Utc::now);
        }
        self.entry.rows.fetch_add(rows, Ordering::Relaxed).saturating_add(rows)
    }

    /// Waits for something, but no longer than until the query is to stop.
    pub async fn until_stopped<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T>
    where
        Error: From<E>,
    {
        tokio::select! {
            biased;
            () = self.entry.stop.cancelled() => Err(self.entry.why()),
            outcome = work => Ok(outcome?),
        }
    }

    /// Why it was told to stop.
    pub(super) fn why(&self) -> Error {
        self.entry.why()
    }

    /// Ends it.
    pub fn finish(mut self, outcome: &Result<()>) {
        self.end(outcome.as_ref().err());
    }

    /// Ends it with an error.
    pub fn fail(mut self, error: &Error) {
        self.end(Some(error));
    }

    pub(super) fn end(&mut self, error: Option<&Error>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(timer) = self.timer.take() {
            timer.abort();
        }
        self.entry.usage.spilled();
        let mut progress = self.entry.progress();
        progress.open = progress.open.saturating_sub(1);
        let state = match error {
            None => QueryState::Finished,
            Some(error) if code(error.kind()) == tonic::Code::Cancelled => QueryState::Cancelled,
            Some(_) => QueryState::Failed,
        };
        if let Some(error) = error {
            progress
                .error
                .get_or_insert_with(|| (code_name(code(error.kind())), super::shorten(error.message())));
        }
        // Of several parts, the last one to end decides, unless another one failed.
        if progress.open == 0 {
            self.entry.usage.ended();
            progress.state = match &progress.error {
                Some(("CANCELLED", _)) => QueryState::Cancelled,
                Some(_) => QueryState::Failed,
                None => state,
            };
            progress.finished = Some(Utc::now());
            metrics::counter!("jetway_queries_total", "state" => progress.state.name()).increment(1);
        }
    }
}

impl Drop for ActiveQuery {
    fn drop(&mut self) {
        let gone = match self.entry.stop.is_cancelled() {
            true => self.entry.why(),
            false => Error::new(ErrorKind::Cancelled, "the client went away"),
        };
        self.end(Some(&gone));
    }
}
