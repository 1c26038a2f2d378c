//! Files as they are stored: their length, their hash, and reading parts of them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use sha3::{Digest, Sha3_256};
use tokio::runtime::Handle;

use crate::error::{Error, ErrorKind, Result};
use crate::identity::Multihash;
use crate::storage::{DatasetStorage, ObjectKind};
use crate::verify::report::{Finding, Problem};
use crate::verify::walk::{CheckpointTask, Origin};
use crate::verify::work::{Gauge, Work};

/// Files up to this size are read once and as a whole.
const SMALL: u64 = 8 << 20;

/// How much of a larger file is read at once, from a file system and from an object store.
const FILE_WINDOW: u64 = 512 << 10;
const STORE_WINDOW: u64 = 4 << 20;

/// A file of a known length. Each of its users has a clone: they do not share what was read.
#[derive(Debug)]
pub(super) struct Object {
    source: Source,
    size: u64,
    /// What was read last, with where it starts.
    window: Mutex<(u64, Bytes)>,
    /// Why storage failed, which is not the file's fault.
    failure: Arc<Mutex<Option<Error>>>,
}

#[derive(Debug, Clone)]
enum Source {
    Bytes(Bytes),
    File(Arc<File>, PathBuf),
    Store {
        handle: Handle,
        storage: DatasetStorage,
        kind: ObjectKind,
        hash: Multihash,
    },
}

/// Checks that a checkpoint is there, and its hash.
pub(super) async fn check_checkpoint(work: &Work, task: &CheckpointTask) -> Result<Vec<Finding>> {
    let checkpoint = &task.checkpoint;
    let mut findings = Vec::new();
    let object = open(
        work,
        task.origin,
        ObjectKind::Checkpoint,
        checkpoint.physical_hash,
        checkpoint.size,
        &mut findings,
    );
    if let Some(object) = object.await? {
        check_hash(work, &object, checkpoint.physical_hash, &mut findings).await?;
    }
    work.gauge.finished_checkpoint();
    let in_object = |finding: Finding| finding.of(task.origin, ObjectKind::Checkpoint, checkpoint.physical_hash);
    Ok(findings.into_iter().map(in_object).collect())
}

impl Finding {
    /// Says which file it is about, and which block speaks of it.
    pub(super) fn of(self, origin: Origin, kind: ObjectKind, hash: Multihash) -> Self {
        self.in_block(origin.block, Some(origin.sequence_number))
            .in_object(kind.into(), hash)
    }
}

/// Opens a file, if there is anything to do with it, and compares its length.
pub(super) async fn open(
    work: &Work,
    origin: Origin,
    kind: ObjectKind,
    hash: Multihash,
    size: u64,
    findings: &mut Vec<Finding>,
) -> Result<Option<Arc<Object>>> {
    let Some(actual) = work.storage.object_size(kind, &hash).await? else {
        let message = format!("the file that block {} speaks of is not there", origin.sequence_number);
        findings.push(Finding::new(Problem::Missing, message));
        return Ok(None);
    };
    if actual != size {
        let message = "the file does not have the length that its block says";
        findings.push(Finding::new(Problem::Size, message).values(size, actual));
    }
    let is_read = work.options.hashes || (work.options.rows && kind == ObjectKind::Data);
    if !is_read {
        return Ok(None);
    }
    let (storage, handle) = (work.storage.clone(), Handle::current());
    let opened = work
        .run(move || Object::open(storage, handle, kind, hash, actual))
        .await;
    match opened {
        Ok(object) => Ok(Some(Arc::new(object))),
        Err(error) if error.kind() == ErrorKind::Storage => Err(error),
        Err(error) => {
            findings.push(Finding::new(Problem::Unreadable, chain_of(&error)));
            Ok(None)
        }
    }
}

/// Compares a file with its hash, if that is asked for.
pub(super) async fn check_hash(
    work: &Work,
    object: &Arc<Object>,
    expected: Multihash,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    if !work.options.hashes {
        return Ok(());
    }
    let (reader, gauge) = (Arc::clone(object), Arc::clone(&work.gauge));
    match work.run(move || reader.hash(&gauge)).await {
        Ok(actual) if actual == expected => {}
        Ok(actual) => {
            let message = "the bytes of the file do not have the hash that it is stored under";
            findings.push(Finding::new(Problem::PhysicalHash, message).values(expected, actual));
        }
        Err(error) if error.kind() == ErrorKind::Storage => return Err(error),
        Err(error) => findings.push(Finding::new(Problem::Unreadable, chain_of(&error))),
    }
    Ok(())
}

