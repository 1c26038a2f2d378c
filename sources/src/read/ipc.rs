//! Arrow IPC, message by message.
//!
//! A file is a stream between a magic word and a footer, and is read as one: the footer is for those who want to jump. A
//! length is believed only as far as bytes arrive, because the decoder takes memory for what a message claims to be.

use std::io::{self, Read};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::root_as_message;

/// First and last bytes of a file, as opposed to a stream.
const MAGIC: &[u8; 6] = b"ARROW1";
/// The magic word and what fills it up.
const FILE_HEAD: usize = 8;

/// In front of the length of a message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Most bytes of a message's description, which grows with the columns.
const MAX_DESCRIPTION: usize = 64 << 20;
/// Most bytes of a message's values, as they come and unpacked.
const MAX_BODY: u64 = 1 << 31;

/// Batches of a stream or a file.
pub(super) struct IpcReader<R> {
    input: R,
    decoder: StreamDecoder,
    message: Buffer,
    is_file: bool,
    ended: bool,
    first: Option<RecordBatch>,
    schema: SchemaRef,
}

impl<R: Read> IpcReader<R> {
    /// Reads the schema.
    pub(super) fn new(mut input: R) -> Result<Self, ArrowError> {
        let mut head = Vec::new();
        input.by_ref().take(FILE_HEAD as u64).read_to_end(&mut head)?;
        let is_file = head.starts_with(MAGIC);
        let mut begun = if is_file { after_padding(&mut input)? } else { head };
        let mut reader = Self {
            input,
            decoder: StreamDecoder::new(),
            message: Buffer::default(),
            is_file,
            ended: false,
            first: None,
            schema: SchemaRef::new(arrow::datatypes::Schema::empty()),
        };
        loop {
            if let Some(schema) = reader.decoder.schema() {
                reader.schema = schema;
                return Ok(reader);
            }
            if reader.ended {
                return Err(malformed("there is no schema"));
            }
            let message = reader.next_message(&std::mem::take(&mut begun))?;
            reader.message = message;
            reader.first = reader.decode()?;
        }
    }

    pub(super) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        loop {
            if let Some(batch) = self.first.take() {
                return Ok(Some(batch));
            }
            if let Some(batch) = self.decode()? {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            self.message = self.next_message(&[])?;
        }
    }

    /// Decodes what is left of the message. A message without values is done when the next one is there.
    fn decode(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.decoder.decode(&mut self.message)
    }

    /// The next message with all its bytes. Some of them may have been read before.
    fn next_message(&mut self, begun: &[u8]) -> Result<Buffer, ArrowError> {
        let mut input = begun.chain(&mut self.input);
        let mut message = Vec::new();
        let mut length = read_array(&mut input)?;
        if length == CONTINUATION {
            message.extend(length);
            length = read_array(&mut input)?;
        }
        message.extend(length);
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length == 0 {
            self.ended = true;
            self.check_end()?;
            return Ok(Buffer::from_vec(message));
        }
        if length > MAX_DESCRIPTION {
            return Err(malformed("the description of a message is too long"));
        }
        let start = message.len();
        read_more(&mut input, length as u64, &mut message)?;
        let description = message.get(start..).unwrap_or_default();
        let described =
            root_as_message(description).map_err(|_| malformed("the description of a message is damaged"))?;
        let body_length = u64::try_from(described.bodyLength()).unwrap_or(u64::MAX);
        if body_length > MAX_BODY {
            return Err(malformed("a message is too long"));
        }
        let mut body = Vec::new();
        read_more(&mut input, body_length, &mut body)?;
        let rows = described
            .header_as_record_batch()
            .or_else(|| described.header_as_dictionary_batch()?.data());
        if let Some(rows) = rows {
            check_unpacked(rows, &body)?;
        }
        message.extend_from_slice(&body);
        Ok(Buffer::from_vec(message))
    }

    /// Nothing may come behind a stream, and a footer must come in a file.
    fn check_end(&mut self) -> Result<(), ArrowError> {
        let mut tail = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let count = self.input.read(&mut piece)?;
            if count == 0 {
                break;
            }
            tail.extend_from_slice(piece.get(..count).unwrap_or_default());
            let surplus = tail.len().saturating_sub(MAGIC.len());
            tail.drain(..surplus);
        }
        match self.is_file {
            true if tail != MAGIC => Err(malformed("the footer is cut off")),
            false if !tail.is_empty() => Err(malformed("something comes behind the end of the stream")),
            _ => Ok(()),
        }
    }
}

impl<R: Read> Iterator for IpcReader<R> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

/// Writers fill up the magic word with zeros to 8 bytes, or to more of them.
fn after_padding(input: &mut impl Read) -> Result<Vec<u8>, ArrowError> {
    loop {
        let word: [u8; 4] = read_array(input)?;
        if word != [0; 4] {
            return Ok(word.to_vec());
        }
    }
}

/// Packed buffers say in front how long they will be.
fn check_unpacked(rows: arrow::ipc::RecordBatch<'_>, body: &[u8]) -> Result<(), ArrowError> {
    if rows.compression().is_none() {
        return Ok(());
    }
    let mut left = MAX_BODY;
    for buffer in rows.buffers().into_iter().flatten() {
        let start = usize::try_from(buffer.offset()).ok();
        let claim = start
            .and_then(|start| body.get(start..)?.first_chunk())
            .map(|bytes| i64::from_le_bytes(*bytes));
        match claim {
            _ if buffer.length() == 0 => {}
            // Not packed after all.
            Some(-1) => {}
            Some(claim) => {
                let rest = u64::try_from(claim).ok().and_then(|claim| left.checked_sub(claim));
                left = rest.ok_or_else(|| malformed("a message is too long when it is unpacked"))?;
            }
            None => return Err(malformed("a buffer lies outside of its message")),
        }
    }
    Ok(())
}

fn read_array<const LENGTH: usize>(input: &mut impl Read) -> Result<[u8; LENGTH], ArrowError> {
    let mut bytes = [0; LENGTH];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Takes memory only as bytes arrive.
fn read_more(input: &mut impl Read, count: u64, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    if (input.take(count).read_to_end(out)? as u64) < count {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(())
}

fn malformed(message: &str) -> ArrowError {
    ArrowError::IpcError(message.to_owned())
}
