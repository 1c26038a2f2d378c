//! Reading chains out of storage.
//!
//! A block names the one before it, so a chain is read from its head, one block after the other, but folded from its
//! oldest block. What was read on the way back is kept for the way forward up to [`HELD_BYTES`] of encoded blocks;
//! what does not fit is read a second time. Decoded blocks are never kept. Beside that, a new block costs up to 150
//! bytes until it is folded, so that a chain of a million blocks is loaded with less than 200 MB.

use std::pin::pin;

use bytes::Bytes;
use futures::{Stream, TryStreamExt, stream};

use crate::chain::apply::Strictness;
use crate::chain::rule::Rule;
use crate::chain::state::ChainState;
use crate::codec::EncodedBlock;
use crate::error::{Error, ErrorKind, Result};
use crate::identity::Multihash;
use crate::storage::DatasetStorage;

/// How many bytes of encoded blocks are kept between reading back and folding forward.
pub const HELD_BYTES: usize = 32 << 20;

/// After how many blocks, folded without waiting for storage, other tasks get their turn.
const BLOCKS_PER_TURN: usize = 128;

/// What [`advance`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Advanced {
    /// The state was already at the new head.
    Unchanged,
    /// The state is now at the new head.
    Forward {
        /// How many blocks were new.
        blocks: u64,
    },
    /// The new head does not continue the chain that the state was made from: history was rewritten (the dataset was
    /// reset or compacted). The state is what it was; [`load`] makes a new one.
    Diverged,
}

/// The blocks from `from` back to, but without, `until`, newest first; without `until`, back to the Seed.
///
/// Every block is checked against its hash and against the sequence number of the block after it.
///
/// # Errors
/// The stream ends with the first error: `NotFound` if a block is missing, or if `until` is not an ancestor of
/// `from`, because history was rewritten; `Corrupt` if a block does not have its hash; `InvalidEvent` with rule G1 or
/// G2 if blocks are not numbered downwards to the Seed; otherwise what storage or decoding fails with.
pub fn walk_back(
    storage: &DatasetStorage,
    from: Multihash,
    until: Option<Multihash>,
) -> impl Stream<Item = Result<EncodedBlock>> + Send + '_ {
    stream::try_unfold(
        Some(Link {
            hash: from,
            named_by: None,
        }),
        move |link| async move {
            let Some(link) = link.filter(|link| Some(link.hash) != until) else {
                return Ok(None);
            };
            let block = read_linked(storage, link).await?;
            let next = block.block.prev_block_hash.map(|hash| Link {
                hash,
                named_by: Some(block.block.sequence_number),
            });
            if let (None, Some(until)) = (next, until) {
                let message = "the block where reading should stop is not in this chain: its history was rewritten";
                let error = Error::new(ErrorKind::NotFound, message);
                return Err(error.with_context("head", from).with_context("block", until));
            }
            Ok(Some((block, next)))
        },
    )
}

/// Folds the chain that ends with the block `head`, and shows each block to `visit`, oldest first.
///
/// # Errors
/// `Corrupt` if the Seed names another dataset. Otherwise as [`walk_back`] and [`ChainState::apply`]; the context names
/// the `block`. Blocks seen before an error may belong to an invalid chain.
pub async fn load(
    storage: &DatasetStorage,
    head: Multihash,
    mut visit: impl FnMut(&EncodedBlock),
) -> Result<ChainState> {
    let mut held = Vec::new();
    let mut budget = HELD_BYTES;
    let mut blocks = pin!(walk_back(storage, head, None));
    while let Some(block) = blocks.try_next().await? {
        held.push(HeldBlock::hold(block, &mut budget));
    }
    let Some(oldest) = held.pop() else {
        return Err(Error::new(ErrorKind::NotFound, "the chain has no blocks").with_context("head", head));
    };
    let seed = oldest.into_block(storage).await?;
    let mut state =
        ChainState::start(seed.hash, &seed.block).map_err(|error| error.with_context("block", seed.hash))?;
    if state.id() != *storage.id() {
        let error = Error::new(
            ErrorKind::Corrupt,
            "the chain is that of another dataset than the one it is stored as",
        );
        return Err(error
            .with_context("dataset", storage.id())
            .with_context("found", state.id()));
    }
    visit(&seed);
    fold(&mut state, storage, held, visit).await?;
    Ok(state)
}

