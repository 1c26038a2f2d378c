//! Trying again what may succeed later.

use std::time::Duration;

use crate::error::{Error, Result};

/// What is done about failures that may pass.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// How often the same thing is tried, at least once. For an object, attempts that brought bytes do not count.
    pub attempts: u32,
    /// The pause before the second attempt; each one is twice as long as the one before.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// Runs `work` until it succeeds, fails for good, or has failed often enough.
    pub(super) async fn run<T, F: Future<Output = Result<T>>>(&self, mut work: impl FnMut() -> F) -> Result<T> {
        let mut failed = 0;
        loop {
            match work().await {
                Err(error) => {
                    failed += 1;
                    self.wait(failed, error).await?;
                }
                done => return done,
            }
        }
    }

    /// Waits after a failure, the `failed`-th in a row.
    ///
    /// # Errors
    /// The failure, if nothing is to be tried again.
    pub(super) async fn wait(&self, failed: u32, error: Error) -> Result<()> {
        if !error.is_retryable() || failed >= self.attempts {
            return Err(error);
        }
        tracing::debug!(%error, attempt = failed, "a transfer is tried again");
        self.pause(failed).await;
        Ok(())
    }

    /// Waits longer each time, and not as long as others that failed at the same moment.
    pub(super) async fn pause(&self, failed: u32) {
        let doubled = self.first_pause.saturating_mul(1 << failed.saturating_sub(1).min(20));
        let pause = doubled.min(self.longest_pause);
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
    }
}
