//! Checks a dataset from its storage alone.
//!
//! ```text
//! head -> blocks, back to the Seed        hashes, decoding                     walk
//! Seed -> ... -> head                     rules of the format, one by one      walk
//!    each slice and checkpoint            there, size, SHA3-256                object
//!       each slice                        rows, schema                         slice
//!          each column of it              values, digest for the logical hash  column
//! ```
//!
//! What is found does not end the work: whatever can be checked beside and behind it is. Columns of a slice and slices are
//! read side by side on threads that may block, each in batches of at most [`crate::hash::STRUCT_BATCH_ROWS`] rows, so
//! that neither a slice nor a chain is ever held whole.

mod column;
mod object;
mod report;
mod slice;
mod walk;
mod work;

use std::num::NonZeroUsize;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::FuturesUnordered;

use crate::chain::read::HELD_BYTES;
use crate::error::{Error, ErrorKind, Result};
use crate::storage::DatasetStorage;
use crate::verify::walk::{Fold, Task};
use crate::verify::work::Work;

pub use report::{Checked, Finding, ObjectName, ObjectType, Problem, Progress, Report, Severity};

#[cfg(test)]
mod tests;

/// How often progress is told while a long piece of work goes on.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// How much is checked. Blocks with their hashes and rules, and that every object is there with its size, always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyOptions {
    /// Whether slices and checkpoints are read and compared with their hashes.
    pub hashes: bool,
    /// Whether the Parquet files are read: number of rows, schema, system columns and, with `hashes`, the logical hash.
    pub rows: bool,
    /// On how many threads; one for each core if absent.
    pub threads: Option<NonZeroUsize>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            hashes: true,
            rows: true,
            threads: None,
        }
    }
}

/// Checks a dataset and reports all that is wrong with it. `progress` is called now and then.
///
/// Dropping the future ends the work.
///
/// # Errors
/// `NotFound` if the dataset does not exist; `Storage` or `Io` if storage fails, which says nothing about the dataset.
pub async fn verify(storage: &DatasetStorage, options: VerifyOptions, progress: impl Fn(Progress)) -> Result<Report> {
    let mut report = Report::new(*storage.id());
    let head = match storage.head().await {
        Ok(Some(head)) => head,
        Ok(None) => {
            let message = "the dataset does not exist: it has no head";
            return Err(Error::new(ErrorKind::NotFound, message).with_context("dataset", storage.id()));
        }
        Err(error) if matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Corrupt) => {
            report.findings.push(Finding::new(Problem::Head, error.to_string()));
            return Ok(report);
        }
        Err(error) => return Err(error),
    };
    report.head = Some(head);

    let work = Work::new(storage.clone(), options);
    let chain = walk::read_back(storage, head, HELD_BYTES, |blocks| {
        progress(Progress {
            blocks,
            ..Progress::default()
        })
    })
    .await?;
    let totals = chain.totals;
    let mut fold = Fold::new(storage, chain);
    let mut running = FuturesUnordered::<BoxFuture<'_, Result<Vec<Finding>>>>::new();
    let mut ticker = tokio::time::interval(PROGRESS_INTERVAL);
    let mut is_folded = false;
    loop {
        while !is_folded && running.len() < work.tasks_at_once() {
            match fold.next().await? {
                Some(tasks) => running.extend(tasks.into_iter().map(|task| run(&work, task).boxed())),
                None => is_folded = true,
            }
        }
        tokio::select! {
            finished = running.next() => match finished {
                Some(findings) => report.findings.extend(findings?),
                None if is_folded => break,
                None => {}
            },
            _ = ticker.tick() => {}
        }
        progress(work.progress(fold.blocks(), totals));
    }
    progress(work.progress(fold.blocks(), totals));
    report.checked = work.checked(fold.blocks());
    report.findings.append(&mut fold.into_findings());
    report.findings.sort_by(Finding::compare);
    Ok(report)
}

async fn run(work: &Work, task: Task) -> Result<Vec<Finding>> {
    match task {
        Task::Slice(slice) => slice::check(work, &slice).await,
        Task::Checkpoint(checkpoint) => object::check_checkpoint(work, &checkpoint).await,
    }
}
