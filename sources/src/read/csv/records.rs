//! Records of separated text, with the lines on which they begin.

use std::io::BufRead;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::Dialect;
use crate::read::bytes::cannot_read;
use crate::read::value::shorten;
use crate::{Error, ErrorKind, Result};

/// One record at a time, which stays until the next one is read.
pub(super) struct Records<R> {
    input: R,
    core: Reader,
    limit: usize,
    /// The line of the next byte.
    next_line: u64,
    line: u64,
    text: String,
    data: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
    again: bool,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R, dialect: Dialect, limit: usize) -> Self {
        let mut builder = ReaderBuilder::new();
        builder
            .delimiter(dialect.separator)
            .escape(dialect.escape)
            .quoting(dialect.quote.is_some())
            .quote(dialect.quote.unwrap_or(b'"'));
        Self {
            input,
            core: builder.build(),
            limit,
            next_line: 1,
            line: 0,
            text: String::new(),
            data: vec![0; 1024],
            ends: vec![0; 16],
            fields: 0,
            again: false,
        }
    }

    /// Goes to the next record, if there is one.
    pub(super) fn next(&mut self) -> Result<bool> {
        if std::mem::take(&mut self.again) {
            return Ok(true);
        }
        self.skip_line_ends()?;
        self.line = self.next_line;
        let (mut written, mut fields) = (0, 0);
        let mut begun = false;
        loop {
            let input = self.input.fill_buf().map_err(cannot_read)?;
            let ended = input.is_empty();
            if ended && !begun {
                return Ok(false);
            }
            begun = true;
            // A line's end in the end shows whether a quote is open: only then the record goes on.
            let input = if ended { b"\n".as_slice() } else { input };
            let (result, read, wrote, ended_fields) = self.core.read_record(
                input,
                self.data.get_mut(written..).unwrap_or_default(),
                self.ends.get_mut(fields..).unwrap_or_default(),
            );
            written += wrote;
            fields += ended_fields;
            if !ended {
                let lines = input.get(..read).unwrap_or_default();
                self.next_line += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.input.consume(read);
            }
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::InputEmpty | ReadRecordResult::End if ended => {
                    return Err(self.bad("a quote is opened but not closed before the end of the file"));
                }
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
                ReadRecordResult::OutputFull if self.data.len() < self.limit => {
                    self.data.resize((self.data.len() * 2).min(self.limit), 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < self.limit => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(self
                        .bad("a record is larger than records may be; is a quote not closed?")
                        .with_context("limit in bytes", self.limit));
                }
            }
        }
        self.fields = fields;
        self.text.clear();
        let data = self.data.get(..written).unwrap_or_default();
        match std::str::from_utf8(data) {
            Ok(text) => self.text.push_str(text),
            Err(_) => return Err(self.bad("an escape character stands within another character")),
        }
        Ok(true)
    }

    /// Gives the present record once more.
    pub(super) fn again(&mut self) {
        self.again = true;
    }

    /// Texts of the present record.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        let ends = self.ends.get(..self.fields).unwrap_or_default();
        ends.iter().scan(0, |start, end| {
            let text = self.text.get(*start..*end);
            *start = *end;
            text
        })
    }

    /// The line on which the present record begins, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The present record for a message.
    pub(super) fn shown(&self) -> String {
        shorten(&self.fields().collect::<Vec<_>>().join(" | "))
    }

    fn skip_line_ends(&mut self) -> Result<()> {
        loop {
            let input = self.input.fill_buf().map_err(cannot_read)?;
            let ends = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
            let (count, lines) = ends.fold((0, 0), |(count, lines), byte| {
                (count + 1, lines + u64::from(*byte == b'\n'))
            });
            let go_on = count > 0 && count == input.len();
            self.input.consume(count);
            self.next_line += lines;
            if !go_on {
                return Ok(());
            }
        }
    }

    fn bad(&self, message: &str) -> Error {
        Error::new(ErrorKind::BadData, message).with_context("line", self.line)
    }
}
