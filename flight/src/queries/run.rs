//! Runs a query: waits for its turn, starts it, and watches its rows.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use arrow::array::RecordBatch;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use jetway_planner::{BatchStream, Error as PlannerError, Part, Statement};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tracing::Instrument;

use super::ActiveQuery;
use crate::admission::{Admission, Permit};
use crate::encode::{Dictionaries, RowSizes};
use crate::{Error, ErrorKind, Result};

/// Largest result of a query.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ResultLimits {
    /// In rows.
    pub(crate) rows: Option<u64>,
    /// In bytes of memory.
    pub(crate) bytes: Option<u64>,
}

/// The rows of a query, or of a part of it. It waits for its turn when they are first asked for, so that the client knows its schema meanwhile.
pub(crate) fn run(
    statement: Statement,
    part: Option<Part>,
    active: ActiveQuery,
    admission: &Admission,
    limits: ResultLimits,
) -> BatchStream {
    let (schema, admission) = (statement.schema(), admission.clone());
    let span = tracing::info_span!("query", query.id = %active.id(), query.queued_seconds = tracing::field::Empty);
    let start = async move {
        let mut active = active;
        let begun = begin(&statement, part, &active, &admission).await;
        match begun {
            Ok((rows, permit)) => Ok(watch(rows, active, permit, limits).boxed()),
            Err(error) => {
                active.end(Some(&error));
                Err(PlannerError::from(error))
            }
        }
    };
    BatchStream::new(schema, stream::once(start.instrument(span)).try_flatten())
}

/// Runs something that changes a dataset, when it is its turn.
pub(crate) async fn change<T, E>(
    mut active: ActiveQuery,
    admission: &Admission,
    work: impl Future<Output = Result<T, E>>,
    rows: impl FnOnce(&T) -> u64,
) -> Result<T>
where
    Error: From<E>,
{
    let outcome = async {
        let permit = admission.enter(&active).await?;
        active.running();
        let outcome = active.until_stopped(work).await?;
        drop(permit);
        Ok(outcome)
    }
    .await;
    if let Ok(outcome) = &outcome {
        active.rows(rows(outcome));
    }
    active.end(outcome.as_ref().err());
    outcome
}

async fn begin(
    statement: &Statement,
    part: Option<Part>,
    active: &ActiveQuery,
    admission: &Admission,
) -> Result<(BatchStream, Option<Permit>)> {
    let began = Instant::now();
    let permit = if statement.is_light() {
        None
    } else {
        Some(admission.enter(active).await?)
    };
    tracing::Span::current().record("query.queued_seconds", began.elapsed().as_secs_f64());
    active.running();
    let usage = active.usage();
    let rows = match part {
        Some(part) => active.until_stopped(statement.execute_part_as(part, usage)).await?,
        None => active.until_stopped(statement.execute_as(usage)).await?,
    };
    Ok((rows, permit))
}

fn watch(
    rows: BatchStream,
    active: ActiveQuery,
    permit: Option<Permit>,
    limits: ResultLimits,
) -> impl Stream<Item = Result<RecordBatch, PlannerError>> + Send {
    let stopped = Box::pin(active.token().clone().cancelled_owned());
    Watched {
        running: Some((rows, permit)),
        active,
        stopped,
        limits,
        bytes: 0,
    }
}

/// Rows of a running query, with all that ends when they do.
struct Watched {
    running: Option<(BatchStream, Option<Permit>)>,
    active: ActiveQuery,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    limits: ResultLimits,
    bytes: u64,
}

impl Watched {
    /// Counts a batch; an error when there are too many.
    fn count(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = self.active.rows(batch.num_rows() as u64);
        if self.limits.bytes.is_some() {
            let bytes = RowSizes::new(batch, Dictionaries::Hydrated).message(0, batch.num_rows());
            self.bytes = self.bytes.saturating_add(bytes as u64);
        }
        let too_large = |what: &str, limit: u64, key: &str| {
            Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "the result has more than {limit} {what}, the most that this node gives ({key}): add a LIMIT, a filter or an aggregation, or read it in parts"
                ),
            )
        };
        match self.limits {
            ResultLimits { rows: Some(limit), .. } if rows > limit => {
                Err(too_large("rows", limit, "query.max_result_rows"))
            }
            ResultLimits { bytes: Some(limit), .. } if self.bytes > limit => {
                Err(too_large("bytes", limit, "query.max_result_bytes"))
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, error: Option<Error>) -> Poll<Option<Result<RecordBatch, PlannerError>>> {
        self.running = None;
        self.active.end(error.as_ref());
        Poll::Ready(error.map(|error| Err(error.into())))
    }
}

impl Stream for Watched {
    type Item = Result<RecordBatch, PlannerError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some((rows, _)) = &mut this.running else {
            return Poll::Ready(None);
        };
        if this.stopped.as_mut().poll(context).is_ready() {
            let why = this.active.why();
            return this.end(Some(why));
        }
        match rows.poll_next_unpin(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(batch))) => match this.count(&batch) {
                Ok(()) => Poll::Ready(Some(Ok(batch))),
                Err(error) => this.end(Some(error)),
            },
            Poll::Ready(Some(Err(error))) => this.end(Some(error.into())),
            Poll::Ready(None) => this.end(None),
        }
    }
}
