//! The threads that plans and encoders run on, apart from those that serve the network: work that takes long between
//! two awaits must not hold up answers to others.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::{Error, ErrorKind, Result};

/// How many batches may wait between a running plan and whoever reads them.
const BATCHES_AHEAD: usize = 4;

/// The stack of each thread, in bytes: what walks through a deep plan takes some kilobytes for each of its levels, of which
/// there are a thousand and more. Memory is taken for what is used.
const STACK: usize = 128 * 1024 * 1024;

/// How many large statements are planned at once.
const LARGE_PLANS: usize = 2;

/// A pool of threads of its own. Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub(crate) struct Compute {
    runtime: Arc<Owned>,
    express: Arc<Owned>,
    planning: Arc<Owned>,
}

struct Owned(Option<Runtime>, Handle);

impl Owned {
    fn start(threads: usize, name: &str) -> Result<Arc<Self>> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name(name)
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "cannot start the threads that run plans").with_source(error)
            })?;
        let handle = runtime.handle().clone();
        Ok(Arc::new(Self(Some(runtime), handle)))
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // A plain drop would wait for the threads, which is not allowed on an async one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Compute {
    pub(crate) fn new(threads: usize) -> Result<Self> {
        Ok(Self {
            runtime: Owned::start(threads, "jetway-compute")?,
            express: Owned::start(1, "jetway-express")?,
            planning: Owned::start(LARGE_PLANS, "jetway-planning")?,
        })
    }

    /// A thread of its own for what takes next to nothing, so that it does not wait behind what takes long.
    pub(crate) fn express(&self) -> Self {
        Self {
            runtime: Arc::clone(&self.express),
            ..self.clone()
        }
    }

    /// Plans a statement: a small one here and now, a large one on threads of its own. A fault of the program ends no more than
    /// the statement.
    pub(crate) async fn plan<T: Send + 'static>(
        &self,
        is_small: bool,
        planning: BoxFuture<'static, Result<T>>,
    ) -> Result<T> {
        if is_small {
            return AssertUnwindSafe(planning)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(fault()));
        }
        Task(self.planning.1.spawn(planning.in_current_span())).join().await?
    }

    /// Runs a future here; it is cancelled when the returned task is dropped.
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Task<T> {
        Task(self.runtime.1.spawn(work.in_current_span()))
    }

    /// Runs a future here to its end, whoever still waits for it.
    pub(crate) fn detach(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.1.spawn(work);
    }

    /// Runs a function that may block or compute for long.
    pub(crate) async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.runtime.1.spawn_blocking(work).await.map_err(panicked)?
    }

    /// Lets a stream run here, a few batches ahead of its reader. It stops when the returned stream is dropped.
    pub(crate) fn run_ahead(
        &self,
        batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    ) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let task = self.spawn(async move {
            let mut batches = Box::pin(batches);
            while let Some(batch) = batches.next().await {
                let failed = batch.is_err();
                if sender.send(batch).await.is_err() || failed {
                    break;
                }
            }
        });
        futures::stream::unfold((receiver, Some(task)), |(mut receiver, mut task)| async move {
            if let Some(batch) = receiver.recv().await {
                return Some((batch, (receiver, task)));
            }
            // The channel also closes when the plan panics, which must not look like the end of the rows.
            let task = task.take()?;
            match task.join().await {
                Ok(()) => None,
                Err(error) => Some((Err(error), (receiver, None))),
            }
        })
    }
}

impl fmt::Debug for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compute")
    }
}

/// A running piece of work, cancelled on drop.
#[derive(Debug)]
pub(crate) struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    /// Waits for the result.
    pub(crate) async fn join(mut self) -> Result<T> {
        (&mut self.0).await.map_err(panicked)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn panicked(error: tokio::task::JoinError) -> Error {
    if error.is_cancelled() {
        return Error::new(ErrorKind::Cancelled, "the work was cancelled");
    }
    fault().with_source(error)
}

fn fault() -> Error {
    Error::new(
        ErrorKind::Internal,
        "a worker failed unexpectedly; its log has the details",
    )
}
