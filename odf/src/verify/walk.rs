//! The chain: back from its head to find the blocks, then forward to check them.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::chain::{ChainState, Strictness, Vocabulary};
use crate::codec::decode_block;
use crate::error::{ErrorKind, Result};
use crate::identity::Multihash;
use crate::metadata::{Checkpoint, DataSchema, DataSlice, MetadataBlock, MetadataEvent};
use crate::storage::DatasetStorage;
use crate::verify::report::{Finding, ObjectType, Problem};

/// After how many blocks progress is told, and other tasks get their turn.
const BLOCKS_PER_TURN: u64 = 128;

/// The blocks that the head leads to.
#[derive(Debug)]
pub(super) struct Chain {
    /// Newest first.
    links: Vec<Link>,
    /// Whether the oldest of them has no block before it.
    is_whole: bool,
    pub(super) totals: Totals,
    findings: Vec<Finding>,
}

#[derive(Debug)]
struct Link {
    hash: Multihash,
    /// Absent when there was no room for it.
    bytes: Option<Bytes>,
}

/// How much there is to check, as the blocks say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) blocks: u64,
    pub(super) objects: u64,
    pub(super) slice_bytes: u64,
    pub(super) checkpoint_bytes: u64,
}

/// A file to check.
#[derive(Debug)]
pub(super) enum Task {
    Slice(SliceTask),
    Checkpoint(CheckpointTask),
}

/// Which block speaks of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) block: Multihash,
    pub(super) sequence_number: u64,
}

/// A slice with all that the chain says of it.
#[derive(Debug, Clone)]
pub(super) struct SliceTask {
    pub(super) origin: Origin,
    pub(super) slice: DataSlice,
    pub(super) system_time: DateTime<Utc>,
    pub(super) watermark: Option<DateTime<Utc>>,
    /// Absent if there is none, or if the chain cannot be read so far back.
    pub(super) schema: Option<Arc<DataSchema>>,
    /// Absent if the chain cannot be read so far back.
    pub(super) vocabulary: Option<Arc<Vocabulary>>,
}

/// A checkpoint with all that the chain says of it.
#[derive(Debug, Clone)]
pub(super) struct CheckpointTask {
    pub(super) origin: Origin,
    pub(super) checkpoint: Checkpoint,
}

/// Reads the chain back to its Seed, or to where that is not possible. `progress` gets the number of blocks so far.
///
/// Up to `budget` bytes of blocks are kept for the way forward; the others are read again.
pub(super) async fn read_back(
    storage: &DatasetStorage,
    head: Multihash,
    mut budget: usize,
    progress: impl Fn(u64),
) -> Result<Chain> {
    let mut chain = Chain {
        links: Vec::new(),
        is_whole: false,
        totals: Totals::default(),
        findings: Vec::new(),
    };
    // A chain cannot lead into itself, unless a block is not what its hash says.
    let mut seen: Option<HashSet<Multihash>> = None;
    let mut next = Some((head, None));
    while let Some((hash, expected_number)) = next {
        if seen.as_mut().is_some_and(|seen| !seen.insert(hash)) {
            let message = "the chain leads into itself; what came before it cannot be found";
            chain.add(Finding::new(Problem::Malformed, message), hash, expected_number);
            return Ok(chain);
        }
        let bytes = match storage.stored_block(&hash).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let message = "the block is not there, so what came before it was not checked, \
                     nor rules of later blocks that depend on it";
                chain.add(Finding::new(Problem::Missing, message), hash, expected_number);
                return Ok(chain);
            }
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                chain.add(
                    Finding::new(Problem::Malformed, error.to_string()),
                    hash,
                    expected_number,
                );
                return Ok(chain);
            }
            Err(error) => return Err(error),
        };
        let actual = Multihash::sha3_256(&bytes);
        if actual != hash {
            let message = "the bytes of the block do not have the hash that it is stored under";
            let finding = Finding::new(Problem::PhysicalHash, message).values(hash, actual);
            chain.add(finding, hash, expected_number);
            seen.get_or_insert_with(|| chain.links.iter().map(|link| link.hash).chain([hash]).collect());
        }
        let block = match decode_block(&bytes) {
            Ok(block) => block,
            Err(error) => {
                let message = format!(
                    "the block cannot be read, so what came before it was not checked, \
                     nor rules of later blocks that depend on it: {error}"
                );
                chain.add(Finding::new(Problem::Malformed, message), hash, expected_number);
                return Ok(chain);
            }
        };
        chain.totals.add(&block);
        let left = budget.checked_sub(bytes.len());
        budget = left.unwrap_or(0);
        chain.links.push(Link {
            hash,
            bytes: left.map(|_| bytes),
        });
        if chain.totals.blocks.is_multiple_of(BLOCKS_PER_TURN) {
            progress(chain.totals.blocks);
        }
        next = block
            .prev_block_hash
            .map(|prev| (prev, block.sequence_number.checked_sub(1)));
    }
    chain.is_whole = true;
    Ok(chain)
}

impl Chain {
    fn add(&mut self, finding: Finding, block: Multihash, sequence_number: Option<u64>) {
        self.findings.push(
            finding
                .in_block(block, sequence_number)
                .in_object(ObjectType::Block, block),
        );
    }
}

impl Totals {
    fn add(&mut self, block: &MetadataBlock) {
        self.blocks += 1;
        let objects = Objects::of(&block.event);
        if let Some(slice) = objects.slice {
            self.objects += 1;
            self.slice_bytes = self.slice_bytes.saturating_add(slice.size);
        }
        if let Some(checkpoint) = objects.new_checkpoint() {
            self.objects += 1;
            self.checkpoint_bytes = self.checkpoint_bytes.saturating_add(checkpoint.size);
        }
    }
}

