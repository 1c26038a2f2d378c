//! Slows down guessing of passwords.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::error::{Error, ErrorKind, Result};

/// Wrong passwords in a row that cost nothing: people mistype.
const FREE_FAILURES: u32 = 5;

/// Longest wait, so that nobody can lock an account's owner out for long. Reached after 5 more failures.
const MAX_WAIT_SECONDS: i64 = 30;

/// Names whose failures are remembered. Made-up names must not fill the memory.
const MAX_NAMES: usize = 10_000;

/// Failures per account name, existing or not, in this process. After some failures in a row each further one doubles the
/// time in which no password is looked at.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    failures: Mutex<HashMap<String, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    blocked_until: DateTime<Utc>,
}

impl Throttle {
    /// Refuses while the name has to wait.
    pub(super) fn check(&self, name: &str, now: DateTime<Utc>) -> Result<()> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get(&key(name)) {
            Some(found) if found.blocked_until > now => {
                let seconds = (found.blocked_until - now).num_seconds() + 1;
                Err(Error::new(
                    ErrorKind::TooManyAttempts,
                    format!("too many failed logins for this account; try again in {seconds} s"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Notes a wrong password.
    pub(super) fn failed(&self, name: &str, now: DateTime<Utc>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MAX_NAMES {
            failures.retain(|_, found| found.blocked_until > now);
        }
        if failures.len() >= MAX_NAMES {
            failures.clear();
        }
        let found = failures.entry(key(name)).or_insert(Failures {
            count: 0,
            blocked_until: now,
        });
        found.count = found.count.saturating_add(1);
        if let Some(beyond) = found.count.checked_sub(FREE_FAILURES) {
            let seconds = 1_i64
                .checked_shl(beyond)
                .unwrap_or(MAX_WAIT_SECONDS)
                .clamp(1, MAX_WAIT_SECONDS);
            found.blocked_until = now + TimeDelta::seconds(seconds);
        }
    }

    /// Forgets the failures of a name.
    pub(super) fn succeeded(&self, name: &str) {
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key(name));
    }
}

/// Names compare without case. Longer ones than any account has are all alike.
fn key(name: &str) -> String {
    name.chars().take(100).collect::<String>().to_ascii_lowercase()
}
