//! Results that are kept: encoded once, served as often as they are asked for.
//!
//! ```text
//!  rows ──► messages ──┬──► client                 a small result, or one that took long: kept on its way
//!                      └──► recorder ──► Answer ──► clients      asked for: recorded whoever reads, and read from there
//! ```
//!
//! An [`Answer`] is a list of messages, in memory or in a file. Complete ones are found by a key, the digest of all that the
//! rows depend on: account, query, values, settings, wire profile and pinned heads; see [`crate::ticket::Ticket::fingerprint`].
//! Whether the account may still read is not decided here: a ticket is planned again before its answer is looked for.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::queries::QueryId;
use crate::{Error, Result};

mod answer;
mod file;
mod read;
mod recorder;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use answer::Answer;
pub(crate) use read::Reading;
pub(crate) use recorder::Recorder;

/// Names what the rows of an answer depend on.
pub(crate) type Key = [u8; 32];

/// How much is kept, and for how long.
#[derive(Debug, Clone)]
pub struct SpoolOptions {
    /// Bytes of messages in memory, all answers together.
    pub memory: u64,
    /// Bytes of messages in files, all answers together.
    pub disk: u64,
    /// Where the files are. It is emptied at the start; without it nothing is kept in files.
    pub folder: Option<PathBuf>,
    /// Bytes of one answer that are kept in memory; the rest of it goes to a file.
    pub largest_in_memory: u64,
    /// Answers of up to so many bytes are kept without being asked.
    pub small: u64,
    /// An answer that nobody read for so long is dropped.
    pub lifetime: Duration,
}

impl Default for SpoolOptions {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            memory: 256 * MIB,
            disk: 4096 * MIB,
            folder: None,
            largest_in_memory: 64 * MIB,
            small: 8 * MIB,
            lifetime: Duration::from_secs(10 * 60),
        }
    }
}

/// An answer that is kept, for those who look.
#[derive(Debug, Clone)]
pub struct SpooledAnswer {
    /// The run of the query that made it.
    pub run: QueryId,
    /// Whose it is.
    pub account: String,
    /// Rows in it so far.
    pub rows: u64,
    /// Bytes in memory.
    pub memory: u64,
    /// Bytes in its file.
    pub disk: u64,
    /// Whether all rows are there.
    pub is_complete: bool,
    /// How often it was read.
    pub reads: u64,
    /// Since when it is being kept.
    pub age: Duration,
}

/// The answers that a node keeps. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: SpoolOptions,
    room: Arc<Room>,
    kept: Mutex<Kept>,
}

/// Bytes that are taken.
#[derive(Debug, Default)]
struct Room {
    memory: AtomicU64,
    disk: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    complete: HashMap<Key, Slot>,
    /// Keys by when their answers were last read.
    by_use: BTreeMap<u64, Key>,
    running: HashMap<QueryId, Arc<Answer>>,
    next: u64,
}

#[derive(Debug)]
struct Slot {
    used: u64,
    at: Instant,
    answer: Arc<Answer>,
}

/// Where bytes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    Disk,
}

impl Spool {
    /// An empty spool.
    ///
    /// # Errors
    /// When the folder cannot be emptied or made.
    pub fn open(options: SpoolOptions) -> Result<Self> {
        if let Some(folder) = &options.folder {
            file::empty(folder)?;
        }
        Ok(Self::new(options))
    }

