//! Plans that GetFlightInfo made, kept for the DoGet that follows.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jetway_planner::Statement;

use crate::queries::QueryId;

/// A few plans by their queries; all tickets of a query share one. A miss costs a second planning and nothing else: the ticket says all.
///
/// Entries are young on purpose. Permission was checked when the plan was made, so the age of an entry is how long a
/// permission that is taken away still works for tickets that were handed out before.
#[derive(Debug)]
pub(crate) struct PlanCache {
    capacity: usize,
    max_age: Duration,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    by_query: HashMap<QueryId, (Instant, Statement)>,
    // In the order of insertion, which is the order of age.
    order: VecDeque<(Instant, QueryId)>,
}

impl PlanCache {
    pub(crate) fn new(capacity: usize, max_age: Duration) -> Self {
        Self {
            capacity,
            max_age,
            entries: Mutex::default(),
        }
    }

    pub(crate) fn insert(&self, query: QueryId, statement: Statement) {
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.evict(self.capacity.saturating_sub(1), now, self.max_age);
        if self.capacity > 0 {
            entries.by_query.insert(query, (now, statement));
            entries.order.push_back((now, query));
        }
    }

    /// The plan of a ticket, if it is there and young enough. It stays, because a client may fetch twice.
    pub(crate) fn get(&self, query: &QueryId) -> Option<Statement> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, statement) = entries.by_query.get(query)?;
        (made.elapsed() <= self.max_age).then(|| statement.clone())
    }
}

impl Entries {
    fn evict(&mut self, keep: usize, now: Instant, max_age: Duration) {
        while let Some(&(made, query)) = self.order.front() {
            if self.order.len() <= keep && now.duration_since(made) <= max_age {
                break;
            }
            self.order.pop_front();
            // The query may have been planned again; its younger plan stays.
            if self.by_query.get(&query).is_some_and(|(of, _)| *of == made) {
                self.by_query.remove(&query);
            }
        }
    }
}
