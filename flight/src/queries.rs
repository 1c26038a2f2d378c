//! The queries of this node: those that were planned, wait or run, and the last that ended.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use jetway_planner::{Subject, Usage};
use tokio_util::sync::CancellationToken;

use crate::session::may_see;
use crate::{Error, ErrorKind, Result};

mod active;
mod id;
mod run;
mod table;
#[cfg(test)]
mod tests;

pub use active::{ActiveQuery, Meter};
pub use id::QueryId;
pub(crate) use run::{ResultLimits, change, run};

/// How many queries are remembered unless somebody says otherwise.
const REMEMBERED: usize = 1000;

/// Most characters of a text that are kept.
const MAX_TEXT: usize = 1000;

/// Who asked for what.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The account.
    pub account: String,
    /// What the client calls itself.
    pub client: Arc<str>,
    /// Where it connected from.
    pub peer: Option<SocketAddr>,
    /// The trace that the call belongs to, in hexadecimal digits, if the client sent one.
    pub trace: Option<Arc<str>>,
}

/// How far a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryState {
    /// Its ticket was handed out; nothing runs.
    Planned,
    /// It waits for others to end.
    Queued,
    /// It runs, or its rows are fetched.
    Running,
    /// Its last row was fetched.
    Finished,
    /// It ended with an error.
    Failed,
    /// Its client went away, or somebody stopped it.
    Cancelled,
}

