//! Putting blocks and objects into a dataset under their hashes.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::error::{Error, ErrorKind, Result};
use crate::identity::{Multicodec, Multihash};
use crate::storage::dataset::{DatasetStorage, blocking};
use crate::storage::layout::{self, Content, MAX_BLOCK_SIZE, NamedObject, ObjectKind};
use crate::storage::pending::{ObjectSource, PendingFile, PendingObject};
use crate::storage::{local, remote};

/// How many files are written, or objects uploaded, at the same time for one call.
const CONCURRENCY: usize = 16;

/// Something to put into a dataset.
#[derive(Debug)]
pub(super) struct Insert {
    pub(super) content: Content,
    pub(super) hash: Multihash,
    pub(super) source: ObjectSource,
}

impl Insert {
    pub(super) fn block(hash: Multihash, bytes: Bytes) -> Self {
        Self {
            content: Content::Block,
            hash,
            source: ObjectSource::Bytes(bytes),
        }
    }

    /// Refuses what must not be stored under this hash. Blocks.
    fn verify(&self) -> Result<()> {
        let corrupt = |message: &str| {
            Error::new(ErrorKind::Corrupt, format!("{} {message}", self.content.noun())).with_context("hash", self.hash)
        };
        if self.hash.codec() != Multicodec::Sha3_256 {
            return Err(corrupt("must be named by its SHA3-256 hash"));
        }
        if self.content == Content::Block && self.source.size() > MAX_BLOCK_SIZE {
            return Err(corrupt("is too large").with_context("limit", MAX_BLOCK_SIZE));
        }
        match &self.source {
            ObjectSource::Bytes(bytes) => {
                let actual = Multihash::sha3_256(bytes);
                if actual != self.hash {
                    return Err(
                        corrupt("does not have the hash that it is to be stored under").with_context("actual", actual)
                    );
                }
            }
            ObjectSource::File { file, size } => {
                let actual = file.size()?;
                if actual != *size {
                    return Err(corrupt("is not as long as was written; was its writer flushed?")
                        .with_context("written", size)
                        .with_context("actual", actual));
                }
            }
        }
        Ok(())
    }
}

impl From<PendingObject> for Insert {
    fn from(PendingObject { kind, hash, source }: PendingObject) -> Self {
        Self {
            content: Content::Object(kind),
            hash,
            source,
        }
    }
}

impl DatasetStorage {
    /// Stores a block as it is, under its hash. Storing it again is no failure. On success it is durable.
    ///
    /// # Errors
    /// `Corrupt` if the bytes do not have that hash or are more than [`codec::MAX_BLOCK_SIZE`](crate::codec::MAX_BLOCK_SIZE); `ReadOnly`,
    /// `Io`, `Storage`.
    pub async fn put_block(&self, hash: Multihash, bytes: Bytes) -> Result<()> {
        self.insert_all(vec![Insert::block(hash, bytes)]).await
    }

    /// Stores blocks as they are, under their hashes, at the same time. Otherwise as [`Self::put_block`].
    ///
    /// # Errors
    /// As [`Self::put_block`]; some of the blocks may be stored then.
    pub async fn put_blocks(&self, blocks: impl IntoIterator<Item = (Multihash, Bytes)>) -> Result<()> {
        let inserts = blocks.into_iter().map(|(hash, bytes)| Insert::block(hash, bytes));
        self.insert_all(inserts.collect()).await
    }

    /// Stores an object under its hash. Storing it again is no failure. On success it is durable.
    ///
    /// The hash of bytes in memory is checked. That of a file is not: who wrote the file has computed it on the way,
    /// and only the size is compared.
    ///
    /// # Errors
    /// `Corrupt` if the bytes do not have that hash, or the file not that size; `ReadOnly`, `Io`, `Storage`.
    pub async fn put_object(&self, kind: ObjectKind, hash: Multihash, source: ObjectSource) -> Result<()> {
        self.insert_all(vec![PendingObject { kind, hash, source }.into()]).await
    }

