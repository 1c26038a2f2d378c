//! Talking to an object store.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, UpdateVersion,
};

use tokio::task::JoinSet;

use crate::error::{Error, ErrorKind, Result};
use crate::identity::Multihash;
use crate::storage::dataset::blocking;
use crate::storage::layout::{self, MAX_SIDE_FILE_SIZE};
use crate::storage::pending::{ObjectSource, PendingFile};

/// How often a request is sent before a passing failure is reported. The S3 client repeats most requests by itself; this is
/// for those that it does not dare to repeat.
pub(super) const ATTEMPTS: u32 = 5;

/// Objects above this size are uploaded in parts of at least this size.
pub(super) const PART_SIZE: u64 = 8 << 20;

/// S3 takes up to 10 000 parts.
const MAX_PARTS: u64 = 9_000;

/// Parts of one object that are on the way at the same time.
const CONCURRENT_PARTS: usize = 4;

/// Objects that are uploaded in parts at the same time, by all of a process's users of a repository. Times
/// [`CONCURRENT_PARTS`] times [`PART_SIZE`], the memory that uploads take.
pub(super) const LARGE_UPLOADS: usize = 4;

/// The head of a chain, and what the store needs to know to replace just that one.
#[derive(Debug)]
pub(super) struct StoredHead {
    pub(super) hash: Multihash,
    pub(super) version: UpdateVersion,
}

/// Reads `refs/head`.
pub(super) async fn read_head(store: &dyn ObjectStore, path: &Path) -> Result<Option<StoredHead>> {
    let Some((bytes, version)) = read(store, path, MAX_SIDE_FILE_SIZE).await? else {
        return Ok(None);
    };
    let hash = layout::parse_head(&bytes).map_err(|error| error.with_context("path", path))?;
    Ok(Some(StoredHead { hash, version }))
}

