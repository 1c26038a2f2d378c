//! Small files of the node's own state: read often, changed seldom, by several processes.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind as IoErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// A JSON file that only its owner can read. Readers see a whole old or a whole new version; writers in other processes
/// wait for each other. The file is read again when it has changed, so a command line beside a running node is heard.
#[derive(Debug)]
pub(crate) struct StateFile<T> {
    path: PathBuf,
    cached: Mutex<Option<(Stamp, Arc<T>)>>,
}

/// Tells one version of a file from another: every version is a new inode, written at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    modified: (i64, i64),
    length: u64,
}

impl<T: Serialize + DeserializeOwned + Default + Clone> StateFile<T> {
    /// The file at a path; it need not be there yet, its folder must.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            cached: Mutex::new(None),
        }
    }

    /// The newest version; the default value while there is no file.
    pub(crate) fn read(&self) -> Result<Arc<T>> {
        let stamp = match fs::metadata(&self.path) {
            Ok(found) => Stamp {
                inode: found.ino(),
                modified: (found.mtime(), found.mtime_nsec()),
                length: found.size(),
            },
            Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(Arc::default()),
            Err(error) => return Err(Error::io("cannot look at a state file", &self.path, error)),
        };
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, value)) = cached.as_ref()
            && *known == stamp
        {
            return Ok(Arc::clone(value));
        }
        // Read after the stamp was taken: a version that appears in between is read again at the next call.
        let value = Arc::new(self.load()?);
        *cached = Some((stamp, Arc::clone(&value)));
        Ok(value)
    }

    /// Changes the newest version. When `change` fails nothing is written; when this returns, the change is durable.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        let lock_path = self.path.with_extension("lock");
        let lock = private_file()
            .truncate(false)
            .open(&lock_path)
            .map_err(|error| Error::io("cannot open a lock file", &lock_path, error))?;
        lock.lock()
            .map_err(|error| Error::io("cannot lock a state file", &lock_path, error))?;
        let mut value = self.load()?;
        let result = change(&mut value)?;
        let mut text = serde_json::to_vec_pretty(&value)
            .map_err(|error| Error::new(ErrorKind::Internal, "a state file cannot be encoded").with_source(error))?;
        text.push(b'\n');
        write_private(&self.path, &text)?;
        // The lock ends with the file handle.
        Ok(result)
    }

    fn load(&self) -> Result<T> {
        match fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::new(
                    ErrorKind::Corrupt,
                    "a state file is damaged; restore it from a backup or move it away",
                )
                .with_context("path", self.path.display())
                .with_source(error)
            }),
            Err(error) if error.kind() == IoErrorKind::NotFound => Ok(T::default()),
            Err(error) => Err(Error::io("cannot read a state file", &self.path, error)),
        }
    }
}

/// Makes a folder, and those above it, that only its owner can enter. One that is there already is left as it is.
pub(crate) fn create_private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| {
            Error::io(
                "cannot make the data folder; choose another one or its rights",
                path,
                error,
            )
        })
}

/// Replaces a file by one that only its owner can read: whole or not at all, and durable when this returns.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    place(path, bytes, |temporary| fs::rename(temporary, path))
}

/// Makes a file that only its owner can read, whole and durable, unless there is one already: that one stays as it is.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> Result<()> {
    place(path, bytes, |temporary| match fs::hard_link(temporary, path) {
        Err(error) if error.kind() != IoErrorKind::AlreadyExists => Err(error),
        _ => fs::remove_file(temporary),
    })
}

/// Writes a temporary file beside `path`, and lets `publish` give it its name.
fn place(path: &Path, bytes: &[u8], publish: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let failed = |error| Error::io("cannot write a state file", path, error);
    let temporary = path.with_extension(format!("{}.tmp", uuid::Uuid::new_v4().simple()));
    let written = (|| {
        let mut file = private_file().create_new(true).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        publish(&temporary)
    })();
    if let Err(error) = written {
        // The first error is the one that matters; a leftover is harmless.
        let _ = fs::remove_file(&temporary);
        return Err(failed(error));
    }
    // The new name is durable once the folder is.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}
