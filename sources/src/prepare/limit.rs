//! How much may come out of an archive.

use crate::fetch::FetchOptions;
use crate::{Error, ErrorKind, Result};

/// Bytes that may come out whatever went in.
const FREE: u64 = 64 << 20;

/// Counts what comes out.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    max_bytes: u64,
    max_ratio: u64,
    unpacked: u64,
}

impl Limit {
    pub(super) fn new(options: &FetchOptions) -> Self {
        Self {
            max_bytes: options.max_bytes,
            max_ratio: options.max_ratio,
            unpacked: 0,
        }
    }

    /// Counts bytes that came out of so many that went in so far.
    pub(super) fn add(&mut self, bytes: usize, packed: u64) -> Result<()> {
        self.unpacked = self.unpacked.saturating_add(bytes as u64);
        if self.unpacked > self.max_bytes {
            return Err(too_large(self.max_bytes));
        }
        if self.unpacked > packed.saturating_mul(self.max_ratio).max(FREE) {
            return Err(Error::new(
                ErrorKind::ResourceExhausted,
                "the archive unpacks to many times its size, more than the operator allows",
            )
            .with_context("limit of the ratio", self.max_ratio));
        }
        Ok(())
    }
}

pub(super) fn too_large(limit: u64) -> Error {
    Error::new(
        ErrorKind::ResourceExhausted,
        "the file is larger than the operator allows",
    )
    .with_context("limit in bytes", limit)
}
