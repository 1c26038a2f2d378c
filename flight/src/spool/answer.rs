//! One answer: its messages as far as they are there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use jetway_planner::Usage;
use tokio::sync::watch;

use super::file::SpoolFile;
use super::{Key, Place, Room, Spool, SpooledAnswer};
use crate::encode::StreamMessage;
use crate::queries::QueryId;
use crate::{Error, ErrorKind, Result};

/// What an answer takes besides its messages, about.
pub(super) const OVERHEAD: u64 = 1024;

/// How many tickets are remembered as having been served by an answer.
const MAX_SERVED: usize = 1024;

/// The messages of one run of a query. It gives back its room when the last who reads it is gone.
#[derive(Debug)]
pub(crate) struct Answer {
    room: Arc<Room>,
    run: QueryId,
    key: Key,
    account: String,
    began: Instant,
    pub(super) schema: StreamMessage,
    /// A message without rows, if there can be one.
    pub(super) heartbeat: Option<StreamMessage>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    reads: AtomicU64,
    /// What its query reads while it runs.
    usage: OnceLock<Usage>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) messages: Vec<Kept>,
    pub(super) file: Option<Arc<SpoolFile>>,
    /// Whether all messages are there, or why they will never be.
    pub(super) end: Option<Result<(), (ErrorKind, String)>>,
    rows: u64,
    memory: u64,
    disk: u64,
    served: VecDeque<QueryId>,
}

/// A message that is kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// None for dictionaries.
    pub(super) rows: u64,
    pub(super) content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Memory(StreamMessage),
    File { at: u64, header: usize, body: usize },
}

impl Answer {
    pub(super) fn new(
        spool: &Spool,
        key: Key,
        account: &str,
        schema: StreamMessage,
        heartbeat: Option<StreamMessage>,
    ) -> Self {
        Self {
            room: Arc::clone(&spool.shared.room),
            run: QueryId::unique(),
            key,
            account: account.to_owned(),
            began: Instant::now(),
            schema,
            heartbeat,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            reads: AtomicU64::new(0),
            usage: OnceLock::new(),
        }
    }

    /// The run of the query that it is the answer of.
    pub(crate) fn run(&self) -> QueryId {
        self.run
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// How many messages with rows there are, the rows in them, and whether these are all.
    ///
    /// # Errors
    /// What the query failed with.
    pub(crate) fn progress(&self) -> Result<(usize, u64, bool)> {
        let state = self.state();
        if let Some(Err((kind, message))) = &state.end {
            return Err(Error::new(*kind, message.clone()));
        }
        let messages = state.messages.iter().filter(|message| message.rows > 0).count();
        Ok((messages, state.rows, state.end.is_some()))
    }

    /// Follows the query that makes it.
    pub(crate) fn follow(&self, usage: Usage) {
        let _ = self.usage.set(usage);
    }

    /// How much of its tables the query has read, from 0 to 1; none if that is not known.
    pub(crate) fn read_so_far(&self) -> Option<f64> {
        self.usage.get()?.read()
    }

    /// Bytes of all messages so far.
    pub(crate) fn bytes(&self) -> u64 {
        let state = self.state();
        state.memory + state.disk
    }

    /// Remembers that a ticket is served from here, so that it can be read on from the middle.
    pub(crate) fn serve(&self, ticket: QueryId) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        if !state.served.contains(&ticket) {
            if state.served.len() >= MAX_SERVED {
                state.served.pop_front();
            }
            state.served.push_back(ticket);
        }
    }

    /// Whether a ticket was served from here. Another run of its query may have given the rows in another order.
    pub(crate) fn has_served(&self, ticket: QueryId) -> bool {
        self.state().served.contains(&ticket)
    }

    /// Tells when there is more.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state().end, Some(Err(_)))
    }

    pub(super) fn has_bytes(&self, place: Place) -> bool {
        let state = self.state();
        match place {
            Place::Memory => state.memory > 0,
            Place::Disk => state.disk > 0,
        }
    }

    /// Adds a message for which room was taken.
    pub(super) fn add(&self, kept: Kept, place: Place, bytes: u64) {
        let mut state = self.state();
        state.rows += kept.rows;
        state.messages.push(kept);
        drop(state);
        self.grow(place, bytes);
        self.changed.send_replace(());
    }

    /// Notes room that was taken; it is given back at the end.
    pub(super) fn grow(&self, place: Place, bytes: u64) {
        let mut state = self.state();
        match place {
            Place::Memory => state.memory += bytes,
            Place::Disk => state.disk += bytes,
        }
    }

    /// Says that all messages are there, or why they are not. Only the first call counts.
    pub(super) fn end(&self, outcome: Result<(), &Error>) {
        let mut state = self.state();
        state
            .end
            .get_or_insert(outcome.map_err(|error| (error.kind(), error.message().to_owned())));
        let mut dropped = (Vec::new(), None);
        if let Some(Err(_)) = &state.end {
            // Nobody gets a part of an answer that has no end.
            dropped = (std::mem::take(&mut state.messages), state.file.take());
            self.room.give_back(Place::Memory, std::mem::take(&mut state.memory));
            self.room.give_back(Place::Disk, std::mem::take(&mut state.disk));
        }
        drop(state);
        drop(dropped);
        self.changed.send_replace(());
    }

    pub(super) fn shown(&self) -> SpooledAnswer {
        let state = self.state();
        SpooledAnswer {
            run: self.run,
            account: self.account.clone(),
            rows: state.rows,
            memory: state.memory,
            disk: state.disk,
            is_complete: matches!(state.end, Some(Ok(()))),
            reads: self.reads.load(Ordering::Relaxed),
            age: self.began.elapsed(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let (memory, disk) = {
            let state = self.state();
            (state.memory, state.disk)
        };
        self.room.give_back(Place::Memory, memory);
        self.room.give_back(Place::Disk, disk);
    }
}
