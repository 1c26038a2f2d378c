//! Committing: everything becomes durable, then the head moves, or nothing has happened.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::codec::{self, EncodedBlock};
use crate::error::{Error, Result};
use crate::identity::Multihash;
use crate::storage::dataset::{DatasetStorage, blocking};
use crate::storage::head::HeadSwap;
use crate::storage::insert::Insert;
use crate::storage::layout::{Content, NamedObject, ObjectKind};
use crate::storage::local::LocalRepository;
use crate::storage::pending::PendingObject;

/// How many objects are looked up at the same time.
const CONCURRENT_LOOKUPS: usize = 16;

/// What came of a commit.
#[must_use = "the blocks may not have been committed"]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The blocks are in the chain, durably.
    Committed {
        /// The last of them.
        head: Multihash,
    },
    /// There was nothing to commit.
    Unchanged,
    /// The head was not the expected one, so the blocks are not in the chain. The objects are stored, unless the dataset is gone.
    Conflict {
        /// What it was.
        actual: Option<Multihash>,
    },
}

impl DatasetStorage {
    /// Appends `blocks`, oldest first, to the chain that ends in `expected_head` (`None` creates the dataset), along with
    /// the objects that they name. When it returns `Committed`, all of it survives any crash. Dropping the future leaves
    /// the dataset as it was or commits, one of the two. Blocks are stored as they are; their links are checked, but not
    /// the rules of their events.
    ///
    /// Repeating a commit that failed is safe: if the first attempt has succeeded after all, the second one finds it.
    ///
    /// # Errors
    /// `InvalidEvent` if the blocks do not follow `expected_head` and one another (G2, G3, G6), or if an object that they
    /// introduce is neither given nor stored (D8); `Corrupt` if bytes do not have their hash; `ReadOnly`. `Io`, `Storage`: the commit
    /// may or may not have happened; if the error is retryable, a repeated call finds out.
    pub async fn commit(
        &self,
        expected_head: Option<Multihash>,
        blocks: &[EncodedBlock],
        objects: Vec<PendingObject>,
    ) -> Result<CommitOutcome> {
        self.repository.check_writable()?;
        let Some(newest) = blocks.last() else {
            return Ok(CommitOutcome::Unchanged);
        };
        check_links(expected_head, blocks)?;
        let introduced = introduced_objects(blocks, &objects);
        let inserts = blocks
            .iter()
            .map(|block| Insert::block(block.hash, block.bytes.clone()));
        let inserts: Vec<_> = objects.into_iter().map(Insert::from).chain(inserts).collect();
        let swap = match self.repository.local() {
            Some(local) => {
                self.commit_to_folder(local, expected_head, newest.hash, introduced, inserts)
                    .await?
            }
            None => {
                self.commit_to_store(expected_head, newest.hash, introduced, inserts)
                    .await?
            }
        };
        Ok(match swap {
            HeadSwap::Swapped => CommitOutcome::Committed { head: newest.hash },
            // The answer to an earlier attempt may have been lost, and others have built on it since.
            HeadSwap::Conflict { actual: Some(actual) } if self.has_block(actual, newest).await? => {
                CommitOutcome::Committed { head: newest.hash }
            }
            HeadSwap::Conflict { actual } => CommitOutcome::Conflict { actual },
        })
    }

    /// Whether a block is in the chain that ends in `head`.
    async fn has_block(&self, head: Multihash, wanted: &EncodedBlock) -> Result<bool> {
        let mut next = Some(head);
        while let Some(hash) = next {
            if hash == wanted.hash {
                return Ok(true);
            }
            let block = codec::decode_block(&self.block(&hash).await?)?;
            next = block
                .prev_block_hash
                .filter(|_| block.sequence_number > wanted.block.sequence_number);
        }
        Ok(false)
    }

