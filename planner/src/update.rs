//! Statements that change datasets: planned, typed and allowed, but not run.

use std::fmt;
use std::sync::Arc;

use crate::summary::DatasetSummary;
use crate::{IdempotencyKey, IngestOutcome, PinnedDataset, Planner, Result, Statement, Subject};

/// A planned INSERT. Cheap to clone.
#[derive(Clone)]
pub struct Update {
    pub(crate) planner: Planner,
    pub(crate) subject: Subject,
    pub(crate) dataset: PinnedDataset,
    pub(crate) summary: Arc<DatasetSummary>,
    pub(crate) rows: Statement,
}

impl Update {
    /// Adds the rows of the query to the dataset. When it returns, they are durable in storage and part of the chain; when it
    /// fails, nothing of them is. With a key, running it again changes nothing.
    ///
    /// # Errors
    /// Those of the query and of an ingest.
    pub async fn run(self, key: Option<IdempotencyKey>) -> Result<IngestOutcome> {
        let rows = self.rows.execute().await?;
        let (subject, summary) = (&self.subject, &self.summary);
        // An ingest is a large future, and callers hold this one in theirs.
        Box::pin(self.planner.insert(subject, self.dataset, summary, key, rows)).await
    }
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update")
            .field("dataset", &self.dataset.alias)
            .finish_non_exhaustive()
    }
}
