//! One batch to one message, without a copy of its rows.

use std::fmt;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow_flight::FlightData;
use arrow_ipc::root_as_message;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, StreamEncoder};
use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::any_type;
use crate::{Error, Result, WireProfile};

/// What stands before the metadata of a message in an IPC stream, and not in Flight: a marker and the metadata's length.
const MARKER: [u8; 4] = [0xFF; 4];

/// Pieces below this size are joined: a copy costs less than a frame of HTTP/2 of its own.
const SMALL_PIECE: usize = 16 * 1024;

/// What a `FlightData` of an answer holds, with the body in pieces: large ones are the buffers of the arrays themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StreamMessage {
    /// The metadata of the IPC message.
    pub(crate) header: Bytes,
    /// The body of the IPC message.
    pub(crate) body: Vec<Bytes>,
    /// What the application says about the message.
    pub(crate) metadata: Bytes,
}

impl StreamMessage {
    /// Length of the body in bytes.
    pub(crate) fn body_len(&self) -> usize {
        self.body.iter().map(Bytes::len).sum()
    }
}

impl From<StreamMessage> for FlightData {
    /// Joins the pieces.
    fn from(message: StreamMessage) -> Self {
        let mut body = BytesMut::with_capacity(message.body_len());
        for piece in &message.body {
            body.put_slice(piece);
        }
        Self {
            data_header: message.header,
            data_body: body.freeze(),
            app_metadata: message.metadata,
            ..Self::default()
        }
    }
}

/// Encodes the messages of one stream.
pub(crate) struct MessageEncoder {
    schema: SchemaRef,
    options: IpcWriteOptions,
    encoder: StreamEncoder,
    /// Whether rows come with messages for their dictionaries.
    dictionaries: bool,
    /// Whether the encoder will give the schema's message again.
    starts: bool,
}

impl MessageEncoder {
    /// An encoder of batches of one schema.
    pub(crate) fn new(profile: WireProfile, schema: SchemaRef) -> Result<Self> {
        let options = profile.ipc_options()?;
        let mut encoder = StreamEncoder::try_new_with_options(&schema, options.clone()).map_err(not_encodable)?;
        let dictionaries = has_dictionaries(&schema);
        if !dictionaries {
            // The first call also gives the schema's message. With dictionaries that is left to the first rows, since the
            // encoder would remember empty dictionaries as sent.
            encoder
                .encode(&RecordBatch::new_empty(SchemaRef::clone(&schema)))
                .map_err(not_encodable)?;
        }
        Ok(Self {
            schema,
            options,
            encoder,
            dictionaries,
            starts: dictionaries,
        })
    }

    /// The first message, which has to be made even if no rows come.
    pub(crate) fn schema(&self) -> StreamMessage {
        let mut dictionaries = DictionaryTracker::new(false);
        let encoded = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
            &self.schema,
            &mut dictionaries,
            &self.options,
        );
        StreamMessage {
            header: encoded.ipc_message.into(),
            ..StreamMessage::default()
        }
    }

    /// The messages for a batch of wire types: dictionaries that the client has not got yet, then the rows.
    pub(crate) fn rows(&mut self, batch: &RecordBatch) -> Result<Vec<StreamMessage>> {
        let buffers = self.encoder.encode(batch).map_err(not_encodable)?;
        let mut buffers = buffers.into_iter().map(|buffer| Bytes::from_owner(Shared(buffer)));
        if !self.dictionaries {
            let header = header(&mut buffers)?.ok_or_else(not_a_message)?;
            return Ok(vec![StreamMessage {
                header,
                body: join_small(buffers),
                ..StreamMessage::default()
            }]);
        }
        let mut messages = Vec::new();
        while let Some(header) = header(&mut buffers)? {
            let declared = root_as_message(&header)
                .map_err(|error| not_a_message().with_source(error.to_string()))?
                .bodyLength();
            let body = body(&mut buffers, usize::try_from(declared).map_err(|_| not_a_message())?)?;
            if !std::mem::take(&mut self.starts) {
                messages.push(StreamMessage {
                    header,
                    body,
                    ..StreamMessage::default()
                });
            }
        }
        Ok(messages)
    }
}

/// Whether a type has a dictionary anywhere.
pub(crate) fn has_dictionaries(schema: &Schema) -> bool {
    let dictionary = |data_type: &DataType| matches!(data_type, DataType::Dictionary(_, _));
    let mut fields = schema.fields().iter();
    fields.any(|field| any_type(field.data_type(), &dictionary))
}

/// The metadata of the message that an IPC stream's next bytes are; none at its end.
fn header(buffers: &mut impl Iterator<Item = Bytes>) -> Result<Option<Bytes>> {
    let mut header = BytesMut::new();
    let mut length = None;
    while length.is_none_or(|length| header.len() < length) {
        let Some(buffer) = buffers.next() else {
            return if header.is_empty() {
                Ok(None)
            } else {
                Err(not_a_message())
            };
        };
        header.put_slice(&buffer);
        if length.is_none()
            && let Some((&MARKER, rest)) = header.split_first_chunk()
            && let Some(declared) = rest.first_chunk()
        {
            let declared = usize::try_from(i32::from_le_bytes(*declared)).map_err(|_| not_a_message())?;
            length = Some(declared + 8);
        }
    }
    if length != Some(header.len()) {
        return Err(not_a_message());
    }
    Ok(Some(header.freeze().slice(8..)))
}

/// The buffers that make up a body of a length.
fn body(buffers: &mut impl Iterator<Item = Bytes>, length: usize) -> Result<Vec<Bytes>> {
    let mut pieces = Vec::new();
    let mut taken = 0;
    while taken < length {
        let buffer = buffers.next().ok_or_else(not_a_message)?;
        taken += buffer.len();
        pieces.push(buffer);
    }
    if taken != length {
        return Err(not_a_message());
    }
    Ok(join_small(pieces.into_iter()))
}

/// A buffer of an array, as an owner of bytes.
struct Shared(Buffer);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// The same bytes in fewer pieces.
fn join_small(buffers: impl Iterator<Item = Bytes>) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut small = BytesMut::new();
    for buffer in buffers {
        if buffer.len() < SMALL_PIECE {
            small.put_slice(&buffer);
        } else {
            pieces.extend((!small.is_empty()).then(|| small.split().freeze()));
            pieces.push(buffer);
        }
    }
    pieces.extend((!small.is_empty()).then(|| small.freeze()));
    pieces
}

fn not_encodable(error: arrow::error::ArrowError) -> Error {
    Error::internal("rows cannot be encoded").with_source(error)
}

fn not_a_message() -> Error {
    Error::internal("the encoder gave bytes that are no message")
}

impl fmt::Debug for MessageEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageEncoder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
