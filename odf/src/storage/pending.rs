//! Files on their way into a repository.

use std::fs::{File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tempfile::NamedTempFile;

use crate::error::Result;
use crate::identity::Multihash;
use crate::storage::layout::ObjectKind;

/// What the names of pending files start with; readers of a repository ignore them.
const PREFIX: &str = ".pending-";

/// How many random characters follow.
const RANDOM_LEN: usize = 16;

/// A pending file that nobody has written to for this long, and that no living process holds, is garbage.
const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);

/// A temporary file that a slice or checkpoint is written to before it is known by which hash it will go. It is deleted
/// when it is dropped, and after a crash when the repository is next opened.
///
/// The file is locked while this value lives, which tells other processes that it is in use.
#[derive(Debug)]
pub struct PendingFile {
    file: NamedTempFile,
}

impl PendingFile {
    /// Creates an empty file in `folder`. Blocks.
    pub(super) fn create_in(folder: &Path) -> io::Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(PREFIX)
            .rand_bytes(RANDOM_LEN)
            // It becomes an object of the repository, which others may read as far as the umask lets them.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        file.as_file().try_lock()?;
        Ok(Self { file })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The open file, for reading and writing.
    #[must_use]
    pub fn as_file(&self) -> &File {
        self.file.as_file()
    }

    /// Another handle with its own position, at the start, for a writer or reader that wants to own one. Blocks.
    ///
    /// # Errors
    /// `Io` if the file was removed.
    pub fn reopen(&self) -> Result<File> {
        Ok(self.file.reopen()?)
    }

    /// How many bytes have reached the file. Blocks.
    ///
    /// # Errors
    /// `Io`.
    pub fn size(&self) -> Result<u64> {
        Ok(self.file.as_file().metadata()?.len())
    }

    /// Gives the file its final name. Blocks. The folder is not synchronized.
    pub(super) fn persist(self, target: &Path) -> io::Result<()> {
        self.file.persist(target).map(drop).map_err(|error| error.error)
    }
}

impl Write for PendingFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

impl Seek for PendingFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.as_file_mut().seek(position)
    }
}

/// The bytes of an object.
#[derive(Debug)]
pub enum ObjectSource {
    /// In memory.
    Bytes(Bytes),
    /// In a temporary file, which is moved or uploaded.
    File {
        /// The file.
        file: PendingFile,
        /// How many bytes the writer wrote. It is compared with the file, because a buffer that was not flushed would
        /// otherwise make a damaged object.
        size: u64,
    },
}

impl ObjectSource {
    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }
}

impl From<Bytes> for ObjectSource {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// An object that becomes part of a dataset in a commit.
#[derive(Debug)]
pub struct PendingObject {
    /// What it is.
    pub kind: ObjectKind,
    /// SHA3-256 of its bytes.
    pub hash: Multihash,
    /// The bytes.
    pub source: ObjectSource,
}

/// Deletes pending files in `folder` that belong to dead processes. Blocks. What cannot be examined or deleted stays.
pub(super) fn sweep(folder: &Path, now: SystemTime) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_ours = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .is_some_and(|random| {
                random.len() == RANDOM_LEN && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
            });
        if is_ours && is_abandoned(&entry.path(), now).unwrap_or(false) {
            match std::fs::remove_file(entry.path()) {
                Ok(()) => tracing::info!(file.path = %entry.path().display(), "deleted what a dead process had left"),
                Err(error) => tracing::debug!(file.path = %entry.path().display(), %error, "a left-over file stays"),
            }
        }
    }
}

/// Age alone would take a file from a writer that waits, the lock alone one that was created a moment ago.
fn is_abandoned(path: &Path, now: SystemTime) -> io::Result<bool> {
    let metadata = std::fs::symlink_metadata(path)?;
    let is_old = now
        .duration_since(metadata.modified()?)
        .is_ok_and(|age| age >= ABANDONED_AFTER);
    Ok(metadata.is_file() && is_old && File::open(path)?.try_lock().is_ok())
}