/// Reads an object of at most `limit` bytes; `None` if there is none.
pub(super) async fn read(store: &dyn ObjectStore, path: &Path, limit: u64) -> Result<Option<(Bytes, UpdateVersion)>> {
    let object = match store.get(path).await {
        Ok(object) => object,
        Err(StoreError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(store_error("an object cannot be read", path, error)),
    };
    if object.meta.size > limit {
        return Err(layout::too_large(limit).with_context("path", path));
    }
    let version = UpdateVersion {
        e_tag: object.meta.e_tag.clone(),
        version: object.meta.version.clone(),
    };
    let mut body = body(object, path, "an object cannot be read");
    let first = body.try_next().await?.unwrap_or_default();
    let bytes = match body.try_next().await? {
        // Nearly always.
        None => first,
        Some(second) => {
            let mut bytes = [first, second].concat();
            while let Some(next) = body.try_next().await? {
                bytes.extend_from_slice(&next);
            }
            bytes.into()
        }
    };
    Ok(Some((bytes, version)))
}

/// The bytes that a store sends. If they end early, that is a failure and not their end.
pub(super) fn body(object: GetResult, path: &Path, message: &'static str) -> BoxStream<'static, Result<Bytes>> {
    let path = path.clone();
    let left = object.range.end.saturating_sub(object.range.start);
    stream::try_unfold((object.into_stream(), left), move |(mut pieces, left)| {
        let path = path.clone();
        async move {
            match pieces.try_next().await {
                Ok(Some(piece)) => {
                    let left = left.saturating_sub(piece.len() as u64);
                    Ok(Some((piece, (pieces, left))))
                }
                Ok(None) if left == 0 => Ok(None),
                Ok(None) => Err(Error::new(
                    ErrorKind::Storage,
                    format!("{message}: the store has stopped in the middle of it; try again"),
                )
                .with_context("path", path)
                .with_context("missing", left)
                .retryable()),
                Err(error) => Err(store_error(message, &path, error)),
            }
        }
    })
    .boxed()
}

/// The size of an object; `None` if there is none.
pub(super) async fn size(store: &dyn ObjectStore, path: &Path) -> Result<Option<u64>> {
    Ok(examine(store, path).await?.map(|meta| meta.size))
}

/// Whether an object is there with that size, and so young that it stays for a while.
pub(super) async fn holds(store: &dyn ObjectStore, path: &Path, size: u64) -> Result<bool> {
    let stored = examine(store, path).await?;
    Ok(stored.is_some_and(|stored| stored.size == size && is_younger(&stored, layout::HELD_FOR)))
}

async fn examine(store: &dyn ObjectStore, path: &Path) -> Result<Option<ObjectMeta>> {
    match store.head(path).await {
        Ok(meta) => Ok(Some(meta)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(store_error("an object cannot be examined", path, error)),
    }
}

/// Whether garbage collection leaves an object alone, also if nothing names it.
fn is_younger(meta: &ObjectMeta, limit: Duration) -> bool {
    let age = Utc::now().signed_duration_since(meta.last_modified);
    age.to_std().is_ok_and(|age| age < limit)
}

/// Puts an object where its hash says; does nothing if it is there.
pub(super) async fn upload(store: &Arc<dyn ObjectStore>, path: &Path, source: ObjectSource) -> Result<()> {
    let size = source.size();
    if size > PART_SIZE {
        return upload_large(store, path, source).await;
    }
    let bytes = match source {
        ObjectSource::Bytes(bytes) => bytes,
        ObjectSource::File { file, size } => read_part(&Arc::new(file), 0, size).await?,
    };
    let mut mode = PutMode::Create;
    let mut attempt = 1;
    loop {
        let error = match store.put_opts(path, bytes.clone().into(), mode.clone().into()).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match error {
            StoreError::AlreadyExists { .. } | StoreError::Precondition { .. } => {
                match examine(&**store, path).await? {
                    Some(stored) if stored.size == size && is_younger(&stored, layout::YOUNG_FOR) => return Ok(()),
                    // Garbage collection may be about to remove it; put again, it is young.
                    Some(stored) if stored.size == size => mode = PutMode::Overwrite,
                    Some(stored) => {
                        tracing::warn!(object.path = %path, object.size = stored.size, expected.size = size, "an object of the wrong size is replaced");
                        mode = PutMode::Overwrite;
                    }
                    // S3 answers so, too, when another request for the name is on its way.
                    None => {}
                }
            }
            ref error if is_transient(error) => {}
            error => return Err(store_error("an object cannot be written", path, error)),
        }
        if attempt == ATTEMPTS {
            return Err(store_error("an object cannot be written", path, error));
        }
        pause(attempt).await;
        attempt += 1;
    }
}

async fn upload_large(store: &Arc<dyn ObjectStore>, path: &Path, source: ObjectSource) -> Result<()> {
    let size = source.size();
    if holds(&**store, path, size).await? {
        return Ok(());
    }
    match upload_in_parts(store, path, source).await {
        // The answer to the last request may be all that was lost. An old object of that size is not what was sent now.
        Err(error) if error.is_retryable() => match holds(&**store, path, size).await {
            Ok(true) => Ok(()),
            _ => Err(error),
        },
        outcome => outcome,
    }
}

async fn upload_in_parts(store: &Arc<dyn ObjectStore>, path: &Path, source: ObjectSource) -> Result<()> {
    let failed = |error| store_error("an object cannot be uploaded", path, error);
    let mut upload = store.put_multipart(path).await.map_err(failed)?;
    let outcome = match send_parts(&mut *upload, path, source).await {
        Ok(()) => upload.complete().await.map(drop).map_err(failed),
        Err(error) => Err(error),
    };
    if outcome.is_err()
        && let Err(error) = upload.abort().await
    {
        tracing::debug!(object.path = %path, %error, "an upload could not be ended; a rule on the bucket should do so");
    }
    outcome
}

/// Sends the parts of an object, several at a time. When it returns, none is on its way any more.
async fn send_parts(upload: &mut dyn MultipartUpload, path: &Path, source: ObjectSource) -> Result<()> {
    let size = source.size();
    let part_size = PART_SIZE.max(size.div_ceil(MAX_PARTS));
    let source = match source {
        ObjectSource::Bytes(bytes) => PartSource::Bytes(bytes),
        ObjectSource::File { file, .. } => PartSource::File(Arc::new(file)),
    };
    let mut sent = JoinSet::new();
    let mut offset = 0;
    let mut outcome = Ok(());
    while outcome.is_ok() && offset < size {
        if sent.len() >= CONCURRENT_PARTS {
            outcome = sent_part(&mut sent, path).await;
            continue;
        }
        let length = part_size.min(size - offset);
        match source.read(offset, length).await {
            Ok(part) => drop(sent.spawn(upload.put_part(part.into()))),
            Err(error) => outcome = Err(error),
        }
        offset += length;
    }
    while outcome.is_ok() && !sent.is_empty() {
        outcome = sent_part(&mut sent, path).await;
    }
    sent.shutdown().await;
    outcome
}

/// What became of the next part to arrive.
async fn sent_part(sent: &mut JoinSet<object_store::Result<()>>, path: &Path) -> Result<()> {
    let arrived = match sent.join_next().await {
        None => Ok(()),
        Some(joined) => joined.map_err(StoreError::from).flatten(),
    };
    arrived.map_err(|error| store_error("an object cannot be uploaded", path, error))
}

/// Where parts are cut from.
enum PartSource {
    Bytes(Bytes),
    File(Arc<PendingFile>),
}

impl PartSource {
    async fn read(&self, offset: u64, length: u64) -> Result<Bytes> {
        match self {
            Self::File(file) => read_part(file, offset, length).await,
            Self::Bytes(bytes) => {
                let cut = |error| Error::unsupported("a part is too large").with_source(error);
                let start = usize::try_from(offset).map_err(cut)?;
                let end = usize::try_from(offset.saturating_add(length)).map_err(cut)?;
                Ok(bytes.slice(start..end))
            }
        }
    }
}

async fn read_part(file: &Arc<PendingFile>, offset: u64, length: u64) -> Result<Bytes> {
    let file = Arc::clone(file);
    blocking(move || {
        let mut part = vec![
            0;
            usize::try_from(length)
                .map_err(|error| Error::unsupported("a part is too large").with_source(error))?
        ];
        file.as_file().read_exact_at(&mut part, offset)?;
        Ok(part.into())
    })
    .await
}

/// Waits longer each time, and never as long as others that failed at the same moment.
pub(super) async fn pause(attempt: u32) {
    let longest = 20 << attempt.min(6);
    tokio::time::sleep(Duration::from_millis(rand::random_range(longest / 2..=longest))).await;
}

/// Whether the same request may succeed later.
pub(super) fn is_transient(error: &StoreError) -> bool {
    matches!(error, StoreError::Generic { .. } | StoreError::JoinError { .. })
}

/// Says what could not be done, where, and what to look at.
pub(super) fn store_error(message: &str, path: &Path, error: StoreError) -> Error {
    let (kind, advice) = match &error {
        StoreError::NotFound { .. } => (ErrorKind::NotFound, ""),
        StoreError::PermissionDenied { source, .. } if source.is::<Error>() => (ErrorKind::ReadOnly, ""),
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => (
            ErrorKind::Storage,
            "; check the repository's credentials and the bucket's policy",
        ),
        StoreError::NotImplemented { .. } | StoreError::NotSupported { .. } => (
            ErrorKind::Unsupported,
            "; the repository needs a store with conditional puts",
        ),
        _ => (ErrorKind::Storage, ""),
    };
    let is_transient = is_transient(&error);
    let error = Error::new(kind, format!("{message}{advice}"))
        .with_context("path", path)
        .with_source(error);
    if is_transient { error.retryable() } else { error }
}
