//! Keeps the messages of an answer while they are made.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::answer::{Content, Kept, OVERHEAD};
use super::file::SpoolFile;
use super::{Answer, Key, Place, Spool};
use crate::encode::StreamMessage;
use crate::queries::QueryId;
use crate::{Error, ErrorKind, Result};

/// A query that took at least so long to compute is worth keeping, unless its answer is large for the time:
const LONG: Duration = Duration::from_secs(2);
/// so many bytes for each second could have been read from storage as well.
const CHEAP_BYTES_PER_SECOND: f64 = 32.0 * 1024.0 * 1024.0;

/// What becomes of an answer that turns out to be large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// It is kept if it was expensive.
    Worth,
    /// Somebody waits for it: the query fails if it cannot be kept.
    Always,
}

/// Records one answer. Unless it is told that all messages are there, the answer is dropped with it.
#[derive(Debug)]
pub(crate) struct Recorder {
    spool: Spool,
    answer: Arc<Answer>,
    wish: Wish,
    /// How long rows were waited for.
    waited: Duration,
    bytes: u64,
    in_memory: u64,
    file: Option<Arc<SpoolFile>>,
    at: u64,
}

impl Spool {
    /// Keeps what is sent to a client anyway, if it is small or was expensive.
    pub(crate) fn tee(
        &self,
        key: Key,
        ticket: QueryId,
        account: &str,
        schema: StreamMessage,
        heartbeat: Option<StreamMessage>,
    ) -> Recorder {
        let recorder = Recorder::new(self, Wish::Worth, key, account, schema, heartbeat);
        recorder.answer.serve(ticket);
        recorder
    }

    /// Records an answer from which clients read while it is made. It goes on until it is complete or cancelled, whether
    /// somebody reads or not.
    pub(crate) fn record<F>(
        &self,
        key: Key,
        account: &str,
        schema: StreamMessage,
        heartbeat: Option<StreamMessage>,
        work: impl FnOnce(Recorder) -> F,
    ) -> Arc<Answer>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        use tracing::Instrument;
        let recorder = Recorder::new(self, Wish::Always, key, account, schema, heartbeat);
        let (answer, spool) = (Arc::clone(&recorder.answer), self.clone());
        self.announce(&answer);
        let work = work(recorder);
        let recorded = Arc::clone(&answer);
        let task = async move {
            if let Err(error) = work.await {
                recorded.end(Err(&error));
                // Who polls is told why.
                tokio::time::sleep(spool.options().lifetime).await;
            }
            spool.forget(recorded.run());
        };
        let task = tokio::spawn(task.in_current_span());
        let (watched, spool) = (Arc::clone(&answer), self.clone());
        tokio::spawn(async move {
            if task.await.is_err() {
                watched.end(Err(&Error::internal("the task that computes rows died")));
                spool.forget(watched.run());
            }
        });
        answer
    }
}

impl Recorder {
    fn new(
        spool: &Spool,
        wish: Wish,
        key: Key,
        account: &str,
        schema: StreamMessage,
        heartbeat: Option<StreamMessage>,
    ) -> Self {
        Self {
            spool: spool.clone(),
            answer: Arc::new(Answer::new(spool, key, account, schema, heartbeat)),
            wish,
            waited: Duration::ZERO,
            bytes: 0,
            in_memory: 0,
            file: None,
            at: 0,
        }
    }

    /// Notes how long rows were waited for.
    pub(crate) fn waited(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Keeps a message; whether it makes sense to go on.
    ///
    /// # Errors
    /// When somebody waits for the answer and there is no room for it.
    pub(crate) async fn push(&mut self, message: &StreamMessage, rows: u64) -> Result<bool> {
        let bytes = (message.header.len() + message.body_len()) as u64;
        self.bytes += bytes;
        if self.wish == Wish::Worth && !self.is_worth_it() {
            return Ok(false);
        }
        let options = self.spool.options();
        let largest = match options.folder {
            Some(_) => options.largest_in_memory,
            None => options.memory,
        };
        let taken = bytes + if self.in_memory == 0 { OVERHEAD } else { 0 };
        if self.file.is_none() && self.in_memory + taken <= largest && self.spool.take(Place::Memory, taken) {
            self.in_memory += taken;
            let content = Content::Memory(compact(message));
            self.answer.add(Kept { rows, content }, Place::Memory, taken);
            return Ok(true);
        }
        if self.spool.options().folder.is_some() && self.spool.take(Place::Disk, bytes) {
            self.answer.grow(Place::Disk, bytes);
            let content = self.write(message).await?;
            self.answer.add(Kept { rows, content }, Place::Disk, 0);
            return Ok(true);
        }
        match self.wish {
            Wish::Worth => Ok(false),
            Wish::Always => Err(Error::new(
                ErrorKind::ResourceExhausted,
                "the spool has no room for the result: read it without jetway-spool, or have flight.spool_disk raised",
            )),
        }
    }

    fn is_worth_it(&self) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let bytes = self.bytes as f64;
        self.bytes <= self.spool.options().small
            || self.waited >= LONG && bytes <= self.waited.as_secs_f64() * CHEAP_BYTES_PER_SECOND
    }

    /// All messages are there.
    pub(crate) fn finish(self) {
        let is_accounted = self.in_memory > 0 || self.at > 0;
        if !is_accounted && self.spool.take(Place::Memory, OVERHEAD) {
            self.answer.grow(Place::Memory, OVERHEAD);
        }
        self.answer.end(Ok(()));
        self.spool.keep(&self.answer);
    }

    async fn write(&mut self, message: &StreamMessage) -> Result<Content> {
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => self.create().await?,
        };
        let at = self.at;
        let (header, body) = (message.header.len(), message.body_len());
        let mut pieces: Vec<Bytes> = vec![message.header.clone()];
        pieces.extend(message.body.iter().cloned());
        off_the_network(move || file.write(&pieces, at)).await?;
        self.at += (header + body) as u64;
        Ok(Content::File { at, header, body })
    }

    async fn create(&mut self) -> Result<Arc<SpoolFile>> {
        let (folder, run) = (self.spool.options().folder.clone(), self.answer.run());
        let folder = folder.ok_or_else(|| Error::internal("the spool has no folder"))?;
        let file = Arc::new(off_the_network(move || SpoolFile::create(&folder, run)).await?);
        self.file = Some(Arc::clone(&file));
        self.answer.state().file = Some(Arc::clone(&file));
        Ok(file)
    }
}

/// Runs what waits for a disk on a thread for that.
pub(super) async fn off_the_network<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal("a thread of the spool died").with_source(error))?
}

/// The same message in memory of its own: a piece may be a small part of a large buffer.
fn compact(message: &StreamMessage) -> StreamMessage {
    let mut body = BytesMut::with_capacity(message.body_len());
    for piece in &message.body {
        body.put_slice(piece);
    }
    StreamMessage {
        header: Bytes::copy_from_slice(&message.header),
        body: vec![body.freeze()],
        ..StreamMessage::default()
    }
}
