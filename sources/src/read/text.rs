//! Bytes of some encoding as UTF-8.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};

use super::bytes::Failure;
use crate::{Error, ErrorKind, Result};

const BUFFER: usize = 64 << 10;

/// The encoding of a name, which is that of the WHATWG standard; `latin1` means `windows-1252` there. UTF-8 when absent.
pub(super) fn encoding(label: Option<&str>) -> Result<&'static Encoding> {
    let Some(label) = label else { return Ok(UTF_8) };
    let name = label.to_ascii_lowercase().replace('_', "-");
    let name = match name.as_str() {
        "utf16" => "utf-16",
        "utf16le" => "utf-16le",
        "utf16be" => "utf-16be",
        name => name,
    };
    Encoding::for_label(name.as_bytes()).ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidSource,
            "the encoding is not known; give one such as utf-8, utf-16, latin1 or windows-1251",
        )
        .with_context("encoding", label)
    })
}

/// Decodes strictly: bytes that the encoding does not have are an error. A byte order mark is left out, and decides over the
/// encoding if it is there.
pub(super) struct Decoded {
    input: Box<dyn Read>,
    decoder: Decoder,
    raw: Vec<u8>,
    raw_range: (usize, usize),
    text: Vec<u8>,
    text_range: (usize, usize),
    ended: bool,
    line: u64,
    failure: Failure,
}

impl Decoded {
    pub(super) fn new(input: Box<dyn Read>, encoding: &'static Encoding, failure: Failure) -> Self {
        Self {
            input,
            decoder: encoding.new_decoder(),
            raw: vec![0; BUFFER],
            raw_range: (0, 0),
            text: vec![0; BUFFER],
            text_range: (0, 0),
            ended: false,
            line: 1,
            failure,
        }
    }

    fn decode(&mut self) -> io::Result<()> {
        let (mut start, mut end) = self.raw_range;
        if start == end {
            (start, end) = (0, self.input.read(&mut self.raw)?);
        }
        let last = end == 0;
        let raw = self.raw.get(start..end).unwrap_or_default();
        let (result, read, written) = self
            .decoder
            .decode_to_utf8_without_replacement(raw, &mut self.text, last);
        self.raw_range = (start + read, end);
        self.text_range = (0, written);
        let text = self.text.get(..written).unwrap_or_default();
        self.line += text.iter().filter(|byte| **byte == b'\n').count() as u64;
        match result {
            DecoderResult::InputEmpty => self.ended = last,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => {
                let error = Error::new(
                    ErrorKind::BadData,
                    "the text has bytes that its encoding does not have; give the right encoding",
                );
                return Err(self.failure.keep(
                    error
                        .with_context("encoding", self.decoder.encoding().name())
                        .with_context("line", self.line),
                ));
            }
        }
        Ok(())
    }
}

impl BufRead for Decoded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.text_range.0 == self.text_range.1 && !self.ended {
            self.decode()?;
        }
        Ok(self.text.get(self.text_range.0..self.text_range.1).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.text_range.0 = self.text_range.1.min(self.text_range.0 + amount);
    }
}

impl Read for Decoded {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(out)?;
        self.consume(count);
        Ok(count)
    }
}
