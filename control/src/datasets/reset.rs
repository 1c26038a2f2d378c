//! Moving a dataset's head back to an earlier block.

use futures::TryStreamExt;
use jetway_odf::chain::walk_back;
use jetway_odf::identity::Multihash;
use jetway_odf::storage::HeadSwap;
use jetway_planner::{Access, Error, ErrorKind, PinnedDataset, Result, Subject};

use crate::registry::{StorageCatalog, allow};

/// Which block becomes the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetTarget {
    /// The first one.
    Seed,
    /// The one of this hash.
    Block(Multihash),
}

/// What came of moving a head back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    /// The head from now on.
    pub head: Multihash,
    /// How many blocks no longer belong to the chain. Their objects stay until garbage is collected.
    pub removed: u64,
}

impl StorageCatalog {
    /// Moves the head of a dataset back from where it is pinned to an earlier block.
    ///
    /// # Errors
    /// `NotFound` if the chain does not have that block; `Conflict` if somebody else has moved the head meanwhile;
    /// `PermissionDenied`; those of storage.
    pub async fn reset(&self, subject: &Subject, dataset: &PinnedDataset, to: ResetTarget) -> Result<Reset> {
        allow(subject, &dataset.alias, Access::Write)?;
        let mut removed = 0;
        let mut blocks = std::pin::pin!(walk_back(&dataset.storage, dataset.head, None));
        let head = loop {
            let Some(block) = blocks.try_next().await? else {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    "the dataset's chain has no such block; `jetway log` shows those that it has",
                )
                .with_context("dataset", dataset.alias.to_string()));
            };
            let is_target = match to {
                ResetTarget::Seed => block.block.prev_block_hash.is_none(),
                ResetTarget::Block(hash) => block.hash == hash,
            };
            if is_target {
                break block.hash;
            }
            removed += 1;
        };
        match dataset.storage.compare_and_swap_head(Some(dataset.head), head).await? {
            HeadSwap::Swapped => {
                tracing::info!(dataset.id = %dataset.id, dataset.alias = %dataset.alias, block.hash = %head, account.name = %subject.name(), "a dataset was reset");
                Ok(Reset { head, removed })
            }
            HeadSwap::Conflict { .. } => Err(Error::new(
                ErrorKind::Conflict,
                "somebody else has written to the dataset meanwhile, so it was not reset; see `jetway log` and try again",
            )
            .with_context("dataset", dataset.alias.to_string())),
        }
    }
}
