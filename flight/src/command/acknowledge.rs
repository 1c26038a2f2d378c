//! How far an ingest is, told while its rows arrive.
//!
//! Clients of Flight SQL expect one message, the last one, with the number of rows. Who asks for more (`acknowledge` = `batches`
//! among the options of the ingest) gets JSON instead: `docs/ingest.md` says what is in it.

use std::future::Future;

use arrow_flight::PutResult;
use futures::StreamExt;
use jetway_planner::{BatchStream, IngestOutcome};
use tokio::sync::mpsc;

use crate::task_stream::TaskStream;
use crate::{Error, Result};

/// Messages that wait for a client that does not read them. Beyond it they are left out: a later one tells more.
const WAITING: usize = 16;

/// What an ingest turned out to be.
#[derive(Debug)]
pub(super) enum Ingested {
    /// The rows are in the dataset.
    Committed(IngestOutcome),
    /// So many rows wait for the end of their transaction.
    Staged(u64),
}

/// How much was received.
#[derive(Debug, Clone, Copy, Default)]
struct Received {
    batches: u64,
    rows: u64,
}

/// Takes in rows as `ingest` does, and tells of each batch that it was received, and at the end what became of the rows.
pub(super) fn stream<F>(
    rows: BatchStream,
    ingest: impl FnOnce(BatchStream) -> F + Send + 'static,
) -> TaskStream<PutResult, Error>
where
    F: Future<Output = Result<Ingested>> + Send + 'static,
{
    let died = |_| Error::internal("the task that takes in rows died; its log has the details");
    TaskStream::spawn(WAITING, died, move |messages| async move {
        let outcome = ingest(told(rows, messages.clone())).await?;
        // Nobody is there to read it if this fails.
        let _ = messages.send(message(end(&outcome))).await;
        Ok(())
    })
}

/// The same rows, of which each batch is told when it is taken.
fn told(rows: BatchStream, messages: mpsc::Sender<PutResult>) -> BatchStream {
    let schema = rows.schema();
    let mut received = Received::default();
    let rows = rows.inspect(move |batch| {
        if let Ok(batch) = batch {
            received.batches += 1;
            received.rows += batch.num_rows() as u64;
            let Received { batches, rows } = received;
            let _ = messages.try_send(message(format!(r#"{{"received":{rows},"batches":{batches}}}"#)));
        }
    });
    BatchStream::new(schema, rows)
}

/// What the last message says. Identities and hashes have no characters that JSON would escape.
fn end(outcome: &Ingested) -> String {
    match outcome {
        Ingested::Committed(IngestOutcome {
            dataset,
            rows,
            events,
            head,
            created,
            changed,
        }) => format!(
            r#"{{"committed":true,"rows":{rows},"events":{events},"dataset":"{dataset}","block":"{head}","created":{created},"changed":{changed}}}"#
        ),
        Ingested::Staged(rows) => format!(r#"{{"committed":false,"rows":{rows}}}"#),
    }
}

fn message(json: String) -> PutResult {
    PutResult {
        app_metadata: json.into(),
    }
}
