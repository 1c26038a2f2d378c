//! Rows of a JSON text, one after the other.

use std::io::{BufRead, Read};

use serde::de::IgnoredAny;

use super::scan::{Position, Scanner};
use super::{Layout, bad, feature, not_json};
use crate::read::ReadOptions;
use crate::read::bytes::cannot_read;
use crate::{Error, Result};

/// One row at a time, each a valid JSON object.
pub(super) struct Rows<R> {
    objects: Objects<R>,
    features: bool,
    limit: usize,
    feature: Vec<u8>,
}

enum Objects<R> {
    Lines {
        input: R,
        line: u64,
    },
    Array {
        scanner: Scanner<R>,
        path: Vec<String>,
        state: State,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Within { first: bool },
    Behind,
}

impl<R: BufRead> Rows<R> {
    pub(super) fn new(input: R, layout: &Layout, features: bool, options: &ReadOptions) -> Self {
        let limit = options.max_record_bytes;
        let objects = match layout {
            Layout::Lines => Objects::Lines { input, line: 0 },
            Layout::Array(path) => Objects::Array {
                scanner: Scanner::new(input, limit),
                path: path.clone(),
                state: State::Before,
            },
        };
        Self {
            objects,
            features,
            limit,
            feature: Vec::new(),
        }
    }

    /// Appends the next row, if there is one, and says where it came from.
    pub(super) fn next(&mut self, row: &mut Vec<u8>) -> Result<Option<Position>> {
        if !self.features {
            let start = row.len();
            let position = self.objects.next(row, self.limit)?;
            return position
                .map(|position| check(row.get(start..).unwrap_or_default(), position))
                .transpose();
        }
        self.feature.clear();
        let Some(position) = self.objects.next(&mut self.feature, self.limit)? else {
            return Ok(None);
        };
        check(&self.feature, position)?;
        feature::append_row(&self.feature, row).map_err(|error| position.told_in(error))?;
        Ok(Some(position))
    }
}

fn check(text: &[u8], position: Position) -> Result<Position> {
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(position.told_in(bad("a row is not an object")));
    }
    serde_json::from_slice::<IgnoredAny>(text.trim_ascii_end()).map_err(|error| not_json(&error, position))?;
    Ok(position)
}

impl<R: BufRead> Objects<R> {
    fn next(&mut self, out: &mut Vec<u8>, limit: usize) -> Result<Option<Position>> {
        match self {
            Self::Lines { input, line } => next_line(input, line, out, limit),
            Self::Array { scanner, path, state } => {
                let mut first = match state {
                    State::Before => {
                        enter(scanner, path)?;
                        true
                    }
                    State::Within { first } => *first,
                    State::Behind => return Ok(None),
                };
                if scanner.more(b']', &mut first)? {
                    *state = State::Within { first };
                    scanner.peek()?;
                    let position = scanner.position();
                    scanner.value(out)?;
                    return Ok(Some(position));
                }
                *state = State::Behind;
                leave(scanner, path)?;
                Ok(None)
            }
        }
    }
}

fn next_line<R: BufRead>(input: &mut R, line: &mut u64, out: &mut Vec<u8>, limit: usize) -> Result<Option<Position>> {
    let start = out.len();
    loop {
        out.truncate(start);
        // One byte more shows that a line is too long.
        let count = input
            .by_ref()
            .take(limit as u64 + 1)
            .read_until(b'\n', out)
            .map_err(cannot_read)?;
        *line += 1;
        let position = Position { line: *line, byte: 1 };
        if count == 0 {
            return Ok(None);
        }
        if count > limit {
            return Err(too_long(position, limit));
        }
        if !out.get(start..).unwrap_or_default().trim_ascii().is_empty() {
            return Ok(Some(position));
        }
    }
}

fn too_long(position: Position, limit: usize) -> Error {
    let error = bad("a line is longer than lines may be; is it one object per line?");
    position.told_in(error).with_context("limit in bytes", limit)
}

/// Goes into the array under the names.
fn enter<R: BufRead>(scanner: &mut Scanner<R>, path: &[String]) -> Result<()> {
    for (depth, name) in path.iter().enumerate() {
        scanner.expect(b'{', "an object")?;
        let mut first = true;
        loop {
            if !scanner.more(b'}', &mut first)? {
                return Err(scanner
                    .bad("the document does not have the array of rows")
                    .with_context("path", path.get(..=depth).unwrap_or_default().join(".")));
            }
            if scanner.name()? == *name {
                break;
            }
            scanner.skip()?;
        }
    }
    if scanner.peek()? == Some(b'{') {
        return Err(scanner.bad(
            "an array of objects is expected, but an object comes; give the path to the array, or read one object per line as NdJson",
        ));
    }
    scanner.expect(b'[', "an array of objects")
}

/// Goes to the end of the document, which shows whether it is whole.
fn leave<R: BufRead>(scanner: &mut Scanner<R>, path: &[String]) -> Result<()> {
    for _ in path {
        while scanner.more(b'}', &mut false)? {
            scanner.name()?;
            scanner.skip()?;
        }
    }
    match scanner.peek()? {
        None => Ok(()),
        Some(_) => Err(scanner.bad("something comes behind the end of the document")),
    }
}
