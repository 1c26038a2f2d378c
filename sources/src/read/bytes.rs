//! An input as something that blocking readers can read.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream::BoxStream;
use tempfile::{NamedTempFile, TempPath};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

use super::ReadOptions;
use crate::{Content, Error, ErrorKind, Input, Result};

/// An input, and who waits for its rows.
pub(super) struct Source {
    content: Content,
    rows: Sender<Result<RecordBatch>>,
    runtime: Handle,
    failure: Failure,
}

/// What an input failed with, kept aside because readers in between make texts of errors.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<Error>>>);

/// A file that can be read more than once.
#[derive(Clone)]
pub(super) struct Local {
    path: PathBuf,
    /// Deletes the file in the end.
    _temporary: Option<Arc<TempPath>>,
    rows: Sender<Result<RecordBatch>>,
}

impl Source {
    /// To be made within the runtime that drives the input's stream.
    pub(super) fn new(input: Input, rows: Sender<Result<RecordBatch>>) -> Self {
        Self {
            content: input.content,
            rows,
            runtime: Handle::current(),
            failure: Failure::default(),
        }
    }

    pub(super) fn failure(&self) -> Failure {
        self.failure.clone()
    }

    /// The bytes from front to back.
    pub(super) fn into_read(self) -> Result<Box<dyn Read>> {
        let local = |path, temporary, rows| {
            Local {
                path,
                _temporary: temporary,
                rows,
            }
            .read()
        };
        match self.content {
            Content::File(path) => local(path, None, self.rows),
            Content::Temporary(path) => local(path.to_path_buf(), Some(Arc::new(path)), self.rows),
            Content::Stream(stream) => Ok(Box::new(Arriving {
                stream,
                chunk: Bytes::new(),
                rows: self.rows,
                runtime: self.runtime,
                failure: self.failure,
            })),
        }
    }

    /// At most so many bytes, and those behind them.
    pub(super) fn into_read_after(self, count: usize) -> Result<(Vec<u8>, Box<dyn Read>)> {
        let mut bytes = self.into_read()?;
        let mut first = Vec::new();
        let mut limited = bytes.by_ref().take(count as u64);
        limited.read_to_end(&mut first).map_err(cannot_read)?;
        Ok((first, bytes))
    }

    /// The bytes in a file; what arrives is written to one first.
    pub(super) fn into_local(self, options: &ReadOptions) -> Result<Local> {
        let rows = self.rows.clone();
        let temporary = match self.content {
            Content::File(path) => {
                return Ok(Local {
                    path,
                    _temporary: None,
                    rows,
                });
            }
            Content::Temporary(path) => path,
            Content::Stream(_) => {
                let mut file = NamedTempFile::new_in(&options.temp_dir).map_err(cannot_write)?;
                copy(self.into_read()?, file.as_file_mut(), options.max_temp_bytes)?;
                file.into_temp_path()
            }
        };
        Ok(Local {
            path: temporary.to_path_buf(),
            _temporary: Some(Arc::new(temporary)),
            rows,
        })
    }
}

impl Local {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn open(&self) -> Result<File> {
        open(&self.path)
    }

    /// The bytes from front to back.
    pub(super) fn read(self) -> Result<Box<dyn Read>> {
        Ok(Box::new(While {
            file: self.open()?,
            local: self,
        }))
    }
}

impl Failure {
    /// Keeps the error, and gives one that carries no more than the fact.
    pub(super) fn keep(&self, error: Error) -> io::Error {
        let text = error.to_string();
        if let Ok(mut kept) = self.0.lock() {
            kept.get_or_insert(error);
        }
        io::Error::other(text)
    }

    pub(super) fn take(&self) -> Option<Error> {
        self.0.lock().ok()?.take()
    }
}

/// The bytes in a file without a name.
pub(super) fn spool(bytes: impl Read, options: &ReadOptions) -> Result<File> {
    let mut file = tempfile::tempfile_in(&options.temp_dir).map_err(cannot_write)?;
    copy(bytes, &mut file, options.max_temp_bytes)?;
    Ok(file)
}

/// Copies at most `limit` bytes, and fails if there are more. Gives their number.
pub(super) fn copy(mut from: impl Read, to: &mut File, limit: u64) -> Result<u64> {
    let mut buffer = vec![0; 64 << 10];
    let mut left = limit;
    loop {
        let count = from.read(&mut buffer).map_err(cannot_read)?;
        if count == 0 {
            to.rewind().map_err(cannot_write)?;
            return Ok(limit - left);
        }
        left = left.checked_sub(count as u64).ok_or_else(|| {
            Error::new(
                ErrorKind::ResourceExhausted,
                "the input is larger than what may be kept on disk while it is read; split it",
            )
            .with_context("limit in bytes", limit)
        })?;
        to.write_all(buffer.get(..count).unwrap_or_default())
            .map_err(cannot_write)?;
    }
}

pub(super) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(ErrorKind::NotFound, "the file is not there").with_source(error),
        _ => cannot_read(error),
    })
}

pub(super) fn cannot_read(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "the input cannot be read").with_source(error)
}

pub(super) fn cannot_write(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "a temporary file cannot be written; is there space?").with_source(error)
}

fn nobody_listens() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "nobody waits for the rows any more")
}

/// A file that is read while somebody waits for its rows.
struct While {
    file: File,
    local: Local,
}

impl Read for While {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.local.rows.is_closed() {
            return Err(nobody_listens());
        }
        self.file.read(out)
    }
}

/// A stream that is waited for while somebody waits for its rows.
struct Arriving {
    stream: BoxStream<'static, Result<Bytes>>,
    chunk: Bytes,
    rows: Sender<Result<RecordBatch>>,
    runtime: Handle,
    failure: Failure,
}

impl Read for Arriving {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            let (stream, rows) = (&mut self.stream, &self.rows);
            let next = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = rows.closed() => Err(nobody_listens()),
                    next = stream.next() => Ok(next),
                }
            });
            match next? {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => return Err(self.failure.keep(error)),
                None => return Ok(0),
            }
        }
        let count = self.chunk.len().min(out.len());
        self.chunk
            .split_to(count)
            .copy_to_slice(out.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}
