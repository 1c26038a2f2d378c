//! A walk through a JSON document that never holds more of it than the value that is asked for.

use std::io::BufRead;

use super::{bad, not_json};
use crate::read::bytes::cannot_read;
use crate::{Error, Result};

/// Where a text begins: line, and byte in the line, both from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) line: u64,
    pub(super) byte: u64,
}

impl Default for Position {
    fn default() -> Self {
        Self { line: 1, byte: 1 }
    }
}

impl Position {
    /// The place of a line and a byte of the text that begins here.
    pub(super) fn after(self, line: u64, byte: u64) -> Self {
        if line <= 1 {
            let byte = self.byte + byte.saturating_sub(1);
            Self { byte, ..self }
        } else {
            let line = self.line + line - 1;
            Self { line, byte }
        }
    }

    pub(super) fn told_in(self, error: Error) -> Error {
        error
            .with_context("line", self.line)
            .with_context("byte in line", self.byte)
    }

    fn advance(&mut self, bytes: &[u8]) {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.line += lines;
        match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => self.byte = (bytes.len() - last) as u64,
            None => self.byte += bytes.len() as u64,
        }
    }
}

/// Finds values by their brackets and quotes. Whether values are valid is for their reader to say.
pub(super) struct Scanner<R> {
    input: R,
    position: Position,
    limit: usize,
}

impl<R: BufRead> Scanner<R> {
    pub(super) fn new(input: R, limit: usize) -> Self {
        Self {
            input,
            position: Position::default(),
            limit,
        }
    }

    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// The next byte that is no white space, which stays.
    pub(super) fn peek(&mut self) -> Result<Option<u8>> {
        loop {
            let chunk = self.input.fill_buf().map_err(cannot_read)?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let blank = chunk.iter().take_while(|byte| is_blank(**byte)).count();
            let found = chunk.get(blank).copied();
            self.take(blank)?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// Goes over one byte.
    pub(super) fn expect(&mut self, byte: u8, what: &str) -> Result<()> {
        match self.peek()? {
            Some(found) if found == byte => self.take(1),
            Some(found) => {
                let found = char::from(found);
                Err(self.bad(&format!("{what} is expected, but '{}' comes", found.escape_default())))
            }
            None => Err(self.cut_off()),
        }
    }

    /// Whether one more member or item comes before the closing bracket; goes over what stands between.
    pub(super) fn more(&mut self, close: u8, first: &mut bool) -> Result<bool> {
        let next = self.peek()?.ok_or_else(|| self.cut_off())?;
        if next == close {
            self.take(1)?;
            return Ok(false);
        }
        if !std::mem::take(first) {
            self.expect(b',', "a comma or a closing bracket")?;
        }
        Ok(true)
    }

    /// The name of a member, and goes over its colon.
    pub(super) fn name(&mut self) -> Result<String> {
        if self.peek()? != Some(b'"') {
            return Err(self.bad("a name in quotes is expected"));
        }
        let start = self.position;
        let mut quoted = Vec::new();
        self.value(&mut quoted)?;
        let name = serde_json::from_slice(&quoted).map_err(|error| not_json(&error, start))?;
        self.expect(b':', "a colon")?;
        Ok(name)
    }

    /// Appends the text of the next value.
    pub(super) fn value(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.walk(Some(out))
    }

    /// Goes over the next value, however large.
    pub(super) fn skip(&mut self) -> Result<()> {
        self.walk(None)
    }

    fn walk(&mut self, mut out: Option<&mut Vec<u8>>) -> Result<()> {
        let first = self.peek()?.ok_or_else(|| self.cut_off())?;
        if b",:]}".contains(&first) {
            return Err(self.bad(&format!("a value is expected, but '{}' comes", char::from(first))));
        }
        let mut walk = Walk {
            scalar: !b"\"{[".contains(&first),
            ..Walk::default()
        };
        let mut length = 0;
        loop {
            let chunk = self.input.fill_buf().map_err(cannot_read)?;
            if chunk.is_empty() {
                return if walk.scalar { Ok(()) } else { Err(self.cut_off()) };
            }
            let (count, ended) = walk.advance(chunk);
            length += count;
            if let Some(out) = &mut out {
                if length > self.limit {
                    return Err(self
                        .bad("a value is larger than values may be")
                        .with_context("limit in bytes", self.limit));
                }
                out.extend_from_slice(chunk.get(..count).unwrap_or_default());
            }
            self.take(count)?;
            if ended {
                return Ok(());
            }
        }
    }

    /// Goes over bytes of what the input has at hand.
    fn take(&mut self, count: usize) -> Result<()> {
        let chunk = self.input.fill_buf().map_err(cannot_read)?;
        self.position.advance(chunk.get(..count).unwrap_or_default());
        self.input.consume(count);
        Ok(())
    }

    pub(super) fn bad(&self, message: &str) -> Error {
        self.position.told_in(bad(message))
    }

    fn cut_off(&self) -> Error {
        self.bad("the document ends too early; it may have been cut off")
    }
}

/// What is open at a place within a value.
#[derive(Debug, Default)]
struct Walk {
    scalar: bool,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Walk {
    /// How many bytes belong to the value, and whether it ends there.
    fn advance(&mut self, chunk: &[u8]) -> (usize, bool) {
        for (index, byte) in chunk.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => {
                        self.in_string = false;
                        if self.depth == 0 {
                            return (index + 1, true);
                        }
                    }
                    _ => {}
                }
                continue;
            }
            match byte {
                b',' | b':' | b']' | b'}' | b'{' | b'[' | b'"' if self.scalar => return (index, true),
                byte if self.scalar && is_blank(*byte) => return (index, true),
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return (index + 1, true);
                    }
                }
                _ => {}
            }
        }
        (chunk.len(), false)
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
