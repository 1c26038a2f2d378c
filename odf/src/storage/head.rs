//! The head of a dataset's chain: the only thing in a repository that changes.

use std::sync::Arc;

use object_store::{Error as StoreError, ObjectStore, PutMode};

use crate::codec;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Multihash;
use crate::storage::dataset::{DatasetStorage, blocking};
use crate::storage::layout::{self, Content, HEAD};
use crate::storage::remote::{self, ATTEMPTS, StoredHead};

/// What came of an attempt to move the head.
#[must_use = "the head may not have moved"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadSwap {
    /// The head is, or was until somebody built on it, the new block.
    Swapped,
    /// The head was not the expected one. Nothing changed.
    Conflict {
        /// What it was.
        actual: Option<Multihash>,
    },
}

impl DatasetStorage {
    /// The hash of the newest block; `None` if the dataset does not exist.
    ///
    /// # Errors
    /// `Malformed` or `Corrupt` if `refs/head` is not a block's hash; `Io`, `Storage`.
    pub async fn head(&self) -> Result<Option<Multihash>> {
        match self.repository.local() {
            Some(local) => {
                let (local, id) = (Arc::clone(local), self.id);
                blocking(move || local.read_head(&id)).await
            }
            None => Ok(self.remote_head().await?.map(|head| head.hash)),
        }
    }

    /// Moves the head to the block `new` if it is `expected`, and makes that durable. Atomic among all processes that
    /// use the repository. If the head is `new` already, it counts as swapped, so the call can be repeated.
    ///
    /// # Errors
    /// `NotFound` if the block `new` is not stored. `Io`, `Storage`: the head may or may not have moved; if the error is
    /// retryable, a repeated call finds out.
    pub async fn compare_and_swap_head(&self, expected: Option<Multihash>, new: Multihash) -> Result<HeadSwap> {
        self.repository.check_writable()?;
        if !self.exists(Content::Block, &new).await? {
            let message = "the block that the head should move to is not stored; put it first";
            return Err(Error::new(ErrorKind::NotFound, message).with_context("hash", new));
        }
        match self.repository.local() {
            Some(local) => {
                let (local, id) = (Arc::clone(local), self.id);
                blocking(move || {
                    let head = local.stage_head(&id, new)?;
                    local.swap_head(&id, expected, head)
                })
                .await
            }
            None => {
                let head = self.remote_head().await?;
                self.swap_remote_head(head, expected, new).await
            }
        }
    }

    pub(super) async fn remote_head(&self) -> Result<Option<StoredHead>> {
        remote::read_head(&**self.repository.store(), &layout::file_path(&self.id, HEAD)).await
    }

    /// Replaces `head`, as it was read a moment ago, by a conditional put.
    ///
    /// The answer to a put can be lost, and the client may have repeated the put when it was: then the store refuses the
    /// repetition, although the first one was done. So a refusal is not believed before the head was read again, and if
    /// somebody has built on the new block meanwhile, the chain tells.
    pub(super) async fn swap_remote_head(
        &self,
        mut head: Option<StoredHead>,
        expected: Option<Multihash>,
        new: Multihash,
    ) -> Result<HeadSwap> {
        let store: &Arc<dyn ObjectStore> = self.repository.store();
        let path = layout::file_path(&self.id, HEAD);
        let mut attempt = 0;
        let mut failure = None;
        loop {
            let actual = head.as_ref().map(|head| head.hash);
            if actual == Some(new) {
                return Ok(HeadSwap::Swapped);
            }
            if actual != expected {
                let was_swapped = match actual {
                    Some(actual) if attempt > 0 => self.is_built_on(actual, new, expected).await?,
                    _ => false,
                };
                return Ok(if was_swapped {
                    HeadSwap::Swapped
                } else {
                    HeadSwap::Conflict { actual }
                });
            }
            if attempt == ATTEMPTS {
                let message = "the store does not say whether the head has moved; try again";
                let error = Error::new(ErrorKind::Storage, message)
                    .with_context("path", path)
                    .retryable();
                return Err(match failure {
                    Some(failure) => error.with_source(failure),
                    None => error,
                });
            }
            attempt += 1;
            let mode = head.map_or(PutMode::Create, |head| PutMode::Update(head.version));
            match store.put_opts(&path, new.to_string().into(), mode.into()).await {
                Ok(_) => return Ok(HeadSwap::Swapped),
                Err(error @ (StoreError::Precondition { .. } | StoreError::AlreadyExists { .. })) => {
                    failure = Some(error)
                }
                Err(error) if remote::is_transient(&error) => {
                    failure = Some(error);
                    remote::pause(attempt).await;
                }
                Err(error) => return Err(remote::store_error("the head cannot be moved", &path, error)),
            }
            head = self.remote_head().await?;
        }
    }

    /// Whether the chain of `head` has the block `wanted` after the block `base`.
    async fn is_built_on(&self, head: Multihash, wanted: Multihash, base: Option<Multihash>) -> Result<bool> {
        let mut next = Some(head);
        while let Some(hash) = next.filter(|_| next != base) {
            if hash == wanted {
                return Ok(true);
            }
            next = codec::decode_block(&self.block(&hash).await?)?.prev_block_hash;
        }
        Ok(false)
    }
}
