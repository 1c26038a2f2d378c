//! Reading, checking and writing chains.
//!
//! A chain is a linked list of blocks, newest first, so everything that a reader or a writer wants to know about a
//! dataset is a fold over it from the oldest block on:
//!
//! ```text
//! storage: head -> block n -> ... -> block 1 -> Seed        read::walk_back
//!                                                  |
//! ChainState::start(seed) -> apply(block 1) -> ... -> apply(block n)        read::load, read::advance
//!                                                                   |
//!                           append(events) -> blocks n+1.. + state  <        what a writer publishes
//! ```
//!
//! [`ChainState`] is that fold. Each step first checks the block against the rules of the format ([`Rule`]) and
//! changes nothing when one is broken, so a state is always that of a valid chain, and what [`ChainState::append`]
//! makes is too.

mod apply;
mod build;
mod check;
mod definition;
pub mod read;
mod rule;
mod state;
mod vocabulary;

pub use apply::Strictness;
pub use definition::normalize_definition;
pub use read::{Advanced, advance, load, walk_back};
pub use rule::Rule;
pub use state::{ChainState, Counts};
pub use vocabulary::Vocabulary;

#[cfg(test)]
mod tests;
