//! Hard compaction: the history of a dataset is written again with fewer, larger slices.
//!
//! Rows keep their offsets and all their values, metadata events stay where they are, and blocks keep their system times, so
//! that blocks before the first merged slice stay the same ones. From there on blocks have new hashes: datasets that are
//! computed from this one have to be reset. The new chain is in storage as a whole before the head moves to it, if nobody has
//! moved it meanwhile. What was the history before is garbage then.

mod events;

use std::io::Write;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::physical_plan::execute_stream;
use futures::stream::{self, StreamExt, TryStreamExt};
use jetway_odf::chain::{ChainState, Strictness, walk_back};
use jetway_odf::codec::{EncodedBlock, ManifestVersion};
use jetway_odf::hash::HashingWriter;
use jetway_odf::identity::Multihash;
use jetway_odf::metadata::{AddData, DataSlice, DatasetKind, MetadataEvent, OffsetInterval};
use jetway_odf::storage::{DatasetStorage, HeadSwap, NamedObject, ObjectKind};

use self::events::Step;
use crate::ingest::SliceWriter;
use crate::session::Engine;
use crate::summary::{DatasetSummary, SliceEntry};
use crate::table::DatasetFiles;
use crate::{Error, ErrorKind, PinnedDataset, Result};

/// How many slices are hashed, or blocks stored, at the same time.
const CONCURRENCY: usize = 8;

/// What is kept of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// Everything, with neighboring slices merged up to a size.
    Slices {
        /// A merged slice is made of slices with at most so many bytes together.
        max_bytes: u64,
        /// A merged slice has at most so many rows.
        max_rows: u64,
    },
    /// Everything but rows and what was noted of them: the dataset is empty afterwards.
    MetadataOnly,
}

/// What a rewrite did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RewriteOutcome {
    /// The newest block before.
    pub previous_head: Multihash,
    /// The newest block now; the same one if there was nothing to do.
    pub head: Multihash,
    /// Blocks before and now.
    pub blocks: (u64, u64),
    /// Slices before and now.
    pub slices: (u64, u64),
    /// Bytes of the slices before and now.
    pub bytes: (u64, u64),
    /// Slices that were written.
    pub written_slices: u64,
    /// Bytes that were written.
    pub written_bytes: u64,
}

/// Writes the history of a dataset again.
pub(crate) async fn rewrite(
    engine: &Engine,
    dataset: &PinnedDataset,
    summary: &DatasetSummary,
    rewrite: Rewrite,
) -> Result<RewriteOutcome> {
    if summary.state.kind() == DatasetKind::Derivative && rewrite != Rewrite::MetadataOnly {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "{} is computed from other datasets; keep its metadata only, and it is computed again",
                dataset.alias
            ),
        ));
    }
    let steps = events::plan(&dataset.storage, dataset.head, rewrite).await?;
    let mut chain = NewChain {
        engine,
        dataset,
        summary,
        state: None,
        blocks: Vec::new(),
        written: (0, 0),
    };
    for step in steps {
        chain.take(step).await?;
    }
    let state = chain
        .state
        .ok_or_else(|| Error::new(ErrorKind::Corrupt, "the chain has no blocks"))?;
    let (before, now) = (summary.state.counts(), state.counts());
    let outcome = RewriteOutcome {
        previous_head: dataset.head,
        head: state.head(),
        blocks: (before.blocks, now.blocks),
        slices: (before.slices, now.slices),
        bytes: (before.data_bytes, now.data_bytes),
        written_slices: chain.written.0,
        written_bytes: chain.written.1,
    };
    if outcome.head != outcome.previous_head {
        publish(dataset, &state, chain.blocks).await?;
    }
    Ok(outcome)
}

/// Stores the blocks and then moves the head, if all that the new chain names is there.
async fn publish(dataset: &PinnedDataset, state: &ChainState, blocks: Vec<EncodedBlock>) -> Result<()> {
    let storage = &dataset.storage;
    stream::iter(blocks)
        .map(|block| async move { storage.put_block(block.hash, block.bytes).await })
        .buffer_unordered(CONCURRENCY)
        .try_collect::<()>()
        .await?;
    check_complete(dataset, state.head()).await?;
    match storage.compare_and_swap_head(Some(dataset.head), state.head()).await? {
        HeadSwap::Swapped => Ok(()),
        HeadSwap::Conflict { .. } => Err(Error::new(
            ErrorKind::Conflict,
            "somebody else wrote to the dataset in the meantime; nothing was changed, try again",
        )
        .with_context("dataset", dataset.alias.to_string())),
    }
}

/// What was written, and is named by no chain yet, may have become garbage while the rest was written.
async fn check_complete(dataset: &PinnedDataset, head: Multihash) -> Result<()> {
    let storage = &dataset.storage;
    let taken = |what: String| {
        Error::new(
            ErrorKind::Conflict,
            "garbage collection took what the new history needs, and the dataset is as it was; run again, and let \
             garbage collections have a longer `--grace` than this takes",
        )
        .with_context("dataset", dataset.alias.to_string())
        .with_context("gone", what)
    };
    walk_back(storage, head, None)
        .map(|block| match block {
            Err(error) if error.kind() == jetway_odf::ErrorKind::NotFound => {
                Err(taken("a block".to_owned()).with_source(error))
            }
            block => Ok(stream::iter(NamedObject::introduced_by(&block?.block.event)).map(Ok)),
        })
        .try_flatten()
        .try_for_each_concurrent(CONCURRENCY, |object| async move {
            match storage.object_size(object.kind, &object.hash).await? {
                Some(size) if size == object.size => Ok(()),
                _ => Err(taken(object.hash.to_string())),
            }
        })
        .await
}

