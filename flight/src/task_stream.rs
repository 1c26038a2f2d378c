//! A stream whose items are made in a task of their own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::Stream;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};

/// Items from a task that runs a few items ahead of whoever reads them.
///
/// The stream ends well only when the task returned `Ok`: a task that fails, panics or is stopped becomes an error at the
/// end, so that a cut-off result never looks like a complete one. Dropping the stream stops the task at its next await.
pub(crate) struct TaskStream<T, E> {
    items: mpsc::Receiver<T>,
    task: Option<JoinHandle<Result<(), E>>>,
    lost: fn(JoinError) -> E,
}

impl<T, E> TaskStream<T, E>
where
    T: Send + 'static,
    E: Send + 'static,
{
    /// Starts the task; `ahead` is how many items may wait. `lost` makes the error for a task that panicked.
    pub(crate) fn spawn<F>(ahead: usize, lost: fn(JoinError) -> E, produce: impl FnOnce(mpsc::Sender<T>) -> F) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        use tracing::Instrument;
        let (sender, items) = mpsc::channel(ahead);
        let task = tokio::spawn(produce(sender).in_current_span());
        Self {
            items,
            task: Some(task),
            lost,
        }
    }
}

impl<T, E> Unpin for TaskStream<T, E> {}

impl<T, E> Stream for TaskStream<T, E> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(item) = ready!(self.items.poll_recv(context)) {
            return Poll::Ready(Some(Ok(item)));
        }
        let Some(task) = self.task.as_mut() else {
            return Poll::Ready(None);
        };
        let outcome = ready!(Pin::new(task).poll(context));
        self.task = None;
        Poll::Ready(match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(error)),
            Err(lost) => Some(Err((self.lost)(lost))),
        })
    }
}

impl<T, E> Drop for TaskStream<T, E> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl<T, E> fmt::Debug for TaskStream<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStream").finish_non_exhaustive()
    }
}