/// Brings `state` forward to the block `new_head` by reading new blocks only, and shows each of them to `visit`, oldest
/// first. Whether history was rewritten is known before the first block is shown.
///
/// # Errors
/// As [`load`]. The state is then what it was, and what was shown is to be discarded.
pub async fn advance(
    state: &mut ChainState,
    storage: &DatasetStorage,
    new_head: Multihash,
    visit: impl FnMut(&EncodedBlock),
) -> Result<Advanced> {
    advance_within(HELD_BYTES, state, storage, new_head, visit).await
}

/// [`advance`] with another limit than [`HELD_BYTES`].
pub(super) async fn advance_within(
    mut budget: usize,
    state: &mut ChainState,
    storage: &DatasetStorage,
    new_head: Multihash,
    visit: impl FnMut(&EncodedBlock),
) -> Result<Advanced> {
    if new_head == state.head() {
        return Ok(Advanced::Unchanged);
    }
    let mut held = Vec::new();
    let mut blocks = pin!(walk_back(storage, new_head, None));
    while let Some(block) = blocks.try_next().await? {
        // Numbers go down by one, so the place where the two chains must meet is known without looking further back.
        let above = block.block.sequence_number.saturating_sub(state.sequence_number());
        let may_meet = match above {
            0 => false,
            1 => block.block.prev_block_hash == Some(state.head()),
            _ => true,
        };
        if !may_meet {
            return Ok(Advanced::Diverged);
        }
        held.push(HeldBlock::hold(block, &mut budget));
        if above == 1 {
            break;
        }
    }
    let blocks = held.len() as u64;
    let mut next = state.clone();
    fold(&mut next, storage, held, visit).await?;
    *state = next;
    Ok(Advanced::Forward { blocks })
}

/// Applies the held blocks from the last, which is the oldest, to the first.
async fn fold(
    state: &mut ChainState,
    storage: &DatasetStorage,
    held: Vec<HeldBlock>,
    mut visit: impl FnMut(&EncodedBlock),
) -> Result<()> {
    for (index, held) in held.into_iter().rev().enumerate() {
        let block = held.into_block(storage).await?;
        state
            .apply(block.hash, &block.block, Strictness::Read)
            .map_err(|error| error.with_context("block", block.hash))?;
        visit(&block);
        if index % BLOCKS_PER_TURN == BLOCKS_PER_TURN - 1 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// A block between reading back and folding forward.
struct HeldBlock {
    hash: Multihash,
    /// Absent when there was no room for it.
    bytes: Option<Bytes>,
}

impl HeldBlock {
    fn hold(block: EncodedBlock, budget: &mut usize) -> Self {
        let left = budget.checked_sub(block.bytes.len());
        *budget = left.unwrap_or(0);
        Self {
            hash: block.hash,
            bytes: left.map(|_| block.bytes),
        }
    }

    async fn into_block(self, storage: &DatasetStorage) -> Result<EncodedBlock> {
        match self.bytes {
            Some(bytes) => EncodedBlock::from_bytes_with_hash(bytes, &self.hash),
            None => read_block(storage, self.hash).await,
        }
    }
}

/// The way to a block.
#[derive(Clone, Copy)]
struct Link {
    hash: Multihash,
    /// Sequence number of the block that names it; absent for the head.
    named_by: Option<u64>,
}

async fn read_linked(storage: &DatasetStorage, link: Link) -> Result<EncodedBlock> {
    let block = read_block(storage, link.hash).await?;
    check_link(&block, link.named_by)?;
    Ok(block)
}

/// Whether a block can be where it was found: `named_by` is the sequence number of the block that names it, absent for a head.
pub(crate) fn check_link(block: &EncodedBlock, named_by: Option<u64>) -> Result<()> {
    let number = block.block.sequence_number;
    let broken = |rule: Rule, message: String| Err(rule.broken(message).with_context("block", block.hash));
    match (named_by, block.block.prev_block_hash) {
        (Some(after), _) if number.checked_add(1) != Some(after) => broken(
            Rule::G2,
            format!("the sequence number before {after} must be one less, but is {number}"),
        ),
        (_, Some(prev)) if number == 0 => broken(
            Rule::G1,
            format!("the first block must have no block before it, but names {prev}"),
        ),
        (_, None) if number != 0 => broken(
            Rule::G2,
            format!("the first block must have sequence number 0, but has {number}"),
        ),
        _ => Ok(()),
    }
}

async fn read_block(storage: &DatasetStorage, hash: Multihash) -> Result<EncodedBlock> {
    EncodedBlock::from_bytes_with_hash(storage.block(&hash).await?, &hash)
}