    /// A file to write a slice or checkpoint to, from where [`Self::put_object`] or [`Self::commit`] can move it into
    /// place without copying it where the repository is on a file system.
    ///
    /// # Errors
    /// `ReadOnly`; `Io` if it cannot be created.
    pub async fn new_pending_file(&self) -> Result<PendingFile> {
        self.repository.check_writable()?;
        let storage = self.clone();
        blocking(move || match storage.repository.local() {
            Some(local) => local.new_pending_file(&storage.id),
            None => storage.repository.new_temporary_file(),
        })
        .await
    }

    /// Whether an object is there with its size, and stays until a chain names it. One that garbage collection could take is made
    /// young; where that cannot be, it counts as missing and is to be put again. In a repository that is only read, nothing is.
    ///
    /// # Errors
    /// `Io`, `Storage`.
    pub async fn holds(&self, object: &NamedObject) -> Result<bool> {
        if self.repository.is_read_only() {
            return Ok(self.object_size(object.kind, &object.hash).await? == Some(object.size));
        }
        let (id, object) = (self.id, *object);
        match self.repository.local() {
            Some(local) => {
                let local = Arc::clone(local);
                blocking(move || local.holds(&id, &object)).await
            }
            None => {
                remote::holds(
                    &**self.store(),
                    &self.object_path(object.kind, &object.hash),
                    object.size,
                )
                .await
            }
        }
    }

    /// A file to receive an object in that is named by its hash and comes in pieces. What an earlier attempt left is in it, also
    /// after a crash; while another process receives the same object, it is a fresh one. It stays where it is when it is dropped,
    /// see [`PendingFile::set_kept`]; files that nobody goes on with are deleted when the repository is opened a week later.
    ///
    /// # Errors
    /// `Io` if it cannot be opened or created.
    pub async fn partial_file(&self, kind: ObjectKind, hash: &Multihash) -> Result<PendingFile> {
        let (storage, name) = (self.clone(), format!("{}-{hash}", kind.folder()));
        let found = blocking(move || match storage.repository.local() {
            Some(local) => local.partial_file(&storage.id, &name),
            None => storage.repository.partial_file(&name),
        });
        match found.await? {
            Some(file) => Ok(file),
            None => self.new_pending_file().await,
        }
    }

    /// Makes all of `inserts` durable, at the same time where possible.
    pub(super) async fn insert_all(&self, inserts: Vec<Insert>) -> Result<()> {
        self.repository.check_writable()?;
        match self.repository.local() {
            Some(local) => {
                let (prepared, id) = (Arc::clone(local), self.id);
                blocking(move || prepared.prepare(&id)).await?;
                self.insert_into_folders(local, inserts).await
            }
            None => {
                let uploads = inserts.into_iter().map(|insert| self.upload(insert));
                stream::iter(uploads).buffer_unordered(CONCURRENCY).try_collect().await
            }
        }
    }

    /// Files first, then their names, then the folders that hold the names: each folder once for all of its files.
    async fn insert_into_folders(&self, local: &Arc<local::LocalRepository>, inserts: Vec<Insert>) -> Result<()> {
        let id = self.id;
        let contents: HashSet<Content> = inserts.iter().map(|insert| insert.content).collect();
        let stage = |insert: Insert| {
            let local = Arc::clone(local);
            blocking(move || {
                insert.verify()?;
                local.stage(&id, insert)
            })
        };
        let staged: Vec<_> = stream::iter(inserts)
            .map(stage)
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await?;
        if staged.iter().any(Option::is_some) {
            blocking(move || staged.into_iter().flatten().try_for_each(local::Staged::publish)).await?;
        }
        // Also for objects that were there: who put them there may not have got this far.
        let sync = |content: Content| {
            let folder = local.dataset_folder(&id).join(content.folder());
            blocking(move || local::sync_folder(&folder))
        };
        try_join_all(contents.into_iter().map(sync)).await?;
        Ok(())
    }

    async fn upload(&self, insert: Insert) -> Result<()> {
        let insert = blocking(move || insert.verify().map(|()| insert)).await?;
        let path = layout::content_path(&self.id, insert.content, &insert.hash);
        // Held until the upload ends.
        let _turn = match insert.source.size() {
            ..=remote::PART_SIZE => None,
            _ => self.repository.large_uploads().acquire().await.ok(),
        };
        remote::upload(self.repository.store(), &path, insert.source).await
    }
}