impl QueryState {
    /// Its name in tables and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it waits or runs.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

/// What is known about a query at one moment.
#[derive(Debug, Clone)]
pub struct QueryRecord {
    /// Its name.
    pub id: QueryId,
    /// Who asked.
    pub origin: Origin,
    /// Its text, shortened; empty for a plan.
    pub text: Arc<str>,
    /// The command of Flight SQL that it came with.
    pub command: &'static str,
    /// How far it is.
    pub state: QueryState,
    /// When it was planned, or first seen here.
    pub planned: DateTime<Utc>,
    /// When it began to wait.
    pub queued: Option<DateTime<Utc>>,
    /// When it began to run.
    pub started: Option<DateTime<Utc>>,
    /// When it gave its first rows.
    pub first_row: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished: Option<DateTime<Utc>>,
    /// Rows that it gave or took in.
    pub rows: u64,
    /// Bytes that were sent to the client.
    pub bytes: u64,
    /// Bytes of memory that it uses now.
    pub memory: u64,
    /// Most bytes of memory that it used at any moment.
    pub peak_memory: u64,
    /// Bytes of intermediate results that it had in files.
    pub spilled: u64,
    /// Why it failed: the code of gRPC and the message.
    pub error: Option<(&'static str, Arc<str>)>,
}

/// All queries of a node. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries {
    book: Arc<Mutex<Book>>,
}

#[derive(Debug)]
struct Book {
    remembered: usize,
    /// By identity, which is by age.
    entries: BTreeMap<QueryId, Arc<Entry>>,
}

/// A query. It is shared by the book and by all who run it.
#[derive(Debug)]
struct Entry {
    id: QueryId,
    origin: Origin,
    text: Arc<str>,
    command: &'static str,
    planned: DateTime<Utc>,
    progress: Mutex<Progress>,
    rows: AtomicU64,
    bytes: AtomicU64,
    usage: Usage,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Progress {
    state: QueryState,
    queued: Option<DateTime<Utc>>,
    started: Option<DateTime<Utc>>,
    first_row: Option<DateTime<Utc>>,
    finished: Option<DateTime<Utc>>,
    error: Option<(&'static str, Arc<str>)>,
    /// How many fetches of its parts are open.
    open: usize,
    stopped: Option<Stopped>,
}

/// Why a query was told to stop.
#[derive(Debug, Clone)]
enum Stopped {
    By(String),
    Time(Duration),
}

impl Stopped {
    fn error(&self) -> Error {
        match self {
            Self::By(account) => Error::new(ErrorKind::Cancelled, format!("the query was stopped by {account}")),
            Self::Time(limit) => Error::new(
                ErrorKind::DeadlineExceeded,
                format!(
                    "the query took longer than the {} s that it may take: read fewer rows, or ask for more time",
                    limit.as_secs_f64()
                ),
            ),
        }
    }
}

impl Default for Queries {
    fn default() -> Self {
        Self::new(REMEMBERED)
    }
}

impl Queries {
    /// An empty book that remembers at most so many queries besides those that wait or run.
    #[must_use]
    pub fn new(remembered: usize) -> Self {
        Self {
            book: Arc::new(Mutex::new(Book {
                remembered,
                entries: BTreeMap::new(),
            })),
        }
    }

    /// Notes that a query was planned.
    pub fn planned(&self, id: QueryId, origin: Origin, command: &'static str, text: &str) {
        self.entry(id, origin, command, text);
    }

    /// Begins to wait for, run or fetch a query, which another replica may have planned. It ends when the handle is dropped.
    ///
    /// # Errors
    /// `Cancelled` when it was stopped before.
    pub fn begin(&self, id: QueryId, origin: Origin, command: &'static str, text: &str) -> Result<ActiveQuery> {
        let entry = self.entry(id, origin, command, text);
        {
            let mut progress = entry.progress();
            if let Some(stopped) = &progress.stopped {
                return Err(stopped.error());
            }
            progress.open += 1;
        }
        Ok(ActiveQuery::new(entry))
    }

    fn entry(&self, id: QueryId, origin: Origin, command: &'static str, text: &str) -> Arc<Entry> {
        let mut book = self.book();
        if let Some(entry) = book.entries.get(&id)
            && entry.origin.account.eq_ignore_ascii_case(&origin.account)
        {
            return Arc::clone(entry);
        }
        let entry = Arc::new(Entry {
            id,
            origin,
            text: shorten(text),
            command,
            planned: Utc::now(),
            progress: Mutex::new(Progress {
                state: QueryState::Planned,
                queued: None,
                started: None,
                first_row: None,
                finished: None,
                error: None,
                open: 0,
                stopped: None,
            }),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            usage: Usage::default(),
            stop: CancellationToken::new(),
        });
        book.entries.insert(id, Arc::clone(&entry));
        book.forget();
        entry
    }

    /// What is known about one query; none if it is unknown here.
    pub fn get(&self, id: QueryId) -> Option<QueryRecord> {
        let entry = self.book().entries.get(&id).map(Arc::clone)?;
        Some(entry.record())
    }

    /// What is known about all queries that a subject may see, the oldest first: its own, or all for an administrator.
    pub fn list(&self, subject: &Subject) -> Vec<QueryRecord> {
        let entries: Vec<Arc<Entry>> = self.book().entries.values().map(Arc::clone).collect();
        let seen = entries.iter().filter(|entry| entry.may_see(subject));
        seen.map(|entry| entry.record()).collect()
    }

    /// Stops a query, or makes sure that it never starts. Gives whether it waited or ran.
    ///
    /// # Errors
    /// `InvalidArgument` when the subject has no such query, or it has ended.
    pub fn cancel(&self, id: QueryId, by: &Subject) -> Result<bool> {
        let found = self.book().entries.get(&id).map(Arc::clone);
        let Some(entry) = found.filter(|entry| entry.may_see(by)) else {
            return Err(Error::new(
                ErrorKind::Planner(jetway_planner::ErrorKind::NotFound),
                format!("there is no query {id} on this node that you may stop; system.queries lists them"),
            ));
        };
        let state = entry.progress().state;
        if !state.is_active() && state != QueryState::Planned {
            return Ok(false);
        }
        entry.stop(Stopped::By(by.name().to_string()));
        Ok(state.is_active())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Forgets the oldest ones that neither wait nor run.
    fn forget(&mut self) {
        while self.entries.len() > self.remembered {
            let oldest = self.entries.iter().find(|(_, entry)| entry.progress().open == 0);
            let Some(id) = oldest.map(|(id, _)| *id) else { break };
            self.entries.remove(&id);
        }
    }
}

impl Entry {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_see(&self, subject: &Subject) -> bool {
        may_see(subject, &self.origin.account)
    }

    fn stop(&self, why: Stopped) {
        let mut progress = self.progress();
        if progress.stopped.is_none() {
            progress.stopped = Some(why);
        }
        if progress.open == 0 {
            progress.state = QueryState::Cancelled;
            progress.finished = Some(Utc::now());
        }
        drop(progress);
        self.stop.cancel();
    }

    fn record(&self) -> QueryRecord {
        let progress = self.progress();
        QueryRecord {
            id: self.id,
            origin: self.origin.clone(),
            text: Arc::clone(&self.text),
            command: self.command,
            state: progress.state,
            planned: self.planned,
            queued: progress.queued,
            started: progress.started,
            first_row: progress.first_row,
            finished: progress.finished,
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            memory: self.usage.memory() as u64,
            peak_memory: self.usage.peak_memory() as u64,
            spilled: self.usage.spilled(),
            error: progress.error.clone(),
        }
    }
}

fn shorten(text: &str) -> Arc<str> {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}
