//! Checks of chains whose blocks are stored, but to which no head has moved yet.

use std::collections::HashSet;

use futures::stream::{self, StreamExt, TryStreamExt};

use crate::chain::{self, Advanced};
use crate::codec::EncodedBlock;
use crate::error::{Error, Result};
use crate::identity::Multihash;
use crate::storage::{DatasetStorage, NamedObject};

/// How many objects are looked up at the same time.
const CONCURRENT_LOOKUPS: usize = 16;

/// How a chain that was pushed relates to the one that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum PushedChain {
    /// It begins the dataset, or continues what is there.
    Forward,
    /// Blocks that are there would be lost.
    Rewrites,
}

/// Checks the chain that ends with the stored block `head` before the head moves there from `from`: all rules of the format, and
/// that the objects which its new blocks introduce are stored.
///
/// # Errors
/// `NotFound` if a block is not stored; `InvalidEvent` if a rule is broken, with D8 if an object is missing or has another
/// size; `Corrupt` if the chain is that of another dataset; `Io`, `Storage`.
pub async fn check_pushed(storage: &DatasetStorage, from: Option<Multihash>, head: Multihash) -> Result<PushedChain> {
    let mut introduced = HashSet::new();
    let chain = check_chain(storage, from, head, |block| {
        introduced.extend(NamedObject::introduced_by(&block.block.event));
    })
    .await?;
    stream::iter(introduced)
        .map(|object| async move {
            if storage.object_size(object.kind, &object.hash).await? == Some(object.size) {
                return Ok(());
            }
            let message = "an object that a block introduces is not there, or has another size; send it first";
            Err(Error::invalid_event("D8", message)
                .with_context("object", format_args!("{}/{}", object.kind.folder(), object.hash)))
        })
        .buffer_unordered(CONCURRENT_LOOKUPS)
        .try_collect::<()>()
        .await?;
    Ok(chain)
}

/// Checks the rules, and shows `visit` the blocks that are new after `from`, oldest first: all of them if the chain is another one.
pub(super) async fn check_chain(
    storage: &DatasetStorage,
    from: Option<Multihash>,
    head: Multihash,
    mut visit: impl FnMut(&EncodedBlock),
) -> Result<PushedChain> {
    if let Some(from) = from {
        let mut state = chain::load(storage, from, |_| {}).await?;
        match chain::advance(&mut state, storage, head, &mut visit).await? {
            Advanced::Unchanged | Advanced::Forward { .. } => return Ok(PushedChain::Forward),
            Advanced::Diverged => {}
        }
    }
    chain::load(storage, head, visit).await?;
    Ok(match from {
        Some(_) => PushedChain::Rewrites,
        None => PushedChain::Forward,
    })
}
