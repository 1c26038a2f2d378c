//! Repositories on a file system. Everything here blocks; callers run it off the async threads.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind as IoErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};
use crate::identity::{DatasetId, Multihash};
use crate::storage::head::HeadSwap;
use crate::storage::insert::Insert;
use crate::storage::layout::{self, Content, FOLDERS, HEAD, MAX_SIDE_FILE_SIZE, NamedObject};
use crate::storage::pending::{self, ObjectSource, PendingFile};

/// Held exclusively while `refs/head` moves. Outside of the folders that ODF software reads.
const LOCK_FILE: &str = ".lock";

/// A dataset that is being deleted: no longer under its name, not yet gone.
const DELETED_PREFIX: &str = ".deleted-";

/// A swap of the head takes milliseconds, so whoever holds the lock longer is stuck.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// A repository in a folder.
#[derive(Debug)]
pub(super) struct LocalRepository {
    root: PathBuf,
    /// Datasets whose folders this process has made durable.
    prepared: Mutex<HashSet<DatasetId>>,
}

/// An object or file that is durable under a pending name.
#[derive(Debug)]
pub(super) struct Staged {
    file: PendingFile,
    target: PathBuf,
}

/// A head to come that is durable under a pending name.
#[derive(Debug)]
pub(super) struct StagedHead {
    staged: Staged,
    new: Multihash,
}

impl LocalRepository {
    /// Opens the folder, creates it if it is not there, and cleans up after dead processes.
    pub(super) fn open(root: &Path) -> Result<Self> {
        create_folders(root)
            .and_then(|()| std::fs::canonicalize(root))
            .map_err(|error| {
                Error::new(ErrorKind::Io, "the repository's folder cannot be created or opened")
                    .with_context("path", root.display())
                    .with_source(error)
            })
            .map(|root| {
                let repository = Self {
                    root,
                    prepared: Mutex::new(HashSet::new()),
                };
                repository.sweep();
                repository
            })
    }

