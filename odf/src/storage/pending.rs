//! Files on their way into a repository.

use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tempfile::{NamedTempFile, TempPath};

use crate::error::Result;
use crate::identity::Multihash;
use crate::storage::layout::ObjectKind;

/// What the names of pending files start with; readers of a repository ignore them.
const PREFIX: &str = ".pending-";

/// How many random characters follow.
const RANDOM_LEN: usize = 16;

/// What the names of files start with that hold the first part of an object whose hash is known; the rest may come later.
const PARTIAL_PREFIX: &str = ".partial-";

/// A partial file that nobody has gone on with for this long is garbage.
const PARTIAL_ABANDONED_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often a partial file is opened anew because another process moved it away meanwhile.
const RESUME_ATTEMPTS: usize = 8;

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

    /// Opens the partial file `name` in `folder`, or creates it; `None` while somebody else holds it. It is kept when it is dropped. Blocks.
    pub(super) fn resume_in(folder: &Path, name: &str) -> io::Result<Option<Self>> {
        let path = folder.join(format!("{PARTIAL_PREFIX}{name}"));
        for _ in 0..RESUME_ATTEMPTS {
            let file = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Who held it before may have moved it into place: then this is an object and not to be written to.
            let (held, named) = (file.metadata()?, std::fs::symlink_metadata(&path));
            if named.is_ok_and(|named| named.is_file() && (named.dev(), named.ino()) == (held.dev(), held.ino())) {
                let mut file = NamedTempFile::from_parts(file, TempPath::try_from_path(&path)?);
                file.disable_cleanup(true);
                return Ok(Some(Self { file }));
            }
        }
        Ok(None)
    }

    /// Says whether the file stays when this value is dropped, so that a later attempt can go on with it.
    pub fn set_kept(&mut self, kept: bool) {
        self.file.disable_cleanup(kept);
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
        let Some(name) = name.to_str() else { continue };
        let is_random =
            |random: &str| random.len() == RANDOM_LEN && random.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let patience = match (name.strip_prefix(PREFIX), name.strip_prefix(PARTIAL_PREFIX)) {
            (Some(random), _) if is_random(random) => ABANDONED_AFTER,
            (None, Some(_)) => PARTIAL_ABANDONED_AFTER,
            _ => continue,
        };
        if is_abandoned(&entry.path(), patience, now).unwrap_or(false) {
            match std::fs::remove_file(entry.path()) {
                Ok(()) => tracing::info!(file.path = %entry.path().display(), "deleted what a dead process had left"),
                Err(error) => tracing::debug!(file.path = %entry.path().display(), %error, "a left-over file stays"),
            }
        }
    }
}

/// Age alone would take a file from a writer that waits, the lock alone one that was created a moment ago.
fn is_abandoned(path: &Path, patience: Duration, now: SystemTime) -> io::Result<bool> {
    let metadata = std::fs::symlink_metadata(path)?;
    let is_old = now
        .duration_since(metadata.modified()?)
        .is_ok_and(|age| age >= patience);
    Ok(metadata.is_file() && is_old && File::open(path)?.try_lock().is_ok())
}
