//! Where a copy comes from or goes to.

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};

use crate::codec::EncodedBlock;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{DatasetId, Multihash};
use crate::metadata::MetadataEvent;
use crate::storage::{DatasetStorage, HeadSwap, NamedObject};
use crate::transfer::remote::RemoteDataset;

/// A dataset as source or target of a copy.
#[derive(Debug, Clone)]
pub enum Place {
    /// In a repository that this process can reach.
    Stored(DatasetStorage),
    /// Behind HTTP.
    Remote(RemoteDataset),
}

impl Place {
    /// Which dataset it is; `None` if it does not exist, or is not known before something is copied there.
    ///
    /// A server that does not say is asked for the whole chain: only the first block has the answer.
    ///
    /// # Errors
    /// As reading blocks; `InvalidEvent` if the first block is no Seed.
    pub async fn dataset_id(&self) -> Result<Option<DatasetId>> {
        match self {
            Self::Stored(storage) => Ok(storage.head().await?.map(|_| *storage.id())),
            Self::Remote(remote) => {
                let Some(head) = remote.head().await? else {
                    return Ok(None);
                };
                if let Some(id) = head.dataset_id {
                    return Ok(Some(id));
                }
                let mut link = (head.hash, None);
                loop {
                    let block = self.linked_block(link.0, link.1).await?;
                    match (block.block.prev_block_hash, block.block.event) {
                        (Some(prev), _) => link = (prev, Some(block.block.sequence_number)),
                        (None, MetadataEvent::Seed(seed)) => return Ok(Some(seed.dataset_id)),
                        (None, _) => {
                            let error = Error::invalid_event("G1", "the first block of the chain is no Seed");
                            return Err(error.with_context("block", block.hash));
                        }
                    }
                }
            }
        }
    }

    /// The newest block's hash; `None` if the dataset does not exist.
    ///
    /// # Errors
    /// As [`DatasetStorage::head`].
    pub async fn head(&self) -> Result<Option<Multihash>> {
        match self {
            Self::Stored(storage) => storage.head().await,
            Self::Remote(remote) => Ok(remote.head().await?.map(|head| head.hash)),
        }
    }

    /// A block, with the hash that it was asked for by, where the block with the sequence number `named_by` says.
    pub(super) async fn linked_block(&self, hash: Multihash, named_by: Option<u64>) -> Result<EncodedBlock> {
        let bytes = match self {
            Self::Stored(storage) => storage.block(&hash).await?,
            Self::Remote(remote) => remote.block(&hash).await?,
        };
        let block = EncodedBlock::from_bytes_with_hash(bytes, &hash)?;
        crate::chain::read::check_link(&block, named_by)?;
        Ok(block)
    }

    /// Whether an object is there and stays.
    pub(super) async fn holds(&self, object: &NamedObject) -> Result<bool> {
        match self {
            Self::Stored(storage) => storage.holds(object).await,
            Self::Remote(remote) => Ok(remote.object_size(object).await? == Some(object.size)),
        }
    }

    /// Whether an object that this copy has put there is still there, however long ago that was.
    pub(super) async fn still_has(&self, object: &NamedObject) -> Result<bool> {
        match self {
            Self::Stored(storage) => {
                let size = storage.object_size(object.kind, &object.hash).await?;
                Ok(size == Some(object.size))
            }
            // A node looks at every object itself before it moves the head.
            Self::Remote(_) => Ok(true),
        }
    }

    /// The bytes of an object from `from` to its end; they are not compared with its hash.
    pub(super) async fn open_object(
        &self,
        object: &NamedObject,
        from: u64,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        match self {
            Self::Stored(storage) if from == 0 => {
                Ok(storage.open_object(object.kind, &object.hash).await?.bytes.boxed())
            }
            Self::Stored(storage) => {
                let part = storage.open_object_range(object.kind, &object.hash, from..u64::MAX);
                Ok(part.await?.bytes.boxed())
            }
            Self::Remote(remote) => remote.open_object(object, from).await,
        }
    }

    /// Stores blocks that no chain has yet.
    pub(super) async fn put_blocks(&self, blocks: Vec<(Multihash, Bytes)>) -> Result<()> {
        match self {
            Self::Stored(storage) => storage.put_blocks(blocks).await,
            Self::Remote(remote) => remote.put_blocks(blocks).await,
        }
    }

    /// Moves the head if it still is `expected`.
    pub(super) async fn swap_head(&self, expected: Option<Multihash>, new: Multihash, force: bool) -> Result<HeadSwap> {
        match self {
            Self::Stored(storage) => storage.compare_and_swap_head(expected, new).await,
            Self::Remote(remote) => remote.put_head(expected, new, force).await,
        }
    }

    /// What was stored as a block of this hash, if that is what it is.
    pub(super) async fn leftover_block(&self, hash: Multihash) -> Result<Option<Bytes>> {
        match self {
            Self::Stored(storage) => match storage.block(&hash).await {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Corrupt) => Ok(None),
                Err(error) => Err(error),
            },
            // Asking would take as long as sending.
            Self::Remote(_) => Ok(None),
        }
    }
}
