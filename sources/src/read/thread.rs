//! A reader on a thread of its own.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::stream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, spawn_blocking};

use super::bytes::Source;
use crate::{Error, ErrorKind, Input, Result, RowStream};

/// Batches that are read before somebody asks for them.
const READ_AHEAD: usize = 2;

/// Schema and batches of an opened input. The batches stay on the thread that opened it.
pub(super) type Opened = (SchemaRef, Batches);

/// Batches of one schema; nothing comes after an error.
pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>>>;

/// Opens and reads on a thread for blocking work until the end, the first error, or until nobody holds the stream any more.
pub(super) async fn run<Open>(input: Input, open: Open) -> Result<RowStream>
where
    Open: FnOnce(Source) -> Result<Opened> + Send + 'static,
{
    let (sender, batches) = mpsc::channel(READ_AHEAD);
    let (opened, schema) = oneshot::channel();
    let name = input.name.clone();
    let source = Source::new(input, sender.clone());
    let failure = source.failure();
    let thread = spawn_blocking(move || {
        let explain = |error| failure.take().unwrap_or(error).with_context("file", &name);
        let batches = match open(source) {
            Ok((schema, batches)) => opened.send(Ok(schema)).is_ok().then_some(batches),
            Err(error) => opened.send(Err(explain(error))).err().and(None),
        };
        for batch in batches.into_iter().flatten() {
            let failed = batch.is_err();
            if sender.blocking_send(batch.map_err(explain)).is_err() || failed {
                return;
            }
        }
    });
    let Ok(schema) = schema.await else {
        return Err(thread.await.err().map_or_else(gone, given_up));
    };
    let rows = stream::unfold((batches, Some(thread)), |(mut batches, mut thread)| async move {
        if let Some(batch) = batches.recv().await {
            return Some((batch, (batches, thread)));
        }
        // The end is one only if the thread came to it.
        let ended = thread.take()?.await;
        ended.err().map(|error| (Err(given_up(error)), (batches, None)))
    });
    Ok(RowStream::new(schema?, rows))
}

/// Does something with an input and gives the result, unless the caller goes away before.
pub(super) async fn call<T, Work>(input: Input, work: Work) -> Result<T>
where
    T: Send + 'static,
    Work: FnOnce(Source) -> Result<T> + Send + 'static,
{
    let (sender, _waiting) = mpsc::channel(1);
    let name = input.name.clone();
    let source = Source::new(input, sender);
    let failure = source.failure();
    let result = spawn_blocking(move || work(source)).await.map_err(given_up)?;
    result.map_err(|error| failure.take().unwrap_or(error).with_context("file", name))
}

fn given_up(error: JoinError) -> Error {
    Error::new(
        ErrorKind::Internal,
        "the reader gave up on the input; it may be damaged in a way that the reader does not expect",
    )
    .with_source(error)
}

fn gone() -> Error {
    Error::new(ErrorKind::Internal, "the reader ended without a result")
}
