//! Uploaded Flight messages to record batches. Every byte here is foreign.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_flight::FlightData;
use arrow_ipc::reader::{RecordBatchDecoder, read_dictionary_impl};
use arrow_ipc::{Endianness, Message, MessageHeader};
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use jetway_planner::BatchStream;
use tonic::{Code, Status};

use crate::encode::{Dictionaries, array_bytes, split};
use crate::wire::{Shape, cast_batch};
use crate::{Error, ErrorKind, Result};

mod check;
#[cfg(test)]
mod tests;

/// Messages as they come from the client.
pub(crate) type Upload = BoxStream<'static, std::result::Result<FlightData, Status>>;

/// The rows of an upload: `first` is its first message, already taken from `rest`.
///
/// Waits for the schema, then reads as fast as the rows are taken. The rows end well only where the client ended the stream; a
/// lost connection, a message that is cut off or one that breaks a rule is an error in the stream, after which nothing comes.
/// Dictionaries and run ends are resolved, in pieces of bounded size.
pub(crate) async fn decode_upload(first: FlightData, rest: Upload, max_message: usize) -> Result<BatchStream> {
    let mut messages = stream::once(std::future::ready(Ok(first))).chain(rest).boxed();
    let decoder = loop {
        let Some(message) = messages.next().await else {
            return Err(Error::invalid_argument(
                "the upload ended before its schema: send an Arrow schema message first, then record batches",
            ));
        };
        let message = message.map_err(|status| lost(&status, max_message))?;
        if let Some(decoder) = Decoder::start(&message, max_message)? {
            break decoder;
        }
    };
    let schema = Arc::clone(&decoder.schema);
    let batches = stream::try_unfold((decoder, messages), move |(mut decoder, mut messages)| async move {
        loop {
            if let Some(batch) = decoder.next_batch()? {
                return Ok::<_, jetway_planner::Error>(Some((batch, (decoder, messages))));
            }
            match messages.next().await {
                Some(message) => decoder.take(message.map_err(|status| lost(&status, max_message))?)?,
                None => return Ok(None),
            }
        }
    });
    Ok(BatchStream::new(schema, batches))
}

/// What it means when the transport gives an error instead of a message.
fn lost(status: &Status, max_message: usize) -> Error {
    match status.code() {
        // This is how tonic says that a message is larger than its limit.
        Code::OutOfRange | Code::ResourceExhausted => too_large(max_message),
        Code::InvalidArgument | Code::Internal | Code::Unimplemented => {
            malformed("the stream of messages is broken").with_context("reason", status.message())
        }
        _ => Error::new(
            ErrorKind::Cancelled,
            "the upload broke off before its end, so nothing of it was taken in: send it again",
        )
        .with_context("reason", status.message()),
    }
}

fn too_large(max_message: usize) -> Error {
    Error::new(
        ErrorKind::ResourceExhausted,
        format!("a message of the upload is larger than {max_message} bytes: send record batches with fewer rows"),
    )
}

fn malformed(what: impl Into<String>) -> Error {
    Error::invalid_argument(format!(
        "the upload is no valid Arrow stream, so nothing of it was taken in: {}",
        what.into()
    ))
}

#[derive(Debug)]
struct Decoder {
    /// As the client sends it.
    sent: SchemaRef,
    /// As the rows leave.
    schema: SchemaRef,
    dictionaries: HashMap<i64, ArrayRef>,
    pieces: VecDeque<RecordBatch>,
    max_message: usize,
}

impl Decoder {
    /// A decoder, if the message holds the schema. A message with neither header nor body, which only names the command, holds
    /// none.
    fn start(message: &FlightData, max_message: usize) -> Result<Option<Self>> {
        if message.data_header.is_empty() {
            return if message.data_body.is_empty() {
                Ok(None)
            } else {
                Err(malformed("a message has a body without a header"))
            };
        }
        let sent = guarded(|| read_schema(&parse(&message.data_header)?))?;
        check::schema(&sent)?;
        Ok(Some(Self {
            schema: Shape::Upload.schema(&sent),
            sent: Arc::new(sent),
            dictionaries: HashMap::new(),
            pieces: VecDeque::new(),
            max_message,
        }))
    }

