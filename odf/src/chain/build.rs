//! Making the next blocks of a chain.

use chrono::{DateTime, Utc};

use crate::chain::apply::Strictness;
use crate::chain::state::ChainState;
use crate::codec::{EncodedBlock, ManifestVersion};
use crate::error::{Error, Result};
use crate::metadata::{MetadataBlock, MetadataEvent, Seed};

impl ChainState {
    /// The first blocks of a new dataset, oldest first, and the state at the last of them: the seed, then the events
    /// that define it (see [`crate::chain::normalize_definition`]), all at the same system time.
    ///
    /// Nothing is written: the caller publishes the blocks and then the head.
    ///
    /// # Errors
    /// `InvalidEvent` with the rule that an event breaks and its `event` index in `definition`, or what encoding a
    /// block fails with.
    pub fn create(
        seed: Seed,
        definition: Vec<MetadataEvent>,
        system_time: DateTime<Utc>,
        version: ManifestVersion,
    ) -> Result<(Vec<EncodedBlock>, Self)> {
        let block = MetadataBlock {
            system_time,
            prev_block_hash: None,
            sequence_number: 0,
            event: MetadataEvent::Seed(seed),
        };
        let first = EncodedBlock::encode(block, version)?;
        let mut state = Self::start(first.hash, &first.block)?;
        let mut blocks = Vec::with_capacity(definition.len().saturating_add(1));
        blocks.push(first);
        state.push_blocks(definition, system_time, version, &mut blocks)?;
        Ok((blocks, state))
    }

    /// The next blocks of the chain, one per event, oldest first, all at the same system time, and the state at the
    /// last of them. `self` stays as it is: when somebody else publishes a block first, bring it forward
    /// ([`crate::chain::advance`]) and append again.
    ///
    /// Nothing is written: the caller publishes the blocks and then swaps the head from `self.head()` to the new one.
    /// No events make no blocks.
    ///
    /// # Errors
    /// `InvalidEvent` with the rule that an event breaks and its `event` index; [`crate::chain::Rule::is_no_op`] tells
    /// that it would have changed nothing. Otherwise what encoding a block fails with.
    pub fn append(
        &self,
        events: Vec<MetadataEvent>,
        system_time: DateTime<Utc>,
        version: ManifestVersion,
    ) -> Result<(Vec<EncodedBlock>, Self)> {
        let mut state = self.clone();
        let mut blocks = Vec::with_capacity(events.len());
        state.push_blocks(events, system_time, version, &mut blocks)?;
        Ok((blocks, state))
    }

    fn push_blocks(
        &mut self,
        events: Vec<MetadataEvent>,
        system_time: DateTime<Utc>,
        version: ManifestVersion,
        blocks: &mut Vec<EncodedBlock>,
    ) -> Result<()> {
        for (index, event) in events.into_iter().enumerate() {
            let at_event = |error: Error| error.with_context("event", index);
            let block = MetadataBlock {
                system_time,
                prev_block_hash: Some(self.head),
                sequence_number: self.sequence_number.saturating_add(1),
                event,
            };
            let encoded = EncodedBlock::encode(block, version).map_err(at_event)?;
            self.apply(encoded.hash, &encoded.block, Strictness::Append)
                .map_err(at_event)?;
            blocks.push(encoded);
        }
        Ok(())
    }
}