    /// Opens a folder that is there, and leaves everything in it as it is.
    pub(super) fn open_read_only(root: &Path) -> Result<Self> {
        let root = std::fs::canonicalize(root).map_err(|error| {
            let kind = match error.kind() {
                IoErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Io,
            };
            Error::new(kind, "the repository's folder cannot be opened")
                .with_context("path", root.display())
                .with_source(error)
        })?;
        Ok(Self {
            root,
            prepared: Mutex::new(HashSet::new()),
        })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn dataset_folder(&self, id: &DatasetId) -> PathBuf {
        self.root.join(id.to_multibase())
    }

    pub(super) fn content_path(&self, id: &DatasetId, content: Content, hash: &Multihash) -> PathBuf {
        self.dataset_folder(id).join(content.folder()).join(hash.to_string())
    }

    pub(super) fn file_path(&self, id: &DatasetId, (folder, name): (&str, &str)) -> PathBuf {
        self.dataset_folder(id).join(folder).join(name)
    }

    /// Creates a dataset's folders so that they outlive a power failure.
    pub(super) fn prepare(&self, id: &DatasetId) -> Result<()> {
        let folder = self.dataset_folder(id);
        // Another process may have deleted it since.
        if self.lock_prepared().contains(id) && folder.join(HEAD.0).is_dir() {
            return Ok(());
        }
        for name in FOLDERS {
            let path = folder.join(name);
            std::fs::create_dir_all(&path).map_err(|error| io_error("a folder cannot be created", &path, error))?;
        }
        // Also when the folders were there: whoever created them may have died before this.
        sync_folder(&folder)?;
        sync_folder(&self.root)?;
        self.lock_prepared().insert(*id);
        Ok(())
    }

    /// A file to write to, on the file system of the dataset.
    pub(super) fn new_pending_file(&self, id: &DatasetId) -> Result<PendingFile> {
        self.prepare(id)?;
        let folder = self.dataset_folder(id);
        PendingFile::create_in(&folder).map_err(|error| io_error("a temporary file cannot be created", &folder, error))
    }

    /// Whether an object is there with its size, and young.
    pub(super) fn holds(&self, id: &DatasetId, object: &NamedObject) -> Result<bool> {
        let path = self.content_path(id, Content::Object(object.kind), &object.hash);
        match std::fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len() == object.size && make_young(&path, &metadata).is_ok()),
            Err(error) if error.kind() == IoErrorKind::NotFound => Ok(false),
            Err(error) => Err(io_error("an object cannot be examined", &path, error)),
        }
    }

    /// A file to receive an object in, with what was received before; `None` while another process has it.
    pub(super) fn partial_file(&self, id: &DatasetId, name: &str) -> Result<Option<PendingFile>> {
        self.prepare(id)?;
        let folder = self.dataset_folder(id);
        PendingFile::resume_in(&folder, name)
            .map_err(|error| io_error("a partial file cannot be opened", &folder, error))
    }

    /// Makes the bytes of an object durable under a pending name; `None` if the repository has the object.
    pub(super) fn stage(&self, id: &DatasetId, insert: Insert) -> Result<Option<Staged>> {
        let target = self.content_path(id, insert.content, &insert.hash);
        let size = insert.source.size();
        match std::fs::metadata(&target) {
            Ok(metadata) if metadata.len() == size && is_damaged(&target, &insert)? => tracing::warn!(
                file.path = %target.display(), "a damaged block is replaced"
            ),
            Ok(metadata) if metadata.len() == size => {
                if make_young(&target, &metadata).is_ok() {
                    return Ok(None);
                }
                // It was collected as garbage, or belongs to another user: a new file takes its place.
            }
            Ok(metadata) => tracing::warn!(
                file.path = %target.display(), file.size = metadata.len(), expected.size = size,
                "an object of the wrong size is replaced"
            ),
            Err(error) if error.kind() == IoErrorKind::NotFound => {}
            Err(error) => return Err(io_error("an object cannot be examined", &target, error)),
        }
        let file = match insert.source {
            ObjectSource::Bytes(bytes) => return self.stage_file(id, target, &bytes).map(Some),
            ObjectSource::File { file, .. } => file,
        };
        let file = if file.as_file().metadata()?.dev() == std::fs::metadata(self.dataset_folder(id))?.dev() {
            file
        } else {
            // A rename cannot cross file systems.
            let mut copy = self.new_pending_file(id)?;
            io::copy(&mut file.reopen()?, &mut copy)
                .map_err(|error| io_error("a file cannot be copied", copy.path(), error))?;
            copy
        };
        file.as_file()
            .sync_data()
            .map_err(|error| io_error("a file cannot be made durable", file.path(), error))?;
        Ok(Some(Staged { file, target }))
    }

    /// Makes a small file durable under a pending name.
    pub(super) fn stage_file(&self, id: &DatasetId, target: PathBuf, bytes: &[u8]) -> Result<Staged> {
        let mut file = self.new_pending_file(id)?;
        let written = file.write_all(bytes).and_then(|()| file.as_file().sync_data());
        written.map_err(|error| io_error("a file cannot be written", file.path(), error))?;
        Ok(Staged { file, target })
    }

    /// Replaces a named file.
    pub(super) fn write_file(&self, id: &DatasetId, name: (&str, &str), bytes: &[u8]) -> Result<()> {
        self.stage_file(id, self.file_path(id, name), bytes)?.publish()?;
        sync_folder(&self.dataset_folder(id).join(name.0))
    }

    /// Makes the text of `refs/head` durable under a pending name.
    pub(super) fn stage_head(&self, id: &DatasetId, new: Multihash) -> Result<StagedHead> {
        let staged = self.stage_file(id, self.file_path(id, HEAD), new.to_string().as_bytes())?;
        Ok(StagedHead { staged, new })
    }

    /// Moves `refs/head` if it still is `expected`.
    pub(super) fn swap_head(&self, id: &DatasetId, expected: Option<Multihash>, head: StagedHead) -> Result<HeadSwap> {
        let lock = self.lock(id)?;
        let actual = self.read_head(id)?;
        let is_there = actual == Some(head.new);
        if actual != expected && !is_there {
            return Ok(HeadSwap::Conflict { actual });
        }
        if !is_there {
            head.staged.publish()?;
        }
        sync_folder(&self.dataset_folder(id).join(HEAD.0))?;
        drop(lock);
        Ok(HeadSwap::Swapped)
    }

    pub(super) fn read_head(&self, id: &DatasetId) -> Result<Option<Multihash>> {
        let path = self.file_path(id, HEAD);
        let Some(bytes) = read_file(&path, MAX_SIDE_FILE_SIZE)? else {
            return Ok(None);
        };
        layout::parse_head(&bytes)
            .map(Some)
            .map_err(|error| error.with_context("path", path.display()))
    }

    /// The datasets that have a folder, in the order of their names.
    pub(super) fn folders(&self) -> Result<Vec<DatasetId>> {
        let entries = std::fs::read_dir(&self.root)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(|error| io_error("the repository cannot be listed", &self.root, error))?;
        let ids = entries
            .iter()
            .filter_map(|entry| layout::parse_folder_name(entry.file_name().to_str()?));
        let mut ids: Vec<_> = ids.collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Removes a dataset, its head first. Removing nothing is not a failure.
    pub(super) fn delete(&self, id: &DatasetId) -> Result<()> {
        let folder = self.dataset_folder(id);
        if !folder.exists() {
            return Ok(());
        }
        let lock = self.lock(id)?;
        let head = self.file_path(id, HEAD);
        match std::fs::remove_file(&head) {
            Ok(()) => sync_folder(&folder.join(HEAD.0))?,
            Err(error) if error.kind() == IoErrorKind::NotFound => {}
            Err(error) => return Err(io_error("refs/head cannot be removed", &head, error)),
        }
        // Under another name nobody adds to the folder while it is emptied.
        let deleted = self.root.join(format!(
            "{DELETED_PREFIX}{}-{:016x}",
            id.to_multibase(),
            rand::random::<u64>()
        ));
        std::fs::rename(&folder, &deleted).map_err(|error| io_error("a dataset cannot be removed", &folder, error))?;
        self.lock_prepared().remove(id);
        sync_folder(&self.root)?;
        drop(lock);
        std::fs::remove_dir_all(&deleted)
            .map_err(|error| io_error("a deleted dataset cannot be cleaned up", &deleted, error))
    }

    /// Waits for the dataset's lock. The lock goes with the process that holds it.
    fn lock(&self, id: &DatasetId) -> Result<File> {
        let path = self.dataset_folder(id).join(LOCK_FILE);
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            let failed = |error| io_error("a dataset cannot be locked", &path, error);
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {
                    // The dataset may have been deleted, lock file and all, and created again meanwhile.
                    let held = file.metadata().map_err(failed)?;
                    let named = std::fs::metadata(&path);
                    if named.is_ok_and(|named| (named.dev(), named.ino()) == (held.dev(), held.ino())) {
                        return Ok(file);
                    }
                }
                Err(std::fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_micros(rand::random_range(500..3000)));
                }
                Err(std::fs::TryLockError::WouldBlock) => {
                    let message = "another process holds the dataset's lock and does not go on; find it (`fuser` on the lock file) and end it";
                    return Err(Error::new(ErrorKind::Io, message)
                        .with_context("path", path.display())
                        .retryable());
                }
                Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// Deletes what processes left that died while they wrote or deleted.
    fn sweep(&self) {
        let Ok(entries) = std::fs::read_dir(&self.root) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if layout::parse_folder_name(name).is_some() {
                pending::sweep(&entry.path(), SystemTime::now());
            } else if name.starts_with(DELETED_PREFIX)
                && let Err(error) = std::fs::remove_dir_all(entry.path())
            {
                tracing::debug!(folder.path = %entry.path().display(), %error, "a deleted dataset's folder stays");
            }
        }
    }

    fn lock_prepared(&self) -> MutexGuard<'_, HashSet<DatasetId>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Staged {
    /// Gives the file its final name, over whatever is there. It is durable only once its folder is, too.
    pub(super) fn publish(self) -> Result<()> {
        let Self { file, target } = self;
        file.persist(&target)
            .map_err(|error| io_error("a file cannot be moved into place", &target, error))
    }
}

