//! A running statement to a stream of messages.

use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use futures::future::BoxFuture;
use jetway_planner::BatchStream;
use tokio::sync::mpsc::Sender;

use super::{MessageEncoder, MessageLimits, Packer, StreamMessage};
use crate::queries::Meter;
use crate::spool::Recorder;
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
    encode_and_keep(schema, rows, profile, limits, times, meter, None)
}

/// The same; the messages are kept as well, as long as the recorder wants them.
pub(crate) fn encode_and_keep(
    schema: SchemaRef,
    rows: BatchStream,
    profile: WireProfile,
    limits: MessageLimits,
    times: StreamTimes,
    meter: Option<Meter>,
    recorder: Option<Recorder>,
) -> TaskStream<StreamMessage, Error> {
    let lost = |lost| Error::internal("the task that computes rows died").with_source(lost);
    TaskStream::spawn(AHEAD, lost, move |messages| {
        let outlet = Outlet {
            messages: Some(messages),
            stalled: times.stalled,
            meter,
            row_limit: limits.row_limit,
            recorder,
        };
        Box::pin(run(schema, rows, profile, limits, times.heartbeat, outlet))
    })
}

/// Encodes a stream of rows for a recorder alone.
pub(crate) fn record_stream(
    schema: SchemaRef,
    rows: BatchStream,
    profile: WireProfile,
    limits: MessageLimits,
    recorder: Recorder,
) -> BoxFuture<'static, Result<()>> {
    let outlet = Outlet {
        messages: None,
        stalled: Duration::MAX,
        meter: None,
        row_limit: limits.row_limit,
        recorder: Some(recorder),
    };
    // Who reads the answer gets heartbeats from there.
    Box::pin(run(schema, rows, profile, limits, Duration::MAX, outlet))
}

async fn run(
    schema: SchemaRef,
    mut rows: BatchStream,
    profile: WireProfile,
    limits: MessageLimits,
    heartbeat: Duration,
    mut outlet: Outlet,
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
        let asked = Instant::now();
        let next = tokio::time::timeout(patience, rows.next()).await;
        outlet.waited(asked);
        match next {
            Ok(Some(batch)) => packer.push(&batch?)?,
            Ok(None) => break,
            Err(_) if packer.is_waiting() => packer.flush()?,
            Err(_) => {
                outlet.send_heartbeat(&mut encoder, packer.schema()).await?;
            }
        }
        outlet.send_rows(&mut encoder, packer.take_ready()).await?;
    }
    packer.flush()?;
    outlet.send_rows(&mut encoder, packer.take_ready()).await?;
    outlet.finish();
    Ok(())
}

struct Outlet {
    /// To the client, if there is one.
    messages: Option<Sender<StreamMessage>>,
    stalled: Duration,
    meter: Option<Meter>,
    row_limit: usize,
    recorder: Option<Recorder>,
}

impl Outlet {
    async fn send_rows(&mut self, encoder: &mut MessageEncoder, batches: Vec<RecordBatch>) -> Result<()> {
        for batch in batches {
            let mut messages = encoder.rows(&batch)?;
            let rows = messages.pop();
            for dictionary in messages {
                self.send_dictionary(dictionary).await?;
            }
            metrics::counter!("jetway_flight_rows_out_total").increment(batch.num_rows() as u64);
            if let Some(message) = rows {
                self.keep(&message, batch.num_rows() as u64).await?;
                self.send(message).await?;
            }
        }
        Ok(())
    }

    /// A message without rows, which is not kept. What comes before it is.
    async fn send_heartbeat(&mut self, encoder: &mut MessageEncoder, schema: SchemaRef) -> Result<()> {
        let mut messages = encoder.rows(&RecordBatch::new_empty(schema))?;
        let empty = messages.pop();
        for dictionary in messages {
            self.send_dictionary(dictionary).await?;
        }
        match empty {
            Some(empty) => self.send(empty).await,
            None => Ok(()),
        }
    }

    /// A dictionary cannot be divided, so a large one may be too large.
    async fn send_dictionary(&mut self, dictionary: StreamMessage) -> Result<()> {
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
        self.keep(&dictionary, 0).await?;
        self.send(dictionary).await
    }

    /// Gives a message to the recorder, until that wants no more.
    async fn keep(&mut self, message: &StreamMessage, rows: u64) -> Result<()> {
        if let Some(recorder) = &mut self.recorder
            && !recorder.push(message, rows).await?
        {
            self.recorder = None;
        }
        Ok(())
    }

    fn waited(&mut self, since: Instant) {
        if let Some(recorder) = &mut self.recorder {
            recorder.waited(since.elapsed());
        }
    }

    fn finish(self) {
        if let Some(recorder) = self.recorder {
            recorder.finish();
        }
    }

    async fn send(&self, message: StreamMessage) -> Result<()> {
        let Some(messages) = &self.messages else {
            return Ok(());
        };
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
            sent = tokio::time::timeout(self.stalled, messages.send(message)) => sent,
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
