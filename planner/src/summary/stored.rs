//! Summaries in storage, so that a process that starts reads the newest blocks only.
//!
//! ```text
//!  cache/summary/head             where the chain was, what it adds up to, names of the files below, the newest slices
//!  cache/summary/<random>.slices  1024 slices and what is known about their columns; never changes
//! ```
//!
//! Whoever writes adds files of full chunks that are not in storage yet and then replaces `head`. Nothing here is needed: what is
//! damaged, of another version or of another chain counts as not there, and is made again from the blocks.

mod encoding;

use std::collections::HashSet;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{self, StreamExt, TryStreamExt};
use jetway_odf::chain::ChainState;
use jetway_odf::identity::{DatasetId, Multihash};
use jetway_odf::storage::{DatasetStorage, Garbage, GarbageOptions};
use serde::{Deserialize, Serialize};

use self::encoding::{Decoder, Encoder};
use crate::ingest::Receipts;
use crate::statistics::KnownStatistics;
use crate::summary::list::{Chunk, SLICES_PER_CHUNK, SliceList};
use crate::summary::{DatasetSummary, Seen, SliceEntry};
use crate::{Error, ErrorKind, Result};

const FOLDER: &str = "summary";
const HEAD: &str = "summary/head";

/// The first bytes of every file.
const MAGIC: &[u8; 8] = b"jwsummry";

/// Raised when files are made differently. Those of other versions count as not there.
const VERSION: u32 = 1;

/// Largest files that are read. A slice takes up to 600 bytes; the head has names of some 150 bytes for each 1024 slices, the
/// newest slices, and whatever the chain's own metadata is.
const MAX_HEAD_BYTES: u64 = 64 << 20;
const MAX_CHUNK_BYTES: u64 = 4 << 20;

/// How many files are on their way at the same time.
const CONCURRENT_FILES: usize = 8;

/// A chunk is written again when so many more of its slices are known, or all are.
const WORTH_WRITING: u32 = 256;

/// How long a file stays that the head does not name, for those who are reading it.
const GRACE: TimeDelta = TimeDelta::hours(24);

/// The file that a chunk of slices is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredChunk {
    name: String,
    /// SHA3-256 of all its bytes.
    checksum: Multihash,
    /// Of how many of its slices the columns are known.
    known: u32,
}

/// What `head` says beside the newest slices.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredHead {
    dataset: DatasetId,
    state: ChainState,
    merges: bool,
    receipts: Receipts,
    chunks: Vec<StoredChunk>,
}

