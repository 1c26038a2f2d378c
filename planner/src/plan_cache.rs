//! Plans that were made before, for statements that come again.
//!
//! ```text
//!  text, subject, settings ──► Template: names ─► datasets and heads, plan ──── still so? ──► values ──► Statement
//!        │                        ▲
//!        └ literals of WHERE ─────┘   `id = 7` and `id = 8` have one template, with the literal as a parameter
//! ```
//!
//! A template is used only if every name that the statement looked up means the same dataset at the same head for the subject
//! now: the catalog is asked each time, so a commit, another name, a dataset that is gone or a permission that was taken away is a miss.
//! Statements that say something else at another time, and those over what the node tells about itself, have no template.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::{PlanRequest, Query, SessionOptions};

pub(crate) mod literals;
pub(crate) mod template;
#[cfg(test)]
mod tests;

pub(crate) use template::Template;

/// A plan is made anew after this time, so that files which were merged meanwhile are read.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Longer texts are sent once.
const MAX_TEXT: usize = 64 * 1024;

/// How many plans are kept, and how much they may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanCacheOptions {
    /// Most plans. None are kept if this or the memory is zero.
    pub plans: usize,
    /// Most bytes of all plans together, estimated.
    pub memory: usize,
}

impl Default for PlanCacheOptions {
    fn default() -> Self {
        Self {
            plans: 1000,
            memory: 64 * 1024 * 1024,
        }
    }
}

/// What became of the plans that were kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanCacheFigures {
    /// Statements that were planned before.
    pub hits: u64,
    /// Statements that were not, or over datasets that have changed.
    pub misses: u64,
    /// Plans that are kept now.
    pub plans: usize,
    /// What they take, in bytes, estimated.
    pub memory: usize,
}

/// All that a plan depends on besides the datasets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    text: Text,
    account: String,
    admin: bool,
    session: SessionOptions,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Text {
    Whole(Query),
    /// Without literals, spaces and comments.
    Tokens(Vec<Token>),
}

impl Key {
    /// The key of a request; none if it is not worth to be kept.
    pub(crate) fn new(request: &PlanRequest) -> Option<Self> {
        // Names that mean something else than what the catalog says are not looked up again.
        let is_usual = request.query.len() <= MAX_TEXT && request.names.is_empty();
        is_usual.then(|| Self::of(Text::Whole(request.query.clone()), request))
    }

    /// The key of all requests that differ in their literals only.
    pub(crate) fn without_literals(tokens: Vec<Token>, request: &PlanRequest) -> Self {
        Self::of(Text::Tokens(tokens), request)
    }

    fn of(text: Text, request: &PlanRequest) -> Self {
        Self {
            text,
            account: request.subject.name().as_str().to_owned(),
            admin: request.subject.is_admin(),
            session: request.session.clone(),
        }
    }

    fn size(&self) -> usize {
        let text = match &self.text {
            Text::Whole(query) => query.len(),
            Text::Tokens(tokens) => tokens.len() * size_of::<Token>() * 2,
        };
        text + size_of::<Self>()
    }
}

/// What is known about a key.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    Template(Arc<Template>),
    /// The literals mean more than values, so each text is planned as it is.
    LiteralsMatter,
}

impl Kept {
    fn size(&self) -> usize {
        match self {
            Self::Template(template) => template.size(),
            Self::LiteralsMatter => 0,
        }
    }
}

/// The plans that are kept; those that were not used for the longest time go first.
#[derive(Debug)]
pub(crate) struct PlanCache {
    options: PlanCacheOptions,
    entries: Mutex<Entries>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Arc<Key>, Entry>,
    by_use: BTreeMap<u64, Arc<Key>>,
    memory: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    kept: Kept,
    made: Instant,
    used: u64,
    size: usize,
}

impl PlanCache {
    pub(crate) fn new(options: PlanCacheOptions) -> Self {
        Self {
            options,
            entries: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub(crate) fn is_off(&self) -> bool {
        self.options.plans == 0 || self.options.memory == 0
    }

    /// What is kept for a key and young enough. Whether it still fits the datasets is for the caller to find out.
    pub(crate) fn get(&self, key: &Key) -> Option<Kept> {
        let mut entries = self.entries();
        let entries = &mut *entries;
        entries.next += 1;
        let used = entries.next;
        let entry = entries.by_key.get_mut(key)?;
        if entry.made.elapsed() > MAX_AGE {
            entries.remove(key);
            return None;
        }
        let key = entries.by_use.remove(&entry.used)?;
        entry.used = used;
        entries.by_use.insert(used, key);
        Some(entry.kept.clone())
    }

    pub(crate) fn insert(&self, key: Key, kept: Kept) {
        let size = key.size() + kept.size();
        if self.is_off() || size > self.options.memory {
            return;
        }
        let mut dropped = Vec::new();
        let mut entries = self.entries();
        dropped.extend(entries.remove(&key));
        while entries.by_key.len() >= self.options.plans || entries.memory + size > self.options.memory {
            let Some(oldest) = entries.by_use.first_key_value().map(|(_, key)| Arc::clone(key)) else {
                break;
            };
            dropped.extend(entries.remove(&oldest));
            metrics::counter!("jetway_plan_cache_evictions_total").increment(1);
        }
        entries.next += 1;
        let (used, key) = (entries.next, Arc::new(key));
        entries.memory += size;
        entries.by_use.insert(used, Arc::clone(&key));
        let made = Instant::now();
        entries.by_key.insert(key, Entry { kept, made, used, size });
        // Plans are dropped without the lock.
        drop(entries);
    }

    pub(crate) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("jetway_plan_cache_hits_total").increment(1);
    }

    pub(crate) fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
        metrics::counter!("jetway_plan_cache_misses_total").increment(1);
    }

    pub(crate) fn figures(&self) -> PlanCacheFigures {
        let entries = self.entries();
        PlanCacheFigures {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            plans: entries.by_key.len(),
            memory: entries.memory,
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.by_key.remove(key)?;
        self.by_use.remove(&entry.used);
        self.memory -= entry.size;
        Some(entry)
    }
}
