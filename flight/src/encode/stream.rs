//! A running statement to a stream of messages.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use jetway_planner::BatchStream;
use tokio::sync::mpsc::Sender;

use super::{MessageEncoder, MessageLimits, Packer, StreamMessage};
use crate::queries::Meter;
use crate::task_stream::TaskStream;
use crate::{Error, ErrorKind, Result, WireProfile};

/// Messages that wait between the task and the connection: the next batch is computed while these are sent.
const AHEAD: usize = 6;

/// How long a stream waits for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamTimes {
    /// When no rows came for this long, a message without rows is sent, so that nothing between here and the client takes the
    /// connection for dead.
    pub(crate) heartbeat: Duration,
    /// A client that takes nothing for this long is given up.
    pub(crate) stalled: Duration,
}

/// The messages of a stream of rows: first the schema, at once, then the rows. `schema` is that of the wire.
pub(crate) fn encode_stream(
    schema: SchemaRef,
    rows: BatchStream,
    profile: WireProfile,
    limits: MessageLimits,
    times: StreamTimes,
    meter: Option<Meter>,
) -> TaskStream<StreamMessage, Error> {
    let lost = |lost| Error::internal("the task that computes rows died").with_source(lost);
    TaskStream::spawn(AHEAD, lost, move |messages| {
        let outlet = Outlet {
            messages,
            stalled: times.stalled,
            meter,
            row_limit: limits.row_limit,
        };
        Box::pin(run(schema, rows, profile, limits, times.heartbeat, outlet))
    })
}

async fn run(
    schema: SchemaRef,
    mut rows: BatchStream,
    profile: WireProfile,
    limits: MessageLimits,
    heartbeat: Duration,
    outlet: Outlet,
) -> Result<()> {
    let mut encoder = MessageEncoder::new(profile, SchemaRef::clone(&schema))?;
    let mut packer = Packer::new(schema, limits);
    outlet.send(encoder.schema()).await?;
    loop {
        let patience = if packer.is_waiting() {
            StreamTimes::LINGER
        } else {
            heartbeat
        };
        match tokio::time::timeout(patience, rows.next()).await {
            Ok(Some(batch)) => packer.push(&batch?)?,
            Ok(None) => break,
            Err(_) if packer.is_waiting() => packer.flush()?,
            Err(_) => {
                let empty = RecordBatch::new_empty(packer.schema());
                outlet.send_rows(&mut encoder, vec![empty]).await?;
            }
        }
        outlet.send_rows(&mut encoder, packer.take_ready()).await?;
    }
    packer.flush()?;
    outlet.send_rows(&mut encoder, packer.take_ready()).await
}

struct Outlet {
    messages: Sender<StreamMessage>,
    stalled: Duration,
    meter: Option<Meter>,
    row_limit: usize,
}

impl Outlet {
    async fn send_rows(&self, encoder: &mut MessageEncoder, batches: Vec<RecordBatch>) -> Result<()> {
        for batch in batches {
            let mut messages = encoder.rows(&batch)?;
            let rows = messages.pop();
            for dictionary in messages {
                self.send_dictionary(dictionary).await?;
            }
            metrics::counter!("jetway_flight_rows_out_total").increment(batch.num_rows() as u64);
            if let Some(rows) = rows {
                self.send(rows).await?;
            }
        }
        Ok(())
    }

    /// A dictionary cannot be divided, so a large one may be too large.
    async fn send_dictionary(&self, dictionary: StreamMessage) -> Result<()> {
        let bytes = dictionary.body_len();
        if bytes > self.row_limit {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                format!(
                    "a dictionary of the result takes {bytes} bytes, more than the {} that fit into a message; set the option \
                     dictionaries to hydrate, so that values are sent with their rows",
                    self.row_limit
                ),
            ));
        }
        self.send(dictionary).await
    }

    async fn send(&self, message: StreamMessage) -> Result<()> {
        let bytes = (message.header.len() + message.body_len()) as u64;
        // A client that takes nothing must not keep a query alive that was stopped.
        let stopped = async {
            match &self.meter {
                Some(meter) => meter.stopped().await,
                None => std::future::pending().await,
            }
        };
        let sent = tokio::select! {
            biased;
            sent = tokio::time::timeout(self.stalled, self.messages.send(message)) => sent,
            why = stopped => return Err(why),
        };
        match sent {
            Ok(Ok(())) => {
                if let Some(meter) = &self.meter {
                    meter.bytes(bytes);
                }
                metrics::counter!("jetway_flight_bytes_out_total").increment(bytes);
                Ok(())
            }
            Ok(Err(_)) => Err(Error::new(ErrorKind::Cancelled, "the client went away")),
            Err(_) => Err(Error::new(
                ErrorKind::DeadlineExceeded,
                format!(
                    "the client took no rows for {} seconds, so the query was stopped; run it again and read faster, or in parts",
                    self.stalled.as_secs()
                ),
            )),
        }
    }
}
