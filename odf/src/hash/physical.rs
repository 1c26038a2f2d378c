//! Hash and length of a file while it is written.

use std::io::{self, Write};

use sha3::{Digest, Sha3_256};

use crate::identity::Multihash;

/// Passes bytes on to a writer and hashes them on the way.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hasher: Sha3_256,
    size: u64,
}

/// What a [`HashingWriter`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashedFile {
    /// SHA3-256 of the bytes: the file's name in a dataset.
    pub hash: Multihash,
    /// Number of bytes.
    pub size: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Wraps a writer to which nothing has been written yet.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            hasher: Sha3_256::new(),
            size: 0,
        }
    }

    /// Number of bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives the writer back, with the hash and the length of all that was written. Does not flush.
    pub fn finish(self) -> (W, HashedFile) {
        let hash = Multihash::from_sha3_256_digest(self.hasher.finalize().into());
        (self.inner, HashedFile { hash, size: self.size })
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or(bytes));
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