    fn take(&mut self, data: FlightData) -> Result<()> {
        if data.data_header.len() + data.data_body.len() > self.max_message {
            return Err(too_large(self.max_message));
        }
        if data.data_header.is_empty() {
            // Some clients send application metadata on its own.
            return if data.data_body.is_empty() {
                Ok(())
            } else {
                Err(malformed("a message has a body without a header"))
            };
        }
        guarded(|| {
            let message = parse(&data.data_header)?;
            match message.header_type() {
                MessageHeader::RecordBatch => self.read_rows(&message, data.data_body),
                MessageHeader::DictionaryBatch => self.read_dictionary(&message, data.data_body),
                MessageHeader::Schema => Err(malformed("a second schema came in the middle")),
                MessageHeader::NONE => Ok(()),
                other => Err(malformed(format!(
                    "a message is neither schema, dictionary nor record batch but {}",
                    other.variant_name().unwrap_or("unknown")
                ))),
            }
        })
    }

    fn read_rows(&mut self, message: &Message<'_>, body: bytes::Bytes) -> Result<()> {
        let rows = message
            .header_as_record_batch()
            .ok_or_else(|| malformed("a record batch has no header"))?;
        check::rows(rows, &self.sent, message.version(), &body, self.max_message)?;
        // Buffers that happen to be aligned are used where they are; only the others are copied.
        let body = Buffer::from(body);
        let batch = RecordBatchDecoder::try_new(
            &body,
            rows,
            Arc::clone(&self.sent),
            &self.dictionaries,
            &message.version(),
        )
        .and_then(RecordBatchDecoder::read_record_batch)
        .map_err(|error| arrow_error(&error))?;
        if self.sent == self.schema {
            self.pieces.push_back(batch);
        } else {
            // One long value behind many keys would unfold into any size.
            self.pieces.extend(split(
                &batch,
                self.max_message,
                self.max_message,
                Dictionaries::Hydrated,
            )?);
        }
        Ok(())
    }

    fn read_dictionary(&mut self, message: &Message<'_>, body: bytes::Bytes) -> Result<()> {
        let dictionary = message
            .header_as_dictionary_batch()
            .ok_or_else(|| malformed("a dictionary has no header"))?;
        check::dictionary(dictionary, &self.sent, message.version(), &body, self.max_message)?;
        read_dictionary_impl(
            &Buffer::from(body),
            dictionary,
            &self.sent,
            &mut self.dictionaries,
            &message.version(),
            false,
            Default::default(),
        )
        .map_err(|error| arrow_error(&error))?;
        let held: usize = self.dictionaries.values().map(|values| array_bytes(values)).sum();
        if held > self.max_message.saturating_mul(2) {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                "the dictionaries of the upload are too large together: send these columns as plain values",
            ));
        }
        Ok(())
    }

    /// The next rows that are there.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let Some(piece) = self.pieces.pop_front() else {
            return Ok(None);
        };
        guarded(|| {
            cast_batch(&piece, &self.schema)
                .map_err(|error| malformed("a column cannot be unfolded").with_context("reason", error.to_string()))
        })
        .map(Some)
    }
}

fn parse(header: &[u8]) -> Result<Message<'_>> {
    arrow_ipc::root_as_message(header).map_err(|error| malformed(format!("a header cannot be read: {error}")))
}

fn read_schema(message: &Message<'_>) -> Result<Schema> {
    let schema = message
        .header_as_schema()
        .ok_or_else(|| malformed("the first message must be the schema, but it is something else"))?;
    if schema.endianness() != Endianness::Little {
        return Err(malformed("the data is big-endian; send it little-endian"));
    }
    if schema.fields().is_none() {
        return Err(malformed("the schema has no list of fields"));
    }
    Ok(arrow_ipc::convert::fb_to_schema(schema))
}

fn arrow_error(error: &ArrowError) -> Error {
    malformed("a record batch contradicts itself").with_context("reason", error.to_string())
}

/// Runs a decoder of `arrow-ipc`. It trusts its input in places and then panics; the checks before it leave no such input
/// that we know of, and this makes sure that one that we do not know of stays the sender's mistake.
fn guarded<T>(decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(malformed("it uses a type or a layout that cannot be read")))
}
