//! How two chains relate: both are walked back to where they meet.

use crate::codec::EncodedBlock;
use crate::error::Result;
use crate::identity::Multihash;
use crate::transfer::incoming::Incoming;
use crate::transfer::options::{CopyOptions, Meter};
use crate::transfer::outcome::Relation;
use crate::transfer::place::Place;

/// Finds out how the chain that ends in `source_head` relates to the target's, and collects what is new in it.
pub(super) async fn relate(
    (source, source_head): (&Place, Multihash),
    (target, target_head): (&Place, Option<Multihash>),
    options: &CopyOptions,
    meter: &Meter<'_>,
) -> Result<(Relation, Incoming)> {
    let mut incoming = Incoming::default();
    let walk = Walk {
        source,
        target,
        options,
        meter,
    };
    let mut ours = walk.source_block(source_head, None).await?;
    let total = ours.block.sequence_number.saturating_add(1);
    let Some(target_head) = target_head else {
        meter.update(|progress, _| progress.blocks_total = total);
        let mut next = Some(ours);
        while let Some(block) = next {
            next = walk.before(&block).await?;
            walk.take(block, &mut incoming).await?;
        }
        return Ok((Relation::New, incoming));
    };
    let mut theirs = walk.target_block(target_head, None).await?;
    meter.update(|progress, _| progress.blocks_total = total.saturating_sub(theirs.block.sequence_number + 1));
    let mut only_theirs = 0;
    while ours.hash != theirs.hash {
        let (our_number, their_number) = (ours.block.sequence_number, theirs.block.sequence_number);
        if our_number > their_number && ours.block.prev_block_hash == Some(theirs.hash) {
            // The common case, in which the common block need not be read from the source.
            walk.take(ours, &mut incoming).await?;
            ours = theirs.clone();
            continue;
        }
        let their_prev = theirs.block.prev_block_hash.filter(|_| their_number >= our_number);
        if our_number >= their_number {
            let before = walk.before(&ours).await?;
            walk.take(ours, &mut incoming).await?;
            match before {
                Some(before) => ours = before,
                None => return Ok((Relation::Unrelated, incoming)),
            }
        }
        if their_number >= our_number {
            only_theirs += 1;
            match their_prev {
                Some(prev) => theirs = walk.target_block(prev, Some(their_number)).await?,
                None => return Ok((Relation::Unrelated, incoming)),
            }
        }
    }
    let relation = match (incoming.blocks, only_theirs) {
        (0, 0) => Relation::Equal,
        (blocks, 0) => Relation::Ahead { blocks },
        (0, blocks) => Relation::Behind { blocks },
        (source_blocks, target_blocks) => Relation::Diverged {
            common: theirs.hash,
            source_blocks,
            target_blocks,
        },
    };
    Ok((relation, incoming))
}

struct Walk<'a> {
    source: &'a Place,
    target: &'a Place,
    options: &'a CopyOptions,
    meter: &'a Meter<'a>,
}

impl Walk<'_> {
    /// A block of the source, out of the target if an unfinished copy has left it there.
    async fn source_block(&self, hash: Multihash, named_by: Option<u64>) -> Result<EncodedBlock> {
        if let Place::Remote(_) = self.source
            && let Some(bytes) = self.target.leftover_block(hash).await?
        {
            let block = EncodedBlock::from_bytes_with_hash(bytes, &hash)?;
            crate::chain::read::check_link(&block, named_by)?;
            return Ok(block);
        }
        let read = || self.source.linked_block(hash, named_by);
        self.options.retry.run(read).await
    }

    async fn target_block(&self, hash: Multihash, named_by: Option<u64>) -> Result<EncodedBlock> {
        let read = || self.target.linked_block(hash, named_by);
        self.options.retry.run(read).await
    }

    /// The block before one of the source; `None` before the first.
    async fn before(&self, block: &EncodedBlock) -> Result<Option<EncodedBlock>> {
        match block.block.prev_block_hash {
            Some(prev) => {
                let read = self.source_block(prev, Some(block.block.sequence_number)).await?;
                Ok(Some(read))
            }
            None => Ok(None),
        }
    }

    async fn take(&self, block: EncodedBlock, incoming: &mut Incoming) -> Result<()> {
        incoming.push(block, self.target, &self.options.retry).await?;
        self.meter.update(|progress, _| {
            progress.blocks += 1;
            progress.blocks_total = progress.blocks_total.max(progress.blocks);
        });
        Ok(())
    }
}
