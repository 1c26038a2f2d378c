//! The sessions that this node has seen lately. Nothing depends on it but the list that operators look at, and that a session which
//! was closed here is refused here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use jetway_planner::Subject;
use uuid::Uuid;

use super::Session;

/// How many sessions are remembered, open and closed ones each.
const CAPACITY: usize = 10_000;
/// When there is no more room, this many of the oldest are forgotten at once.
const MAKE_ROOM: usize = CAPACITY / 10;

/// What a node knows of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its identity, a UUID.
    pub id: String,
    /// Whose it is.
    pub account: String,
    /// What the client calls itself.
    pub client: String,
    /// When a call first came with it, to this node.
    pub first_seen: SystemTime,
    /// When the last one came.
    pub last_seen: SystemTime,
    /// When it ends unless another one comes.
    pub expires: SystemTime,
    /// Names and values of the options that are set.
    pub options: Vec<(String, String)>,
}

/// The sessions of a gateway. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sessions(Arc<Mutex<Registry>>);

#[derive(Debug, Default)]
struct Registry {
    seen: HashMap<Uuid, Entry>,
    /// Closed ones, until they would have expired.
    closed: HashMap<Uuid, SystemTime>,
}

#[derive(Debug)]
struct Entry {
    account: String,
    client: Arc<str>,
    first_seen: SystemTime,
    last_seen: SystemTime,
    session: Session,
}

impl Sessions {
    /// All sessions that this node remembers and that are not over, the latest first.
    pub fn snapshot(&self, now: SystemTime) -> Vec<SessionInfo> {
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let live = registry.seen.iter().filter(|(_, entry)| entry.session.expires > now);
        let mut list: Vec<SessionInfo> = live
            .map(|(id, entry)| SessionInfo {
                id: id.to_string(),
                account: entry.account.clone(),
                client: entry.client.as_ref().to_owned(),
                first_seen: entry.first_seen,
                last_seen: entry.last_seen,
                expires: entry.session.expires,
                options: entry
                    .session
                    .options
                    .entries()
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            })
            .collect();
        drop(registry);
        list.sort_by(|one, other| other.last_seen.cmp(&one.last_seen).then_with(|| one.id.cmp(&other.id)));
        list
    }

    /// Remembers that a call came with a session, or was given one. False if the session was closed here.
    #[must_use]
    pub(crate) fn saw(&self, session: &Session, subject: &Subject, client: &Arc<str>, now: SystemTime) -> bool {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if registry.closed.contains_key(&session.id) {
            return false;
        }
        if let Some(entry) = registry.seen.get_mut(&session.id) {
            entry.last_seen = now;
            if entry.session != *session {
                entry.session = session.clone();
            }
            return true;
        }
        if registry.seen.len() >= CAPACITY {
            forget(&mut registry.seen, |entry| entry.last_seen);
        }
        let entry = Entry {
            account: subject.name().as_str().to_owned(),
            client: Arc::clone(client),
            first_seen: now,
            last_seen: now,
            session: session.clone(),
        };
        registry.seen.insert(session.id, entry);
        true
    }

    /// From now on the session is refused here.
    pub(crate) fn close(&self, session: &Session, now: SystemTime) {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registry.seen.remove(&session.id);
        if registry.closed.len() >= CAPACITY {
            registry.closed.retain(|_, expires| *expires > now);
        }
        if registry.closed.len() >= CAPACITY {
            forget(&mut registry.closed, |expires| *expires);
        }
        registry.closed.insert(session.id, session.expires);
    }
}

/// Takes out the oldest ones.
fn forget<T>(map: &mut HashMap<Uuid, T>, time: impl Fn(&T) -> SystemTime) {
    let mut ages: Vec<(SystemTime, Uuid)> = map.iter().map(|(id, entry)| (time(entry), *id)).collect();
    ages.sort_unstable();
    for (_, id) in ages.into_iter().take(MAKE_ROOM) {
        map.remove(&id);
    }
}
