//! How many large ingests write slices at once. Each keeps encoders, hashes and a pending file of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, ErrorKind, Result};

/// An ingest that has written more than this is a large one, in bytes of memory.
const LARGE_BYTES: usize = 8 * 1024 * 1024;

/// How long one waits until another one ends. Its client is not read from meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an ingest needs to go on once it turns out to be large.
#[derive(Debug)]
pub(super) struct Lane {
    lanes: Arc<Semaphore>,
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Lane {
    pub(super) fn new(lanes: &Arc<Semaphore>) -> Self {
        Self {
            lanes: Arc::clone(lanes),
            bytes: 0,
            permit: None,
        }
    }

    /// Waits until so many bytes more may be written.
    ///
    /// # Errors
    /// `Unavailable` when no other large ingest ends in time.
    pub(super) async fn enter(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.permit.is_some() || self.bytes <= LARGE_BYTES {
            return Ok(());
        }
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.lanes).acquire_owned()).await;
        self.permit = permit.ok().and_then(Result::ok);
        if self.permit.is_some() {
            return Ok(());
        }
        metrics::counter!("jetway_ingests_refused_total").increment(1);
        let message =
            "the node is busy: as many large ingests as it takes at once are running; try again, or send smaller parts";
        Err(Error::new(ErrorKind::Unavailable, message).with_retry_after(PATIENCE / 12))
    }
}