/// The summary in storage, at whatever head it was written; none if there is none that can be used.
///
/// # Errors
/// Those of storage.
pub(super) async fn load(storage: &DatasetStorage, known: &KnownStatistics) -> Result<Option<DatasetSummary>> {
    match read(storage, known).await {
        Ok(summary) => Ok(summary),
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            metrics::counter!("jetway_summaries_damaged_total").increment(1);
            tracing::warn!(dataset.id = %storage.id(), %error, "the stored summary cannot be used; it is made anew from the chain");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn read(storage: &DatasetStorage, known: &KnownStatistics) -> Result<Option<DatasetSummary>> {
    let Some(bytes) = storage.derived().read(HEAD, MAX_HEAD_BYTES).await? else {
        return Ok(None);
    };
    let Some(content) = open(&bytes)? else {
        tracing::info!(dataset.id = %storage.id(), "the stored summary is of another version; it is made anew");
        return Ok(None);
    };
    let mut decoder = Decoder::new(content);
    let head: StoredHead = serde_json::from_slice(decoder.block()?)
        .map_err(|error| damaged("the head of a summary cannot be understood").with_source(error))?;
    if head.dataset != *storage.id() || head.state.id() != head.dataset {
        return Err(damaged("the stored summary is that of another dataset"));
    }
    let tail = decoder.slices(SLICES_PER_CHUNK - 1)?;
    let names = head.chunks.into_iter().map(|stored| read_chunk(storage, stored, known));
    let chunks: Vec<Chunk> = stream::iter(names).buffered(CONCURRENT_FILES).try_collect().await?;
    let mut slices = SliceList::of_chunks(chunks);
    for (slice, _) in &tail {
        slices.push(*slice);
    }
    check(&slices, &head.state)?;
    known.extend(statistics(tail));
    let seen = Seen {
        slices,
        merges: head.merges,
        receipts: head.receipts,
    };
    Ok(Some(DatasetSummary::new(head.state, seen, None)?))
}

async fn read_chunk(storage: &DatasetStorage, stored: StoredChunk, known: &KnownStatistics) -> Result<Chunk> {
    let gone = || damaged("a file of a summary is gone").with_context("file", stored.name.clone());
    let read = storage.derived().read(&stored.name, MAX_CHUNK_BYTES).await?;
    let bytes = read.ok_or_else(gone)?;
    if Multihash::sha3_256(&bytes) != stored.checksum {
        return Err(damaged("a file of a summary does not have its checksum").with_context("file", stored.name));
    }
    let content = open(&bytes)?.ok_or_else(|| damaged("the files of a summary are of different versions"))?;
    let slices = Decoder::new(content).slices(SLICES_PER_CHUNK)?;
    if slices.len() != SLICES_PER_CHUNK {
        return Err(damaged("a file of a summary is cut off").with_context("file", stored.name));
    }
    let entries = slices.iter().map(|(slice, _)| *slice).collect();
    known.extend(statistics(slices));
    Ok(Chunk::new(entries, Some(stored)))
}

type Described = (SliceEntry, Option<crate::statistics::FileStatistics>);

fn statistics(slices: Vec<Described>) -> impl Iterator<Item = (Multihash, crate::statistics::FileStatistics)> {
    let known = slices.into_iter();
    known.filter_map(|(slice, statistics)| Some((slice.physical_hash, statistics?)))
}

/// Whether the slices are those that the chain adds up to.
fn check(slices: &SliceList, state: &ChainState) -> Result<()> {
    let mut next = None;
    for slice in slices.iter() {
        if slice.last_offset < slice.first_offset || next.is_some_and(|next| slice.first_offset < next) {
            return Err(damaged("the slices of a summary overlap"));
        }
        next = slice.last_offset.checked_add(1);
    }
    let last = slices.last().map(|slice| slice.last_offset);
    if slices.len() as u64 != state.counts().slices || last != state.last_offset() {
        return Err(damaged("a summary does not have all slices"));
    }
    Ok(())
}

/// Puts a summary into storage: files of full chunks that are not there, and then the head.
///
/// # Errors
/// Those of storage.
pub(super) async fn store(
    storage: &DatasetStorage,
    summary: &DatasetSummary,
    known: &KnownStatistics,
    now: DateTime<Utc>,
) -> Result<()> {
    let present = files(storage).await?;
    let names: HashSet<&str> = present.iter().map(|file| file.path.as_str()).collect();
    let mut chunks = Vec::with_capacity(summary.slices.chunks().len());
    for chunk in summary.slices.chunks() {
        // Somebody may have removed what is derived.
        let stored = chunk.stored().filter(|stored| names.contains(stored.name.as_str()));
        let stored = match stored {
            Some(stored) if !is_worth_writing(chunk, &stored, known) => stored,
            _ => {
                let stored = write_chunk(storage, chunk, known).await?;
                chunk.set_stored(stored.clone());
                stored
            }
        };
        chunks.push(stored);
    }
    let head = StoredHead {
        dataset: *storage.id(),
        state: summary.state.clone(),
        merges: !summary.only_appends,
        receipts: summary.receipts.clone(),
        chunks,
    };
    let json = serde_json::to_vec(&head)
        .map_err(|error| Error::new(ErrorKind::Internal, "a summary cannot be encoded").with_source(error))?;
    let tail: Vec<SliceEntry> = summary.slices.tail().copied().collect();
    let mut encoder = Encoder::default();
    encoder.block(&json);
    encoder.slices(&tail, &known.get(tail.iter().map(|slice| &slice.physical_hash)));
    let bytes = seal(encoder.finish());
    if bytes.len() as u64 > MAX_HEAD_BYTES {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            "a summary is too large to be stored",
        ));
    }
    storage.derived().write(HEAD, bytes).await?;
    metrics::counter!("jetway_summaries_stored_total").increment(1);
    for file in unnamed(&present, &head, now - GRACE) {
        storage.derived().remove(&file.path).await?;
    }
    Ok(())
}