/// The chain to come.
struct NewChain<'a> {
    engine: &'a Engine,
    dataset: &'a PinnedDataset,
    summary: &'a DatasetSummary,
    state: Option<ChainState>,
    /// Blocks that are not in storage yet.
    blocks: Vec<EncodedBlock>,
    /// Slices and their bytes.
    written: (u64, u64),
}

impl NewChain<'_> {
    async fn take(&mut self, step: Step) -> Result<()> {
        match (self.state.take(), step) {
            (None, Step::Keep(block)) => {
                self.state = Some(ChainState::start(block.hash, &block.block)?);
            }
            (Some(mut state), Step::Keep(block)) if block.block.prev_block_hash == Some(state.head()) => {
                state.apply(block.hash, &block.block, Strictness::Read)?;
                self.state = Some(state);
            }
            (Some(state), Step::Keep(block)) => self.append(&state, block.block.event, block.block.system_time)?,
            (Some(state), Step::Merge { rows, system_time }) => {
                let event = self.merge(&state, rows).await?;
                self.append(&state, MetadataEvent::AddData(event), system_time)?;
            }
            (None, Step::Merge { .. }) => {
                return Err(Error::new(ErrorKind::Corrupt, "the chain does not start with a Seed"));
            }
        }
        Ok(())
    }

    fn append(&mut self, state: &ChainState, event: MetadataEvent, system_time: DateTime<Utc>) -> Result<()> {
        let (blocks, state) = state.append(vec![event], system_time, ManifestVersion::default())?;
        self.blocks.extend(blocks);
        self.state = Some(state);
        Ok(())
    }

    /// One event in the place of several, and one slice in the place of theirs.
    async fn merge(&mut self, state: &ChainState, rows: Vec<(AddData, DateTime<Utc>)>) -> Result<AddData> {
        let slices = rows
            .iter()
            .filter_map(|(event, time)| Some(SliceEntry::new(event.new_data.as_ref()?, *time)));
        let slices: Vec<SliceEntry> = slices.collect();
        let mut merged = events::merge(rows.into_iter().map(|(event, _)| event))?;
        if let ([first, .., last], Some(data)) = (slices.as_slice(), &mut merged.new_data) {
            *data = self
                .merge_slices(state, &slices, first.first_offset, last.last_offset)
                .await?;
            self.written.0 += 1;
            self.written.1 += data.size;
        }
        Ok(merged)
    }

    async fn merge_slices(&self, state: &ChainState, slices: &[SliceEntry], start: u64, end: u64) -> Result<DataSlice> {
        let storage = &self.dataset.storage;
        // What is wrong in storage must not get a hash that says it is right.
        let hashes = slices.iter().map(|slice| slice.physical_hash);
        let hashes: Vec<Multihash> = hashes.collect();
        stream::iter(hashes.into_iter().map(|hash| check(storage.clone(), hash)))
            .buffer_unordered(CONCURRENCY)
            .try_collect::<()>()
            .await?;
        let schema = match state.schema() {
            Some(schema) => Arc::new(schema.to_arrow()?),
            None => return Err(Error::new(ErrorKind::Corrupt, "the dataset has rows, but no schema")),
        };
        let summary = DatasetSummary {
            schema: Arc::clone(&schema),
            ..self.summary.clone()
        };
        self.engine.register_store(storage)?;
        let session = self.engine.isolated_session("rewrite");
        let columns = (0..schema.fields().len()).collect();
        let plan = DatasetFiles::new(self.dataset.clone(), Arc::new(summary)).read(&session, &columns, slices)?;
        let mut batches = execute_stream(plan, session.task_ctx())?;
        let (compute, offset_column) = (self.engine.compute.clone(), &state.vocabulary().offset);
        let mut writer = SliceWriter::new(compute, Arc::clone(&schema), storage.clone(), offset_column)?;
        while let Some(batch) = batches.next().await {
            writer.write(&crate::statement::declare(batch?, &schema)?).await?;
        }
        let file = writer.finish().await?;
        if file.rows != end - start + 1 {
            let message = "slices do not have as many rows as the chain says; verify the dataset";
            return Err(Error::new(ErrorKind::Corrupt, message).with_context("first offset", start.to_string()));
        }
        let slice = DataSlice {
            logical_hash: file.logical_hash,
            physical_hash: file.physical_hash,
            offset_interval: OffsetInterval { start, end },
            size: file.source.size(),
        };
        storage
            .put_object(ObjectKind::Data, file.physical_hash, file.source)
            .await?;
        Ok(slice)
    }
}

async fn check(storage: DatasetStorage, hash: Multihash) -> Result<()> {
    let mut object = storage.open_object(ObjectKind::Data, &hash).await?;
    let mut hasher = HashingWriter::new(std::io::sink());
    while let Some(bytes) = object.bytes.try_next().await? {
        // A sink takes everything.
        let _ = hasher.write_all(&bytes);
    }
    if hasher.finish().1.hash == hash {
        return Ok(());
    }
    let message = "a slice does not have the hash that the chain says; verify the dataset";
    Err(Error::new(ErrorKind::Corrupt, message).with_context("slice", hash.to_string()))
}