    async fn commit_to_folder(
        &self,
        local: &Arc<LocalRepository>,
        expected: Option<Multihash>,
        new: Multihash,
        introduced: HashSet<(ObjectKind, Multihash)>,
        inserts: Vec<Insert>,
    ) -> Result<HeadSwap> {
        let id = self.id;
        // A conflict that is there already is found before blocks are written. Objects go in all the same: the next attempt may
        // name them, and their files are gone when this returns.
        let actual = self.head().await?;
        if actual != expected && actual != Some(new) {
            if actual.is_some() {
                let objects = inserts.into_iter().filter(|insert| insert.content != Content::Block);
                self.insert_all(objects.collect()).await?;
            }
            return Ok(HeadSwap::Conflict { actual });
        }
        self.check_objects(introduced).await?;
        let prepared = Arc::clone(local);
        blocking(move || prepared.prepare(&id)).await?;
        let staging = Arc::clone(local);
        let stage_head = blocking(move || staging.stage_head(&id, new));
        let ((), head) = futures::try_join!(self.insert_all(inserts), stage_head)?;
        let local = Arc::clone(local);
        blocking(move || local.swap_head(&id, expected, head)).await
    }

    async fn commit_to_store(
        &self,
        expected: Option<Multihash>,
        new: Multihash,
        introduced: HashSet<(ObjectKind, Multihash)>,
        inserts: Vec<Insert>,
    ) -> Result<HeadSwap> {
        let (head, (), ()) = futures::try_join!(
            self.remote_head(),
            self.check_objects(introduced),
            self.insert_all(inserts)
        )?;
        self.swap_remote_head(head, expected, new).await
    }

    /// Rule D8: what a block introduces must be there.
    async fn check_objects(&self, introduced: HashSet<(ObjectKind, Multihash)>) -> Result<()> {
        let lookups = introduced.into_iter().map(|(kind, hash)| async move {
            if self.object_exists(kind, &hash).await? {
                return Ok(());
            }
            let message = format!(
                "{} that a block introduces is neither given nor stored",
                Content::Object(kind).noun()
            );
            Err(Error::invalid_event("D8", message).with_context("hash", hash))
        });
        stream::iter(lookups)
            .buffer_unordered(CONCURRENT_LOOKUPS)
            .try_collect()
            .await
    }
}

/// The objects that must be in the repository already for `blocks` to be valid.
fn introduced_objects(blocks: &[EncodedBlock], given: &[PendingObject]) -> HashSet<(ObjectKind, Multihash)> {
    let named = blocks
        .iter()
        .flat_map(|block| NamedObject::introduced_by(&block.block.event));
    let mut introduced: HashSet<_> = named.map(|object| (object.kind, object.hash)).collect();
    for object in given {
        introduced.remove(&(object.kind, object.hash));
    }
    introduced
}

/// Each block must follow the one before it, the first one `expected_head`.
fn check_links(expected_head: Option<Multihash>, blocks: &[EncodedBlock]) -> Result<()> {
    let mut prev: Option<(Multihash, Option<u64>)> = expected_head.map(|hash| (hash, None));
    for (index, EncodedBlock { hash, block, .. }) in blocks.iter().enumerate() {
        if block.prev_block_hash != prev.map(|(hash, _)| hash) {
            let (rule, message) = match index {
                0 => ("G6", "the first block to commit does not follow the expected head"),
                _ => ("G3", "a block to commit does not follow the one before it"),
            };
            return Err(Error::invalid_event(rule, message)
                .with_context("hash", hash)
                .with_context("index", index));
        }
        let follows = match prev {
            None => block.sequence_number == 0,
            Some((_, Some(number))) => number.checked_add(1) == Some(block.sequence_number),
            Some((_, None)) => block.sequence_number > 0,
        };
        if !follows {
            return Err(
                Error::invalid_event("G2", "a block to commit has the wrong sequence number")
                    .with_context("hash", hash)
                    .with_context("sequence_number", block.sequence_number),
            );
        }
        prev = Some((*hash, Some(block.sequence_number)));
    }
    Ok(())
}
