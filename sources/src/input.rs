//! Bytes on their way from a fetch to a reader.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use futures::stream::BoxStream;
use tempfile::TempPath;

use crate::Result;

/// Bytes of one file of a source.
#[derive(Debug)]
pub struct Input {
    /// What it is called in messages: a file name, or a URL without secrets.
    pub name: String,
    /// The bytes.
    pub content: Content,
}

/// Where the bytes are.
pub enum Content {
    /// In a file that belongs to somebody else.
    File(PathBuf),
    /// In a file that is deleted with this.
    Temporary(TempPath),
    /// On their way. They can be read once, and end with an error if they are cut off.
    Stream(BoxStream<'static, Result<Bytes>>),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Temporary(path) => f.debug_tuple("Temporary").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}