    pub(crate) fn new(options: SpoolOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                options,
                room: Arc::default(),
                kept: Mutex::default(),
            }),
        }
    }

    pub(crate) fn options(&self) -> &SpoolOptions {
        &self.shared.options
    }

    /// All answers that are kept.
    pub fn snapshot(&self) -> Vec<SpooledAnswer> {
        let kept = self.kept();
        let complete = kept.complete.values().map(|slot| &slot.answer);
        complete
            .chain(kept.running.values())
            .map(|answer| answer.shown())
            .collect()
    }

    /// The complete answer for a key, or one that is being recorded in the background.
    pub(crate) fn find(&self, key: &Key) -> Option<Arc<Answer>> {
        let found = self.peek(key);
        let name = if found.is_some() {
            "jetway_spool_hits_total"
        } else {
            "jetway_spool_misses_total"
        };
        metrics::counter!(name).increment(1);
        found
    }

    fn peek(&self, key: &Key) -> Option<Arc<Answer>> {
        let mut kept = self.kept();
        kept.expire(self.shared.options.lifetime);
        let running = || {
            kept.running
                .values()
                .find(|answer| answer.key() == key && !answer.has_failed())
        };
        if !kept.complete.contains_key(key) {
            return running().cloned();
        }
        kept.touch(key)
    }

    /// The answer of one run, complete or not.
    pub(crate) fn run(&self, run: QueryId, key: &Key) -> Option<Arc<Answer>> {
        if let Some(answer) = self.kept().running.get(&run) {
            return Some(Arc::clone(answer));
        }
        self.peek(key).filter(|answer| answer.run() == run)
    }

    /// Makes an answer findable while it is recorded.
    pub(crate) fn announce(&self, answer: &Arc<Answer>) {
        self.kept().running.insert(answer.run(), Arc::clone(answer));
    }

    /// Forgets an answer that failed.
    pub(crate) fn forget(&self, run: QueryId) {
        self.kept().running.remove(&run);
    }

    /// Keeps an answer that is complete. If there is one for the key already, that one stays, since somebody may be reading it
    /// in parts.
    pub(crate) fn keep(&self, answer: &Arc<Answer>) {
        let mut kept = self.kept();
        kept.running.remove(&answer.run());
        kept.next += 1;
        let (used, key) = (kept.next, *answer.key());
        if kept.complete.contains_key(&key) {
            return;
        }
        kept.by_use.insert(used, key);
        let slot = Slot {
            used,
            at: Instant::now(),
            answer: Arc::clone(answer),
        };
        kept.complete.insert(key, slot);
    }

    /// Takes room for some bytes, for which answers may have to go that were not read for the longest time.
    pub(crate) fn take(&self, place: Place, bytes: u64) -> bool {
        let (used, name) = self.shared.room.of(place);
        let limit = match place {
            Place::Memory => self.shared.options.memory,
            Place::Disk => self.shared.options.disk,
        };
        loop {
            let taken = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= limit)
            });
            if taken.is_ok() {
                metrics::gauge!(name).increment(count(bytes));
                return true;
            }
            if bytes > limit || !self.evict(place) {
                return false;
            }
        }
    }

    /// Drops the answer that was not read for the longest time, of those that nobody reads now and that have bytes there.
    fn evict(&self, place: Place) -> bool {
        let mut kept = self.kept();
        let old = kept.by_use.iter().find(|(_, key)| {
            let slot = kept.complete.get(*key);
            slot.is_some_and(|slot| Arc::strong_count(&slot.answer) == 1 && slot.answer.has_bytes(place))
        });
        let Some((used, key)) = old.map(|(used, key)| (*used, *key)) else {
            return false;
        };
        kept.by_use.remove(&used);
        let dropped = kept.complete.remove(&key);
        // Its bytes are given back outside of the lock.
        drop(kept);
        drop(dropped);
        metrics::counter!("jetway_spool_evictions_total").increment(1);
        true
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// The counter of a place, and the name of its gauge.
    fn of(&self, place: Place) -> (&AtomicU64, &'static str) {
        match place {
            Place::Memory => (&self.memory, "jetway_spool_memory_bytes"),
            Place::Disk => (&self.disk, "jetway_spool_disk_bytes"),
        }
    }

    fn give_back(&self, place: Place, bytes: u64) {
        let (used, name) = self.of(place);
        used.fetch_sub(bytes, Ordering::Relaxed);
        metrics::gauge!(name).decrement(count(bytes));
    }
}

impl Kept {
    /// The answer for a key, which becomes the one that was read last.
    fn touch(&mut self, key: &Key) -> Option<Arc<Answer>> {
        self.next += 1;
        let used = self.next;
        let slot = self.complete.get_mut(key)?;
        self.by_use.remove(&slot.used);
        self.by_use.insert(used, *key);
        (slot.used, slot.at) = (used, Instant::now());
        Some(Arc::clone(&slot.answer))
    }

    /// Drops what nobody read for too long.
    fn expire(&mut self, lifetime: Duration) {
        while let Some((&used, &key)) = self.by_use.iter().next() {
            if self
                .complete
                .get(&key)
                .is_some_and(|slot| slot.at.elapsed() <= lifetime)
            {
                break;
            }
            self.by_use.remove(&used);
            self.complete.remove(&key);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge needs no exact number of bytes")]
fn count(bytes: u64) -> f64 {
    bytes as f64
}

fn io(what: &str, error: std::io::Error) -> Error {
    Error::internal(format!(
        "the spool {what}; see whether its folder is writable and has room"
    ))
    .with_source(error)
}
