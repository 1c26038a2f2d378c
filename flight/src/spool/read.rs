//! Reading an answer, also while it is being recorded.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::mpsc::Sender;

use super::answer::{Content, Kept};
use super::recorder::off_the_network;
use super::{Answer, file};
use crate::encode::{StreamMessage, StreamTimes};
use crate::task_stream::TaskStream;
use crate::{Error, ErrorKind, Result};

/// Messages that are read ahead of the connection.
const AHEAD: usize = 4;
/// So many bytes are read from a file at once.
const READ_BYTES: usize = 4 * 1024 * 1024;

/// Which messages of an answer to read, counting those with rows. The schema and dictionaries always come along.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) messages: Range<usize>,
    pub(crate) times: StreamTimes,
}

impl Answer {
    /// The messages, first the schema. If the answer is still being recorded, those that are missing follow when they are there.
    pub(crate) fn read(self: &Arc<Self>, reading: Reading) -> BoxStream<'static, Result<StreamMessage>> {
        if let Some(messages) = self.in_memory(&reading.messages) {
            let answer = Arc::clone(self);
            // The answer is in use until the last message is out.
            return stream::iter(messages)
                .inspect_ok(move |_| {
                    let _ = &answer;
                })
                .boxed();
        }
        let answer = Arc::clone(self);
        let lost = |lost| Error::internal("the task that reads the spool died").with_source(lost);
        TaskStream::spawn(AHEAD, lost, move |outlet| {
            let reader = Reader {
                answer,
                outlet,
                times: reading.times,
                file: None,
            };
            reader.run(reading.messages)
        })
        .boxed()
    }

    /// All messages of a range, if the answer is complete and none is in a file.
    fn in_memory(&self, wanted: &Range<usize>) -> Option<Vec<Result<StreamMessage>>> {
        let state = self.state();
        if !matches!(state.end, Some(Ok(()))) || state.file.is_some() {
            return None;
        }
        let mut messages = vec![Ok(self.schema.clone())];
        let mut index = 0;
        for kept in &state.messages {
            let Content::Memory(message) = &kept.content else {
                return None;
            };
            if kept.rows == 0 || wanted.contains(&index) {
                messages.push(Ok(message.clone()));
            }
            index += usize::from(kept.rows > 0);
        }
        Some(messages)
    }
}

struct Reader {
    answer: Arc<Answer>,
    outlet: Sender<StreamMessage>,
    times: StreamTimes,
    file: Option<File>,
}

impl Reader {
    async fn run(mut self, wanted: Range<usize>) -> Result<()> {
        let mut changed = self.answer.subscribe();
        self.send(self.answer.schema.clone()).await?;
        let (mut next, mut index) = (0, 0);
        while index < wanted.end {
            changed.mark_unchanged();
            let (found, end) = {
                let state = self.answer.state();
                let found = state.messages.get(next..).unwrap_or_default();
                // A few at a time, so that the lock is short.
                let found: Vec<Kept> = found.iter().take(AHEAD).cloned().collect();
                (found, state.end.clone())
            };
            if found.is_empty() {
                match end {
                    Some(Ok(())) => return Ok(()),
                    Some(Err((kind, message))) => return Err(Error::new(kind, message)),
                    None => self.wait(&mut changed).await?,
                }
                continue;
            }
            next += found.len();
            let mut asked = Vec::with_capacity(found.len());
            for kept in found {
                if kept.rows == 0 || wanted.contains(&index) {
                    asked.push(kept.content);
                }
                index += usize::from(kept.rows > 0);
            }
            self.send_all(asked).await?;
        }
        Ok(())
    }

    async fn wait(&self, changed: &mut tokio::sync::watch::Receiver<()>) -> Result<()> {
        match tokio::time::timeout(self.times.heartbeat, changed.changed()).await {
            Ok(_) => Ok(()),
            Err(_) => match &self.answer.heartbeat {
                Some(heartbeat) => self.send(heartbeat.clone()).await,
                None => Ok(()),
            },
        }
    }

    /// Sends messages; neighbours in a file are read together.
    async fn send_all(&mut self, contents: Vec<Content>) -> Result<()> {
        let mut group: Vec<(u64, usize, usize)> = Vec::new();
        let mut bytes = 0;
        for content in contents {
            match content {
                Content::Memory(message) => {
                    self.send_group(std::mem::take(&mut group)).await?;
                    bytes = 0;
                    self.send(message).await?;
                }
                Content::File { at, header, body } => {
                    let follows = group
                        .last()
                        .is_none_or(|(last, head, rest)| last + (head + rest) as u64 == at);
                    if !follows || bytes + header + body > READ_BYTES {
                        self.send_group(std::mem::take(&mut group)).await?;
                        bytes = 0;
                    }
                    bytes += header + body;
                    group.push((at, header, body));
                }
            }
        }
        self.send_group(group).await
    }

    async fn send_group(&mut self, group: Vec<(u64, usize, usize)>) -> Result<()> {
        let Some(&(at, ..)) = group.first() else { return Ok(()) };
        let length = group.iter().map(|(_, header, body)| header + body).sum();
        let (known, of) = (self.file.take(), Arc::clone(&self.answer));
        let (handle, mut bytes) = off_the_network(move || {
            let mut handle = match known {
                Some(handle) => handle,
                None => {
                    let file = of.state().file.clone();
                    file.ok_or_else(|| Error::internal("an answer has no file"))?.reader()?
                }
            };
            let bytes = file::read(&mut handle, at, length)?;
            Ok((handle, bytes))
        })
        .await?;
        self.file = Some(handle);
        for (_, header, body) in group {
            let header = bytes.split_to(header);
            let body = vec![bytes.split_to(body)];
            self.send(StreamMessage {
                header,
                body,
                ..StreamMessage::default()
            })
            .await?;
        }
        Ok(())
    }

    async fn send(&self, message: StreamMessage) -> Result<()> {
        let bytes = (message.header.len() + message.body_len()) as u64;
        match tokio::time::timeout(self.times.stalled, self.outlet.send(message)).await {
            Ok(Ok(())) => {
                metrics::counter!("jetway_flight_bytes_out_total").increment(bytes);
                Ok(())
            }
            Ok(Err(_)) => Err(Error::new(ErrorKind::Cancelled, "the client went away")),
            Err(_) => Err(stalled(self.times.stalled)),
        }
    }
}

fn stalled(time: Duration) -> Error {
    Error::new(
        ErrorKind::DeadlineExceeded,
        format!(
            "the client took no rows for {} seconds; read on with jetway-resume-from",
            time.as_secs()
        ),
    )
}
