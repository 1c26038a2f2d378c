//! Files of intermediate results: where they are, how much of them all statements and each one may have, and that none is left
//! of a process that was killed.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::common::DataFusionError;
use datafusion::execution::disk_manager::{DiskManager, DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::spill_file::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;
use tempfile::TempDir;

use crate::budget::Usage;
use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// What the folders of processes begin with.
const PREFIX: &str = "jetway-spill-";

/// A file in each folder that is locked as long as its process lives.
const LOCK: &str = "lock";

/// The folder of this process, and all files in it. Cheap to clone; it is removed with the last clone.
#[derive(Debug, Clone)]
pub(crate) struct SpillFolder {
    files: Arc<DiskManager>,
    _folder: Arc<Folder>,
}

#[derive(Debug)]
struct Folder {
    // Removed before the lock is given up.
    _dir: TempDir,
    _lock: File,
}

impl SpillFolder {
    /// Makes a folder in a folder, or in the system's one for temporary files, and removes those of processes that are dead.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be made.
    pub(crate) fn open(parent: Option<&Path>, limit: u64) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, PathBuf::from);
        let failed = |error: io::Error| {
            Error::new(
                ErrorKind::Unavailable,
                "the folder for intermediate results cannot be used; see query.spill_dir",
            )
            .with_source(error)
        };
        std::fs::create_dir_all(&parent).map_err(failed)?;
        sweep(&parent);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&parent)
            .map_err(failed)?;
        let lock = File::create(dir.path().join(LOCK)).map_err(failed)?;
        lock.try_lock().map_err(|error| failed(error.into()))?;
        let files = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![dir.path().to_owned()]))
            .with_max_temp_directory_size(limit)
            .build()?;
        Ok(Self {
            files: Arc::new(files),
            _folder: Arc::new(Folder { _dir: dir, _lock: lock }),
        })
    }

    /// All files of this process together.
    pub(crate) fn files(&self) -> &Arc<DiskManager> {
        &self.files
    }

    /// The files of one statement, which has a limit of its own.
    pub(crate) fn share(&self, limit: u64, usage: &Usage) -> DiskManagerBuilder {
        DiskManagerBuilder::default().with_temp_file_factory(Arc::new(Share {
            folder: self.clone(),
            limit,
            usage: usage.clone(),
        }))
    }

    /// Bytes in files now.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.used_disk_space()
    }
}

/// Removes folders whose processes are gone.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // Without a lock file it is about to be made.
        let Ok(lock) = File::open(entry.path().join(LOCK)) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => {
                if let Err(error) = std::fs::remove_dir_all(entry.path()) {
                    tracing::warn!(%error, "intermediate results of a process that is gone cannot be removed");
                }
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => tracing::debug!(%error, "a lock cannot be looked at"),
        }
    }
}

/// What one statement may have of the folder.
struct Share {
    folder: SpillFolder,
    limit: u64,
    usage: Usage,
}

impl TempFileFactory for Share {
    fn create_temp_file(&self, description: &str) -> Result<Arc<dyn SpillFile>, DataFusionError> {
        Ok(Arc::new(SharedFile {
            file: self.folder.files.create_tmp_file(description)?,
            part: Arc::new(Part {
                bytes: AtomicU64::new(0),
                limit: self.limit,
                usage: self.usage.clone(),
            }),
            _folder: self.folder.clone(),
        }))
    }
}

/// What one file has of its statement's share, given back on drop.
struct Part {
    bytes: AtomicU64,
    limit: u64,
    usage: Usage,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.usage.removed(self.bytes.load(Ordering::Relaxed));
    }
}

struct SharedFile {
    file: Arc<dyn SpillFile>,
    part: Arc<Part>,
    _folder: SpillFolder,
}

impl SpillFile for SharedFile {
    fn path(&self) -> Option<&Path> {
        self.file.path()
    }

    fn size(&self) -> Option<u64> {
        self.file.size()
    }

    fn read_stream(
        &self,
    ) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes, DataFusionError>> + Send>>, DataFusionError> {
        self.file.read_stream()
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>, DataFusionError> {
        Ok(Box::new(SharedWriter {
            writer: self.file.open_writer()?,
            part: Arc::clone(&self.part),
        }))
    }
}

struct SharedWriter {
    writer: Box<dyn SpillWriter>,
    part: Arc<Part>,
}

impl Write for SharedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.part.usage.spilled_now().saturating_add(bytes.len() as u64) > self.part.limit {
            return Err(io::Error::other(TooMuchDisk));
        }
        let written = self.writer.write(bytes)?;
        self.part.bytes.fetch_add(written as u64, Ordering::Relaxed);
        self.part.usage.wrote(written as u64);
        metrics::counter!("jetway_spilled_bytes_total").increment(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl SpillWriter for SharedWriter {
    fn finish(&mut self) -> Result<(), DataFusionError> {
        self.writer.finish()
    }
}

/// The statement's own limit was reached.
#[derive(Debug)]
pub(crate) struct TooMuchDisk;

impl TooMuchDisk {
    /// What the message says, which is all that is left of the error when it comes out of the engine.
    pub(crate) const MESSAGE: &str = "the share of the disk of one statement is used up";
}

impl fmt::Display for TooMuchDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MESSAGE)
    }
}

impl std::error::Error for TooMuchDisk {}