/// The files that an event speaks of.
#[derive(Debug, Clone, Copy, Default)]
struct Objects<'a> {
    slice: Option<&'a DataSlice>,
    prev_checkpoint: Option<Multihash>,
    checkpoint: Option<&'a Checkpoint>,
    watermark: Option<DateTime<Utc>>,
}

impl<'a> Objects<'a> {
    fn of(event: &'a MetadataEvent) -> Self {
        match event {
            MetadataEvent::AddData(event) => Self {
                slice: event.new_data.as_ref(),
                prev_checkpoint: event.prev_checkpoint,
                checkpoint: event.new_checkpoint.as_ref(),
                watermark: event.new_watermark,
            },
            MetadataEvent::ExecuteTransform(event) => Self {
                slice: event.new_data.as_ref(),
                prev_checkpoint: event.prev_checkpoint,
                checkpoint: event.new_checkpoint.as_ref(),
                watermark: event.new_watermark,
            },
            _ => Self::default(),
        }
    }

    /// The checkpoint, unless it repeats the one before it.
    fn new_checkpoint(self) -> Option<&'a Checkpoint> {
        self.checkpoint
            .filter(|checkpoint| Some(checkpoint.physical_hash) != self.prev_checkpoint)
    }
}

/// Goes through a chain from its oldest block, checks it, and gives the files to check.
#[derive(Debug)]
pub(super) struct Fold<'a> {
    storage: &'a DatasetStorage,
    /// Newest first, those that were checked taken away.
    links: Vec<Link>,
    findings: Vec<Finding>,
    blocks: u64,
    is_whole: bool,
    /// Absent before the first block, and if the chain does not begin with a Seed.
    state: Option<ChainState>,
    schema: Option<Arc<DataSchema>>,
    vocabulary: Option<Arc<Vocabulary>>,
    /// Whether the first of the blocks with a checkpoint is yet to come: the one that it continues from was not seen.
    is_checkpoint_seen: bool,
}

impl<'a> Fold<'a> {
    pub(super) fn new(storage: &'a DatasetStorage, chain: Chain) -> Self {
        Self {
            storage,
            links: chain.links,
            findings: chain.findings,
            blocks: 0,
            is_whole: chain.is_whole,
            state: None,
            schema: None,
            vocabulary: chain.is_whole.then(Arc::default),
            is_checkpoint_seen: chain.is_whole,
        }
    }

    /// How many blocks were checked.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// Checks the next block; gives the files that it speaks of, or `None` after the last block.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Task>>> {
        let Some(Link { hash, bytes }) = self.links.pop() else {
            return Ok(None);
        };
        let bytes = match bytes {
            Some(bytes) => Some(bytes),
            None => self.storage.stored_block(&hash).await?,
        };
        // It was there and could be read a moment ago.
        let Some(block) = bytes.and_then(|bytes| decode_block(&bytes).ok()) else {
            let finding = Finding::new(Problem::Missing, "the block changed while it was being checked");
            self.findings
                .push(finding.in_block(hash, None).in_object(ObjectType::Block, hash));
            return Ok(Some(Vec::new()));
        };
        self.check(hash, &block);
        self.blocks += 1;
        if self.blocks.is_multiple_of(BLOCKS_PER_TURN) {
            tokio::task::yield_now().await;
        }
        Ok(Some(self.tasks(hash, &block)))
    }

    fn check(&mut self, hash: Multihash, block: &MetadataBlock) {
        let is_first = self.blocks == 0;
        let outcome = match &mut self.state {
            Some(state) => state.apply_anyway(hash, block, Strictness::Read),
            None if is_first && self.is_whole => ChainState::start(hash, block).map(|state| self.state = Some(state)),
            None => Ok(()),
        };
        if let Err(error) = outcome {
            let number = Some(block.sequence_number);
            self.findings.push(
                Finding::rule(&error)
                    .in_block(hash, number)
                    .in_object(ObjectType::Block, hash),
            );
        }
        match &block.event {
            MetadataEvent::SetVocab(event) => self.vocabulary = Some(Arc::new(Vocabulary::from(event))),
            MetadataEvent::SetDataSchema(event) => self.schema = event.to_schema().ok().map(Arc::new),
            MetadataEvent::Seed(seed) if seed.dataset_id != *self.storage.id() => {
                let message = "the chain is that of another dataset than the one it is stored as";
                let finding = Finding::new(Problem::Dataset, message).values(self.storage.id(), seed.dataset_id);
                self.findings.push(
                    finding
                        .in_block(hash, Some(block.sequence_number))
                        .in_object(ObjectType::Block, hash),
                );
            }
            _ => {}
        }
    }

    fn tasks(&mut self, hash: Multihash, block: &MetadataBlock) -> Vec<Task> {
        let objects = Objects::of(&block.event);
        let origin = Origin {
            block: hash,
            sequence_number: block.sequence_number,
        };
        let slice = objects.slice.map(|slice| {
            Task::Slice(SliceTask {
                origin,
                slice: slice.clone(),
                system_time: block.system_time,
                watermark: objects.watermark,
                schema: self.schema.clone(),
                vocabulary: self.vocabulary.clone(),
            })
        });
        let checkpoint = if self.is_checkpoint_seen {
            objects.new_checkpoint()
        } else {
            objects.checkpoint
        };
        self.is_checkpoint_seen |= checkpoint.is_some();
        let checkpoint = checkpoint.map(|checkpoint| {
            Task::Checkpoint(CheckpointTask {
                origin,
                checkpoint: checkpoint.clone(),
            })
        });
        slice.into_iter().chain(checkpoint).collect()
    }
}
