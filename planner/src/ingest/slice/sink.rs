//! Where a slice's bytes go: memory while they are few, then a file.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use jetway_odf::hash::HashingWriter;
use jetway_odf::identity::Multihash;
use jetway_odf::storage::{DatasetStorage, ObjectSource, PendingFile};
use tokio::runtime::Handle;

use crate::Result;

/// Slices up to this size never touch a temporary file.
const MEMORY_BYTES: usize = 4 * 1024 * 1024;

/// Collects and hashes the bytes of a slice. Blocks when it writes to a file.
#[derive(Debug)]
pub(super) struct Sink {
    inner: HashingWriter<Spool>,
}

#[derive(Debug)]
struct Spool {
    storage: DatasetStorage,
    memory: Vec<u8>,
    file: Option<BufWriter<PendingFile>>,
}

impl Sink {
    pub(super) fn new(storage: DatasetStorage) -> Self {
        Self {
            inner: HashingWriter::new(Spool {
                storage,
                memory: Vec::new(),
                file: None,
            }),
        }
    }

    /// The bytes and their hash.
    pub(super) fn finish(self) -> Result<(ObjectSource, Multihash)> {
        let (spool, hashed) = self.inner.finish();
        let source = match spool.file {
            None => ObjectSource::Bytes(Bytes::from(spool.memory)),
            Some(file) => {
                let file = file
                    .into_inner()
                    .map_err(|error| jetway_odf::Error::from(error.into_error()))?;
                ObjectSource::File {
                    file,
                    size: hashed.size,
                }
            }
        };
        Ok((source, hashed.hash))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.memory.len() + bytes.len() > MEMORY_BYTES {
            // Files are written on threads that may block, where waiting for another such thread is fine.
            let file = Handle::current()
                .block_on(self.storage.new_pending_file())
                .map_err(io::Error::other)?;
            let mut file = BufWriter::new(file);
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes)?,
            None => self.memory.extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}
