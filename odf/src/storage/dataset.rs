//! One dataset of a repository: what can be read, and its side files.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use url::Url;

use crate::error::{Error, ErrorKind, Result};
use crate::identity::{DatasetAlias, DatasetId, Multihash};
use crate::storage::layout::{self, ALIAS, Content, MAX_BLOCK_SIZE, MAX_SIDE_FILE_SIZE, ObjectKind};
use crate::storage::repository::Repository;
use crate::storage::{local, remote};

/// One dataset of a repository. Cheap to clone. There may be nothing in it yet: [`Self::head`] tells.
#[derive(Debug, Clone)]
pub struct DatasetStorage {
    pub(super) repository: Repository,
    pub(super) id: DatasetId,
}

/// An object that is being read from its start.
pub struct ObjectStream {
    /// How many bytes it has.
    pub size: u64,
    /// The bytes, in pieces. They are not compared with the object's hash.
    pub bytes: BoxStream<'static, Result<Bytes>>,
}

impl fmt::Debug for ObjectStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStream")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl DatasetStorage {
    /// Which dataset it is.
    #[must_use]
    pub fn id(&self) -> &DatasetId {
        &self.id
    }

    /// The repository that it is in.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The store that [`Self::object_path`] is a path in.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        self.repository.store()
    }

    /// The name of that store for a registry of stores, see [`Repository::base_url`].
    #[must_use]
    pub fn base_url(&self) -> &Url {
        self.repository.base_url()
    }

    /// Where an object is within [`Self::store`].
    #[must_use]
    pub fn object_path(&self, kind: ObjectKind, hash: &Multihash) -> Path {
        layout::content_path(&self.id, Content::Object(kind), hash)
    }

    /// The bytes of a block, which have the hash that was asked for.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` if the stored bytes have another hash or are more than
    /// [`codec::MAX_BLOCK_SIZE`](crate::codec::MAX_BLOCK_SIZE); `Io`, `Storage`.
    pub async fn block(&self, hash: &Multihash) -> Result<Bytes> {
        let bytes = match self.repository.local() {
            Some(local) => {
                let (path, hash) = (local.content_path(&self.id, Content::Block, hash), *hash);
                blocking(move || check_block(local::read_file(&path, MAX_BLOCK_SIZE)?, &hash)).await
            }
            None => {
                let path = layout::content_path(&self.id, Content::Block, hash);
                let read = remote::read(&**self.store(), &path, MAX_BLOCK_SIZE).await;
                read.and_then(|found| check_block(found.map(|(bytes, _)| bytes), hash))
            }
        };
        bytes.map_err(|error| error.with_context("dataset", self.id).with_context("hash", hash))
    }

    /// The bytes that are stored as a block, whatever their hash is; `None` if there are none. For those who want to know
    /// what is wrong with them.
    ///
    /// # Errors
    /// `Corrupt` if there are more than a block can have; `Io`, `Storage`.
    pub(crate) async fn stored_block(&self, hash: &Multihash) -> Result<Option<Bytes>> {
        match self.repository.local() {
            Some(local) => {
                let path = local.content_path(&self.id, Content::Block, hash);
                blocking(move || local::read_file(&path, MAX_BLOCK_SIZE)).await
            }
            None => {
                let path = layout::content_path(&self.id, Content::Block, hash);
                let read = remote::read(&**self.store(), &path, MAX_BLOCK_SIZE).await?;
                Ok(read.map(|(bytes, _)| bytes))
            }
        }
    }

    /// The length of an object in bytes; `None` if it is not there. Its bytes are not read.
    ///
    /// # Errors
    /// `Io`, `Storage`.
    pub async fn object_size(&self, kind: ObjectKind, hash: &Multihash) -> Result<Option<u64>> {
        remote::size(&**self.store(), &self.object_path(kind, hash)).await
    }

    /// The file of an object, if the repository is on a file system.
    pub(crate) fn object_file(&self, kind: ObjectKind, hash: &Multihash) -> Option<PathBuf> {
        let local = self.repository.local()?;
        Some(local.content_path(&self.id, Content::Object(kind), hash))
    }

    /// Whether an object is there. Its bytes are not read.
    ///
    /// # Errors
    /// `Io`, `Storage`.
    pub async fn object_exists(&self, kind: ObjectKind, hash: &Multihash) -> Result<bool> {
        self.exists(Content::Object(kind), hash).await
    }

    pub(super) async fn exists(&self, content: Content, hash: &Multihash) -> Result<bool> {
        let path = layout::content_path(&self.id, content, hash);
        Ok(remote::size(&**self.store(), &path).await?.is_some())
    }

    /// Starts to read an object.
    ///
    /// # Errors
    /// `NotFound`; `Io`, `Storage`, also from the stream.
    pub async fn open_object(&self, kind: ObjectKind, hash: &Multihash) -> Result<ObjectStream> {
        let path = self.object_path(kind, hash);
        let message = "an object cannot be read";
        let object = self.store().get(&path).await;
        let object = object.map_err(|error| remote::store_error(message, &path, error))?;
        Ok(ObjectStream {
            size: object.meta.size,
            bytes: remote::body(object, &path, message),
        })
    }

    /// Starts to read a part of an object: the bytes from `range.start` up to `range.end` or the object's end, whichever comes first.
    /// The size of the stream is that of the whole object.
    ///
    /// # Errors
    /// `NotFound`; `Storage` if the range is empty or starts behind the object's end, or the store fails; also from the stream.
    pub async fn open_object_range(
        &self,
        kind: ObjectKind,
        hash: &Multihash,
        range: Range<u64>,
    ) -> Result<ObjectStream> {
        let path = self.object_path(kind, hash);
        let message = "a part of an object cannot be read";
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let object = self.store().get_opts(&path, options).await;
        let object = object.map_err(|error| remote::store_error(message, &path, error))?;
        Ok(ObjectStream {
            size: object.meta.size,
            bytes: remote::body(object, &path, message),
        })
    }

    /// Reads the bytes of an object from `range.start` up to `range.end` or the object's end, whichever comes first.
    ///
    /// # Errors
    /// `NotFound`; `Storage` if the range is empty or starts behind the object's end, or the store fails.
    pub async fn read_object_range(&self, kind: ObjectKind, hash: &Multihash, range: Range<u64>) -> Result<Bytes> {
        let part = self.open_object_range(kind, hash, range).await?;
        let pieces: Vec<Bytes> = part.bytes.try_collect().await?;
        match <[Bytes; 1]>::try_from(pieces) {
            Ok([piece]) => Ok(piece),
            Err(pieces) => Ok(pieces.concat().into()),
        }
    }

    /// The dataset's name for people, as the side file `info/alias` has it; `None` if there is no such file.
    ///
    /// # Errors
    /// `InvalidIdentity` or `Malformed` if the file has no alias in it; `Io`, `Storage`.
    pub async fn alias(&self) -> Result<Option<DatasetAlias>> {
        let path = layout::file_path(&self.id, ALIAS);
        let Some((bytes, _)) = remote::read(&**self.store(), &path, MAX_SIDE_FILE_SIZE).await? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            Error::malformed("info/alias is not text")
                .with_context("path", &path)
                .with_source(error)
        })?;
        text.trim()
            .parse()
            .map(Some)
            .map_err(|error: Error| error.with_context("path", path))
    }

    /// Sets the dataset's name for people in the side file `info/alias`.
    ///
    /// # Errors
    /// `ReadOnly`; `Io`, `Storage`.
    pub async fn set_alias(&self, alias: &DatasetAlias) -> Result<()> {
        self.repository.check_writable()?;
        let text = alias.to_string();
        match self.repository.local() {
            Some(local) => {
                let (local, id) = (Arc::clone(local), self.id);
                blocking(move || local.write_file(&id, ALIAS, text.as_bytes())).await
            }
            None => {
                let path = layout::file_path(&self.id, ALIAS);
                let written = self.store().put(&path, PutPayload::from(text)).await;
                written
                    .map(drop)
                    .map_err(|error| remote::store_error("the alias cannot be written", &path, error))
            }
        }
    }
}

/// What was read must be there and have the hash that it was asked for by.
fn check_block(found: Option<Bytes>, hash: &Multihash) -> Result<Bytes> {
    let Some(bytes) = found else {
        return Err(Error::new(ErrorKind::NotFound, "the block is not in the repository"));
    };
    let actual = Multihash::sha3_256(&bytes);
    if actual != *hash {
        let message = "the stored block does not have the hash that it is stored under";
        return Err(Error::new(ErrorKind::Corrupt, message).with_context("actual", actual));
    }
    Ok(bytes)
}

/// Runs work that blocks on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::new(ErrorKind::Io, "the runtime gave up on file work").with_source(error)))
}
