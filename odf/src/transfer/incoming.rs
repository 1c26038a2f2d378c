//! What a copy brings: blocks on their way into the target, and the objects that they name.

use std::collections::HashSet;

use bytes::Bytes;

use crate::codec::EncodedBlock;
use crate::error::Result;
use crate::identity::Multihash;
use crate::storage::NamedObject;
use crate::transfer::place::Place;
use crate::transfer::retry::RetryPolicy;

/// Blocks are held until it is clear that they are wanted, but no more than so many bytes of them. Beyond that they are
/// stored at once: no chain names them, so they do no harm, and a copy that is cut off need not begin anew.
const HELD_BYTES: usize = 8 << 20;

/// New blocks, as they are found on the way back from the source's head.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    held: Vec<(Multihash, Bytes)>,
    held_bytes: usize,
    seen: HashSet<(crate::storage::ObjectKind, Multihash)>,
    objects: Vec<NamedObject>,
    pub(super) blocks: u64,
}

impl Incoming {
    /// Takes the next block.
    pub(super) async fn push(&mut self, block: EncodedBlock, target: &Place, retry: &RetryPolicy) -> Result<()> {
        self.blocks += 1;
        for object in NamedObject::introduced_by(&block.block.event) {
            if self.seen.insert((object.kind, object.hash)) {
                self.objects.push(object);
            }
        }
        self.held_bytes += block.bytes.len();
        self.held.push((block.hash, block.bytes));
        if self.held_bytes > HELD_BYTES {
            self.store(target, retry).await?;
        }
        Ok(())
    }

    /// Stores the blocks that are held, oldest first.
    pub(super) async fn store(&mut self, target: &Place, retry: &RetryPolicy) -> Result<()> {
        let mut blocks = std::mem::take(&mut self.held);
        self.held_bytes = 0;
        blocks.reverse();
        retry.run(|| target.put_blocks(blocks.clone())).await
    }

    /// The objects that the new blocks introduce, oldest first.
    pub(super) fn into_objects(self) -> Vec<NamedObject> {
        let mut objects = self.objects;
        objects.reverse();
        objects
    }
}