fn is_worth_writing(chunk: &Chunk, stored: &StoredChunk, known: &KnownStatistics) -> bool {
    if stored.known as usize == SLICES_PER_CHUNK {
        return false;
    }
    let found = known.get(chunk.slices().iter().map(|slice| &slice.physical_hash));
    let count = found.iter().flatten().count();
    count == SLICES_PER_CHUNK || count >= (stored.known + WORTH_WRITING) as usize
}

async fn write_chunk(storage: &DatasetStorage, chunk: &Chunk, known: &KnownStatistics) -> Result<StoredChunk> {
    let statistics = known.get(chunk.slices().iter().map(|slice| &slice.physical_hash));
    let mut encoder = Encoder::default();
    encoder.slices(chunk.slices(), &statistics);
    let bytes = seal(encoder.finish());
    let stored = StoredChunk {
        name: format!("{FOLDER}/{}.slices", uuid::Uuid::new_v4().simple()),
        checksum: Multihash::sha3_256(&bytes),
        known: u32::try_from(statistics.iter().flatten().count()).unwrap_or(0),
    };
    storage.derived().write(&stored.name, bytes).await?;
    Ok(stored)
}

/// Finds files that the head has not named for longer than a grace period, and removes them unless it is a dry run.
///
/// # Errors
/// Those of storage.
pub(crate) async fn collect_garbage(storage: &DatasetStorage, options: &GarbageOptions) -> Result<Vec<Garbage>> {
    let present = files(storage).await?;
    let Some(bytes) = storage.derived().read(HEAD, MAX_HEAD_BYTES).await? else {
        return Ok(Vec::new());
    };
    // What cannot be understood is replaced as a whole before anything is removed.
    let Ok(Some(content)) = open(&bytes) else {
        return Ok(Vec::new());
    };
    let Ok(head) = Decoder::new(content).block().map(serde_json::from_slice::<StoredHead>) else {
        return Ok(Vec::new());
    };
    let Ok(head) = head else { return Ok(Vec::new()) };
    let mut garbage = Vec::new();
    for file in unnamed(&present, &head, options.now - options.grace) {
        if !options.dry_run {
            storage.derived().remove(&file.path).await?;
        }
        garbage.push(Garbage {
            path: format!("cache/{}", file.path),
            size: file.size,
            last_modified: file.last_modified,
        });
    }
    Ok(garbage)
}

/// Files of chunks, by their names among what is derived.
async fn files(storage: &DatasetStorage) -> Result<Vec<Garbage>> {
    let listed = storage.derived().list(FOLDER);
    let files = listed.try_filter_map(|object| async move {
        let name = object.location.filename().filter(|name| name.ends_with(".slices"));
        Ok(name.map(|name| Garbage {
            path: format!("{FOLDER}/{name}"),
            size: object.size,
            last_modified: object.last_modified,
        }))
    });
    Ok(files.try_collect().await?)
}

fn unnamed<'a>(present: &'a [Garbage], head: &StoredHead, before: DateTime<Utc>) -> impl Iterator<Item = &'a Garbage> {
    let named: HashSet<String> = head.chunks.iter().map(|chunk| chunk.name.clone()).collect();
    let old = present.iter().filter(move |file| file.last_modified < before);
    old.filter(move |file| !named.contains(&file.path))
}

/// A file: magic bytes, version, checksum of the content, content.
fn seal(content: Vec<u8>) -> Bytes {
    let mut bytes = Vec::with_capacity(content.len() + 44);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(Multihash::sha3_256(&content).digest());
    bytes.extend_from_slice(&content);
    bytes.into()
}

/// The content of a file; none if it is of another version.
fn open(bytes: &[u8]) -> Result<Option<&[u8]>> {
    let cut_off = || damaged("a file of a summary is cut off");
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut_off)?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
    if magic != MAGIC {
        return Err(damaged("a file in the folder of summaries is none"));
    }
    if u32::from_le_bytes(*version) != VERSION {
        return Ok(None);
    }
    let (checksum, content) = rest.split_first_chunk::<32>().ok_or_else(cut_off)?;
    if Multihash::sha3_256(content).digest() != checksum {
        return Err(damaged("a file of a summary does not have its checksum"));
    }
    Ok(Some(content))
}

fn damaged(message: &str) -> Error {
    Error::new(ErrorKind::Corrupt, message.to_owned())
}