/// An error with all its causes.
pub(super) fn chain_of(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl Object {
    /// Blocks.
    fn open(storage: DatasetStorage, handle: Handle, kind: ObjectKind, hash: Multihash, size: u64) -> Result<Self> {
        let source = match storage.object_file(kind, &hash) {
            Some(path) => {
                let file = File::open(&path).map_err(|error| unreadable(error).with_context("path", path.display()))?;
                Source::File(Arc::new(file), path)
            }
            None => Source::Store {
                handle,
                storage,
                kind,
                hash,
            },
        };
        let mut object = Self {
            source,
            size,
            window: Mutex::default(),
            failure: Arc::default(),
        };
        if size <= SMALL {
            object.source = Source::Bytes(object.read_at(0, size)?);
        }
        Ok(object)
    }

    /// Why storage failed, if that is why reading did.
    pub(super) fn take_failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The hash of the whole file. Blocks.
    fn hash(&self, gauge: &Gauge) -> Result<Multihash> {
        let mut hasher = Sha3_256::new();
        let mut position = 0;
        while position < self.size {
            gauge.go_on()?;
            let bytes = self.read_at(position, self.window_size().min(self.size - position))?;
            hasher.update(&bytes);
            gauge.hashed(bytes.len() as u64);
            position += bytes.len() as u64;
        }
        Ok(Multihash::from_sha3_256_digest(hasher.finalize().into()))
    }

    fn window_size(&self) -> u64 {
        match &self.source {
            Source::Bytes(_) | Source::File(..) => FILE_WINDOW,
            Source::Store { .. } => STORE_WINDOW,
        }
    }

    /// Exactly so many bytes, all of which are within the file. Blocks.
    fn read_at(&self, start: u64, length: u64) -> Result<Bytes> {
        let outside = || Error::new(ErrorKind::Corrupt, "the file is shorter than what it says of itself");
        let end = start
            .checked_add(length)
            .filter(|end| *end <= self.size)
            .ok_or_else(outside)?;
        let length = usize::try_from(length).map_err(|_| outside())?;
        if length == 0 {
            return Ok(Bytes::new());
        }
        match &self.source {
            Source::Bytes(bytes) => {
                let start = usize::try_from(start).map_err(|_| outside())?;
                Ok(bytes.slice(start..start + length))
            }
            Source::File(file, path) => {
                let mut bytes = vec![0; length];
                let read = file.read_exact_at(&mut bytes, start);
                read.map_err(|error| unreadable(error).with_context("path", path.display()))?;
                Ok(bytes.into())
            }
            Source::Store {
                handle,
                storage,
                kind,
                hash,
            } => {
                let bytes = handle.block_on(storage.read_object_range(*kind, hash, start..end))?;
                if bytes.len() == length {
                    Ok(bytes)
                } else {
                    Err(outside())
                }
            }
        }
    }

    /// What is there from `start` on; more than nothing, unless that is the end.
    fn read_window(&self, start: u64) -> Result<Bytes> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (window_start, bytes) = &*window;
        let skipped = start
            .checked_sub(*window_start)
            .and_then(|skipped| usize::try_from(skipped).ok());
        if let Some(skipped) = skipped.filter(|skipped| *skipped < bytes.len()) {
            return Ok(bytes.slice(skipped..));
        }
        let length = self.window_size().min(self.size.saturating_sub(start));
        let bytes = self.read_at(start, length)?;
        *window = (start, bytes.clone());
        Ok(bytes)
    }

    /// Keeps apart what storage did wrong from what is wrong with the file.
    fn fail(&self, error: Error) -> ParquetError {
        if error.kind() != ErrorKind::Storage {
            return ParquetError::External(Box::new(error));
        }
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        ParquetError::General("storage failed".to_owned())
    }
}

/// The same file, with a window of its own.
impl Clone for Object {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            size: self.size,
            window: Mutex::default(),
            failure: Arc::clone(&self.failure),
        }
    }
}

/// For the Parquet reader.
#[derive(Debug, Clone)]
pub(super) struct Chunks(Arc<Object>);

impl Chunks {
    /// With a window that nobody else moves.
    pub(super) fn of(object: &Object) -> Self {
        Self(Arc::new(object.clone()))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.size
    }
}

impl ChunkReader for Chunks {
    type T = ChunkStream;

    fn get_read(&self, start: u64) -> parquet::errors::Result<ChunkStream> {
        Ok(ChunkStream {
            chunks: self.clone(),
            position: start,
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let object = &*self.0;
        // Nothing longer than the file is read, whatever the file says.
        if (length as u64) < object.window_size() && start.saturating_add(length as u64) <= object.size {
            let window = object.read_window(start).map_err(|error| object.fail(error))?;
            if window.len() >= length {
                return Ok(window.slice(..length));
            }
        }
        object.read_at(start, length as u64).map_err(|error| object.fail(error))
    }
}

/// A file from some position on.
#[derive(Debug)]
pub(super) struct ChunkStream {
    chunks: Chunks,
    position: u64,
}

impl Read for ChunkStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let object = &*self.chunks.0;
        if self.position >= object.size || buffer.is_empty() {
            return Ok(0);
        }
        let window = object
            .read_window(self.position)
            .map_err(|error| io::Error::other(object.fail(error)))?;
        let length = window.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(window.iter().take(length)) {
            *to = *from;
        }
        self.position += length as u64;
        Ok(length)
    }
}

fn unreadable(error: io::Error) -> Error {
    Error::new(ErrorKind::Corrupt, "the file cannot be read").with_source(error)
}
