//! Rules of every block: how it is linked to the one before it.

use crate::chain::check::{shown, shown_time};
use crate::chain::rule::Rule;
use crate::chain::state::ChainState;
use crate::error::Result;
use crate::metadata::{MetadataBlock, MetadataEvent, Seed};

/// G1 and G2 for the first block.
pub(in crate::chain) fn check_first(block: &MetadataBlock) -> Result<&Seed> {
    let MetadataEvent::Seed(seed) = &block.event else {
        return Err(Rule::G1.broken("the first block of a chain must be a Seed"));
    };
    if let Some(prev) = block.prev_block_hash {
        return Err(Rule::G1.broken(format!("a Seed must have no block before it, but names {prev}")));
    }
    if block.sequence_number != 0 {
        return Err(Rule::G2.broken(format!(
            "the first block must have sequence number 0, but has {}",
            block.sequence_number
        )));
    }
    Ok(seed)
}

/// G2, G3 and G4 for a block after the head of `state`.
pub(in crate::chain) fn check_next(state: &ChainState, block: &MetadataBlock) -> Result<()> {
    if block.prev_block_hash != Some(state.head) {
        return Err(Rule::G3.broken(format!(
            "the block must follow {}, but follows {}",
            state.head,
            shown(block.prev_block_hash)
        )));
    }
    let expected = state.sequence_number.checked_add(1);
    if expected != Some(block.sequence_number) {
        return Err(Rule::G2.broken(format!(
            "the sequence number must be {}, but is {}",
            shown(expected),
            block.sequence_number
        )));
    }
    if block.system_time < state.system_time {
        return Err(Rule::G4.broken(format!(
            "system time must not be before that of the previous block, {}, but is {}",
            shown_time(Some(state.system_time)),
            shown_time(Some(block.system_time)),
        )));
    }
    Ok(())
}