/// Whether a stored block has other bytes than the same one that is to be put there. Objects are too large to be read again.
fn is_damaged(stored: &Path, insert: &Insert) -> Result<bool> {
    match (insert.content, &insert.source) {
        (Content::Block, ObjectSource::Bytes(bytes)) => {
            Ok(read_file(stored, layout::MAX_BLOCK_SIZE)?.as_ref() != Some(bytes))
        }
        _ => Ok(false),
    }
}

/// Reads a file of at most `limit` bytes; `None` if there is none.
pub(super) fn read_file(path: &Path, limit: u64) -> Result<Option<Bytes>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), IoErrorKind::NotFound | IoErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(io_error("a file cannot be opened", path, error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| io_error("a file cannot be read", path, error))?;
    if bytes.len() as u64 > limit {
        return Err(layout::too_large(limit).with_context("path", path.display()));
    }
    Ok(Some(bytes.into()))
}

/// Keeps garbage collection from an object that was there before it is named.
fn make_young(path: &Path, metadata: &Metadata) -> io::Result<()> {
    let now = SystemTime::now();
    let is_young = now
        .duration_since(metadata.modified()?)
        .is_ok_and(|age| age < layout::YOUNG_FOR);
    if is_young {
        return Ok(());
    }
    File::open(path)?.set_modified(now)
}

/// Makes the names within a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| io_error("a folder cannot be made durable", path, error))
}

/// Creates a folder and the ones above it so that they outlive a power failure.
pub(super) fn create_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_folders(parent)?;
    match std::fs::create_dir(path) {
        // Another process may have been faster.
        Err(error) if !path.is_dir() => return Err(error),
        _ => {}
    }
    File::open(parent)?.sync_all()
}

fn io_error(message: &str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Io, message)
        .with_context("path", path.display())
        .with_source(error)
}
