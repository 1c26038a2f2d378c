//! The names of things within a dataset's folder.

use std::time::Duration;

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{DatasetId, Multicodec, Multihash};
use crate::metadata::MetadataEvent;

/// [`crate::codec::MAX_BLOCK_SIZE`] as the size of a file.
pub(super) const MAX_BLOCK_SIZE: u64 = codec::MAX_BLOCK_SIZE as u64;

/// Largest `refs/head` or `info/alias` that is read, in bytes.
pub(super) const MAX_SIDE_FILE_SIZE: u64 = 4096;

/// Objects younger than this are not made young again by a writer that finds them. Well below the shortest grace period of
/// garbage collection.
pub(super) const YOUNG_FOR: Duration = Duration::from_secs(10 * 60);

/// Objects on a bucket younger than this count as held while a copy goes on to others: half of the shortest grace period. Older
/// ones are put again, which is the only way to make them young there.
pub(super) const HELD_FOR: Duration = Duration::from_secs(30 * 60);

/// Length of `refs/head`, in bytes.
const HEAD_LEN: usize = 69;

/// Where the head of the chain is named.
pub(super) const HEAD: (&str, &str) = ("refs", "head");

/// Where the dataset's name for people is.
pub(super) const ALIAS: (&str, &str) = ("info", "alias");

/// Every folder of a dataset.
pub(super) const FOLDERS: [&str; 5] = ["blocks", "data", "checkpoints", "refs", "info"];

/// What blocks refer to by hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObjectKind {
    /// A Parquet slice, or a file that a row links to.
    Data,
    /// The state of an engine or of an ingest.
    Checkpoint,
}

/// An object as a block names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NamedObject {
    /// What it is.
    pub kind: ObjectKind,
    /// SHA3-256 of its bytes.
    pub hash: Multihash,
    /// How many bytes it has, according to the block.
    pub size: u64,
}

impl NamedObject {
    /// The objects that an event adds to the dataset.
    pub fn introduced_by(event: &MetadataEvent) -> impl Iterator<Item = Self> + use<> {
        let data = event.new_data().map(|data| Self {
            kind: ObjectKind::Data,
            hash: data.physical_hash,
            size: data.size,
        });
        let checkpoint = event.new_checkpoint().map(|checkpoint| Self {
            kind: ObjectKind::Checkpoint,
            hash: checkpoint.physical_hash,
            size: checkpoint.size,
        });
        data.into_iter().chain(checkpoint)
    }
}

/// Everything that is named by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Content {
    Block,
    Object(ObjectKind),
}

impl ObjectKind {
    /// The folder that holds it in a dataset, and its part of a dataset's address.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Checkpoint => "checkpoints",
        }
    }
}

impl Content {
    /// The folder that holds it.
    pub(super) const fn folder(self) -> &'static str {
        match self {
            Self::Block => "blocks",
            Self::Object(kind) => kind.folder(),
        }
    }

    /// What to call it in a message.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Block => "the block",
            Self::Object(ObjectKind::Data) => "the data object",
            Self::Object(ObjectKind::Checkpoint) => "the checkpoint",
        }
    }
}

/// The path of something named by its hash.
pub(super) fn content_path(id: &DatasetId, content: Content, hash: &Multihash) -> Path {
    Path::from_iter([id.to_multibase(), content.folder().to_owned(), hash.to_string()])
}

/// The path of a named file, such as [`HEAD`].
pub(super) fn file_path(id: &DatasetId, (folder, name): (&str, &str)) -> Path {
    Path::from_iter([id.to_multibase().as_str(), folder, name])
}

/// The dataset that a folder's name stands for; other folders are not ours to touch.
pub(super) fn parse_folder_name(name: &str) -> Option<DatasetId> {
    // Other spellings of the same key are foreign names: each dataset has one folder.
    DatasetId::from_multibase(name)
        .ok()
        .filter(|id| id.to_multibase() == name)
}

/// Reads `refs/head`.
///
/// # Errors
/// `Malformed` unless it is exactly the 69 characters of a SHA3-256 multihash.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Multihash> {
    let malformed = |reason: &str| {
        Error::malformed(format!(
            "refs/head {reason}; it must be exactly the {HEAD_LEN} characters of a block's hash, such as f1620..., without a line break"
        ))
    };
    if bytes.len() != HEAD_LEN {
        let reason = if bytes.ends_with(b"\n") {
            "ends in a line break"
        } else {
            "has the wrong length"
        };
        return Err(malformed(reason).with_context("length", bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| malformed("is not text").with_source(error))?;
    let hash: Multihash = text
        .parse()
        .map_err(|error: Error| malformed("is not a hash").with_source(error))?;
    if hash.codec() != Multicodec::Sha3_256 {
        return Err(malformed("is a hash of another kind").with_context("codec", hash.codec().name()));
    }
    Ok(hash)
}

/// What to say of a file that is larger than anything that belongs there.
pub(super) fn too_large(limit: u64) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "the file is larger than anything that belongs under its name",
    )
    .with_context("limit", limit)
}
