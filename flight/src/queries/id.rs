//! What a query is called.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// Names one run of a query, from its planning on. Identities of later queries are larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(Uuid);

impl QueryId {
    /// One that no other query has.
    pub(crate) fn unique() -> Self {
        Self(Uuid::now_v7())
    }

    /// For what is signed like a query, but is none.
    pub(crate) const NONE: Self = Self(Uuid::nil());

    /// When it was made.
    pub(crate) fn made(self) -> SystemTime {
        let (seconds, nanos) = self.0.get_timestamp().map_or((0, 0), |time| time.to_unix());
        UNIX_EPOCH + Duration::new(seconds, nanos)
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for QueryId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
