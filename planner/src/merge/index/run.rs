//! A run in a file: sorted entries in blocks that are read one by one.
//!
//! ```text
//!  block 0 | block 1 | ... | filter 0 | filter 1 | ... | footer
//! ```
//!
//! A block is an Arrow IPC stream of one batch, compressed as a whole; each has a checksum in the footer, which is such a stream
//! too and has the first key and the end of each block. Filters tell that a key is not in a block without reading it.
//! The manifest has the checksum of filters and footer.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::buffer::Buffer;
use arrow::compute::BatchCoalescer;
use arrow::datatypes::{SchemaRef, UInt32Type, UInt64Type};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use jetway_odf::storage::DerivedStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt};
use parquet::bloom_filter::Sbbf;
use tokio::io::AsyncWriteExt;

use crate::merge::Batches;
use crate::merge::columns::keys;
use crate::merge::index::damage::Damaged;
use crate::merge::index::layout::Layout;
use crate::merge::index::manifest::RunRecord;
use crate::merge::index::version::{Found, lower_bound};
use crate::merge::index::{Options, count_read};
use crate::{Error, ErrorKind, Result};

/// How many such reads of a scan are on their way at the same time.
const READS_AHEAD: usize = 2;

/// Bytes of a filter for each row of a block: with two, one key in a thousand is looked for in vain.
const FILTER_BYTES_PER_ROW: usize = 2;

/// Filters of a run that are larger together, in bytes, are left out: they would have to stay in memory.
const MAX_FILTER_BYTES: usize = 64 * 1024 * 1024;

/// A filter has a multiple of so many bytes.
const FILTER_UNIT: usize = 32;

/// How many blocks are read at once.
const BLOCKS_AT_ONCE: usize = 64;

/// The same in bytes, unless one block has more.
const BYTES_AT_ONCE: u64 = 16 << 20;

/// A run in storage, of which list of blocks and filters are in memory.
pub(super) struct StoredRun {
    record: RunRecord,
    store: DerivedStore,
    path: Path,
    schema: SchemaRef,
    /// First key of each block, and behind them the last key of the run.
    bounds: BinaryArray,
    /// Where each block ends.
    ends: UInt64Array,
    checksums: UInt32Array,
    filters: Vec<Sbbf>,
}

impl fmt::Debug for StoredRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredRun")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

impl StoredRun {
    /// Reads the list of blocks and the filters.
    pub(super) async fn open(store: &DerivedStore, layout: &Layout, record: RunRecord) -> Result<Self> {
        let path = store.path(&layout.file(&record.name));
        let tail = read(
            store,
            &path,
            &record,
            std::slice::from_ref(&(record.filters..record.size)),
        )
        .await?;
        let tail = tail.into_iter().next().unwrap_or_default();
        if crc32fast::hash(&tail) != record.crc {
            return Err(Damaged::error(&record.name, "its footer has another checksum"));
        }
        Self::new(store, path, layout, record, &tail)
    }

    fn new(store: &DerivedStore, path: Path, layout: &Layout, record: RunRecord, tail: &[u8]) -> Result<Self> {
        let wrong = || Damaged::error(&record.name, "its footer cannot be read");
        let filters = usize::try_from(record.footer.saturating_sub(record.filters)).map_err(|_| wrong())?;
        let (filters, footer) = tail.split_at_checked(filters).ok_or_else(wrong)?;
        let footer = unpack(footer).ok_or_else(wrong)?;
        let (Some(bounds), Some(ends), Some(checksums)) = (
            footer
                .columns()
                .first()
                .and_then(|column| column.as_binary_opt::<i32>()),
            footer
                .columns()
                .get(1)
                .and_then(|column| column.as_primitive_opt::<UInt64Type>()),
            footer
                .columns()
                .get(2)
                .and_then(|column| column.as_primitive_opt::<UInt32Type>()),
        ) else {
            return Err(wrong());
        };
        let blocks = bounds.len().checked_sub(1).ok_or_else(wrong)?;
        let filters: Vec<Sbbf> = match filters.len().checked_div(blocks) {
            None | Some(0) => Vec::new(),
            Some(length) if length % FILTER_UNIT != 0 => return Err(wrong()),
            Some(length) => filters.chunks_exact(length).map(Sbbf::new).collect(),
        };
        if !filters.is_empty() && filters.len() != blocks {
            return Err(wrong());
        }
        Ok(Self {
            bounds: bounds.clone(),
            ends: ends.clone(),
            checksums: checksums.clone(),
            filters,
            store: store.clone(),
            path,
            schema: Arc::clone(&layout.entries),
            record,
        })
    }

    pub(super) fn record(&self) -> &RunRecord {
        &self.record
    }

    pub(super) fn name(&self) -> &str {
        &self.record.name
    }

    pub(super) fn rows(&self) -> u64 {
        self.record.rows
    }

    /// Memory that it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        let filters = self.record.footer.saturating_sub(self.record.filters);
        usize::try_from(filters).unwrap_or(usize::MAX) + self.bounds.get_array_memory_size() + 12 * self.ends.len()
    }

    /// Looks up the keys with the numbers `open`, in order.
    pub(super) async fn find(&self, wanted: &BinaryArray, open: &[usize], found: &mut Found) -> Result<()> {
        let mut blocks: Vec<(usize, Vec<usize>)> = Vec::new();
        for index in open {
            let key = wanted.value(*index);
            let Some(block) = self.block_of(key).filter(|block| self.may_hold(*block, key)) else {
                continue;
            };
            match blocks.last_mut() {
                Some((last, keys)) if *last == block => keys.push(*index),
                _ => blocks.push((block, vec![*index])),
            }
        }
        for some in self.at_once(blocks, |(block, _)| *block) {
            let numbers: Vec<usize> = some.iter().map(|(block, _)| *block).collect();
            let bytes = self.fetch(&numbers).await?;
            for ((block, keys), bytes) in some.iter().zip(bytes) {
                found.search(&self.decode(*block, &bytes)?, wanted, keys)?;
            }
        }
        Ok(())
    }

    /// The entries behind a key.
    pub(super) fn scan(run: &Arc<Self>, after: Option<&[u8]>) -> Batches {
        let run = Arc::clone(run);
        let first = after.map_or(0, |after| run.block_of(after).unwrap_or(0));
        let after = after.map(<[u8]>::to_vec);
        let windows = run.at_once((first..run.blocks()).collect(), |block| *block);
        let entries = stream::iter(windows)
            .map(move |numbers| {
                let run = Arc::clone(&run);
                async move {
                    let bytes = run.fetch(&numbers).await?;
                    let blocks = numbers.into_iter().zip(bytes);
                    Ok::<_, Error>(stream::iter(blocks).map(move |(block, bytes)| run.decode(block, &bytes)))
                }
            })
            .buffered(READS_AHEAD)
            .try_flatten()
            .map(move |entries| {
                let entries = entries?;
                let Some(after) = &after else { return Ok(entries) };
                let start = lower_bound(keys(&entries)?, 0..entries.num_rows(), |key| key > after.as_slice());
                Ok(entries.slice(start, entries.num_rows() - start))
            });
        entries.boxed()
    }

    /// Blocks in groups that are read at once.
    fn at_once<T>(&self, blocks: Vec<T>, number: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
        let mut groups: Vec<Vec<T>> = Vec::new();
        let mut bytes = 0_u64;
        for block in blocks {
            let range = self.range(number(&block));
            bytes = bytes.saturating_add(range.end.saturating_sub(range.start));
            match groups.last_mut() {
                Some(group) if group.len() < BLOCKS_AT_ONCE && bytes <= BYTES_AT_ONCE => group.push(block),
                _ => {
                    bytes = range.end.saturating_sub(range.start);
                    groups.push(vec![block]);
                }
            }
        }
        groups
    }

    /// Where a block is in the file.
    fn range(&self, block: usize) -> Range<u64> {
        let start = block.checked_sub(1).map_or(0, |before| self.ends.value(before));
        start..self.ends.value(block)
    }

    fn blocks(&self) -> usize {
        self.bounds.len() - 1
    }

    /// The only block that can hold a key; none if it is before the first or behind the last.
    fn block_of(&self, key: &[u8]) -> Option<usize> {
        let blocks = self.blocks();
        if blocks == 0 || key > self.bounds.value(blocks) {
            return None;
        }
        // The last key of the run, which is behind them, is no start of a block.
        let behind = lower_bound(&self.bounds, 0..blocks, |first| first > key);
        behind.checked_sub(1)
    }

    fn may_hold(&self, block: usize, key: &[u8]) -> bool {
        self.filters.get(block).is_none_or(|filter| filter.check(key))
    }

    async fn fetch(&self, blocks: &[usize]) -> Result<Vec<Bytes>> {
        let ranges: Vec<Range<u64>> = blocks.iter().map(|block| self.range(*block)).collect();
        read(&self.store, &self.path, &self.record, &ranges).await
    }

    fn decode(&self, block: usize, bytes: &[u8]) -> Result<RecordBatch> {
        if crc32fast::hash(bytes) != self.checksums.value(block) {
            return Err(Damaged::error(&self.record.name, "a block has another checksum"));
        }
        unpack(bytes)
            .filter(|entries| entries.schema_ref() == &self.schema)
            .ok_or_else(|| Damaged::error(&self.record.name, "a block cannot be read"))
    }
}

/// Writes sorted entries into a new file; none if there are no entries.
pub(super) async fn write(
    store: &DerivedStore,
    layout: &Layout,
    options: &Options,
    entries: Batches,
) -> Result<Option<StoredRun>> {
    let name = format!("{}.run", uuid::Uuid::new_v4().simple());
    let path = store.path(&layout.file(&name));
    let mut writer = RunWriter::new(store, &path, options);
    if let Err(error) = writer.blocks(layout, options, entries).await {
        // A store that takes large files in parts would keep them.
        if let Err(error) = writer.file.abort().await {
            tracing::debug!(file = %path, error = %error, "an unfinished file of a key index cannot be given up");
        }
        return Err(error);
    }
    let Some((record, tail)) = writer.finish(name).await? else {
        return Ok(None);
    };
    StoredRun::new(store, path, layout, record, &tail).map(Some)
}

/// A file that is being written.
struct RunWriter {
    file: BufWriter,
    rows: u64,
    end: u64,
    bounds: Vec<Vec<u8>>,
    last_key: Vec<u8>,
    ends: Vec<u64>,
    checksums: Vec<u32>,
    filter_bytes: usize,
    filters: Vec<u8>,
}

impl RunWriter {
    fn new(store: &DerivedStore, path: &Path, options: &Options) -> Self {
        Self {
            file: BufWriter::new(Arc::clone(store.store()), path.clone()),
            rows: 0,
            end: 0,
            bounds: Vec::new(),
            last_key: Vec::new(),
            ends: Vec::new(),
            checksums: Vec::new(),
            filter_bytes: options.block_rows * FILTER_BYTES_PER_ROW,
            filters: Vec::new(),
        }
    }

    async fn blocks(&mut self, layout: &Layout, options: &Options, mut entries: Batches) -> Result<()> {
        let mut blocks = BatchCoalescer::new(Arc::clone(&layout.entries), options.block_rows);
        while let Some(batch) = entries.try_next().await? {
            blocks.push_batch(batch)?;
            while let Some(block) = blocks.next_completed_batch() {
                self.block(&block).await?;
            }
        }
        blocks.finish_buffered_batch()?;
        while let Some(block) = blocks.next_completed_batch() {
            self.block(&block).await?;
        }
        Ok(())
    }

    async fn block(&mut self, entries: &RecordBatch) -> Result<()> {
        let Some(last) = entries.num_rows().checked_sub(1) else {
            return Ok(());
        };
        let keys = keys(entries)?;
        self.bounds.push(keys.value(0).to_vec());
        keys.value(last).clone_into(&mut self.last_key);
        if (self.bounds.len() * self.filter_bytes) <= MAX_FILTER_BYTES {
            let mut filter = Sbbf::new_with_num_of_bytes(self.filter_bytes);
            for key in keys.iter().flatten() {
                filter.insert(key);
            }
            filter.write_bitset(&mut self.filters)?;
        } else {
            self.filters = Vec::new();
        }
        let bytes = pack(entries)?;
        self.checksums.push(crc32fast::hash(&bytes));
        self.write(&bytes).await?;
        self.ends.push(self.end);
        self.rows += entries.num_rows() as u64;
        Ok(())
    }

    /// Ends the file; gives what is behind the blocks too.
    async fn finish(mut self, name: String) -> Result<Option<(RunRecord, Vec<u8>)>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let filters = self.end;
        let footer = filters + self.filters.len() as u64;
        let bounds = self.bounds.iter().chain([&self.last_key]);
        let bounds: ArrayRef = Arc::new(BinaryArray::from_iter_values(bounds));
        let ends = self.ends.iter().copied().chain([filters]);
        let ends: ArrayRef = Arc::new(UInt64Array::from_iter_values(ends));
        let checksums = self.checksums.iter().copied().chain([0]);
        let checksums: ArrayRef = Arc::new(UInt32Array::from_iter_values(checksums));
        let list = RecordBatch::try_from_iter([("bound", bounds), ("end", ends), ("crc", checksums)])?;
        let mut tail = std::mem::take(&mut self.filters);
        tail.extend(pack(&list)?);
        self.write(&tail).await?;
        self.file.shutdown().await.map_err(cannot_write)?;
        let record = RunRecord {
            name,
            rows: self.rows,
            filters,
            footer,
            size: self.end,
            crc: crc32fast::hash(&tail),
        };
        Ok(Some((record, tail)))
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).await.map_err(cannot_write)?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// Reads parts of a file, which has to be there in full length.
async fn read(store: &DerivedStore, path: &Path, record: &RunRecord, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
    let read = match store.store().get_ranges(path, ranges).await {
        Ok(read) => read,
        Err(StoreError::NotFound { .. }) => return Err(Damaged::error(&record.name, "it is gone")),
        Err(error) => {
            // Whether it is the file or the storage that fails.
            return match store.store().head(path).await {
                Ok(meta) if meta.size == record.size => Err(cannot_read(error)),
                Ok(_) => Err(Damaged::error(&record.name, "it has another length")),
                Err(_) => Err(cannot_read(error)),
            };
        }
    };
    let lengths = |bytes: &Bytes, range: &Range<u64>| bytes.len() as u64 == range.end.saturating_sub(range.start);
    if read.len() != ranges.len() || !read.iter().zip(ranges).all(|(bytes, range)| lengths(bytes, range)) {
        return Err(Damaged::error(&record.name, "it is too short"));
    }
    count_read(read.iter().map(|bytes| bytes.len() as u64).sum());
    Ok(read)
}

fn pack(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    writer.write(batch)?;
    // Not by way of the writer's own option: that compresses, and later allocates, for each of many small buffers.
    Ok(lz4_flex::block::compress_prepend_size(&writer.into_inner()?))
}

/// The only batch of a stream; none if the bytes are not that.
fn unpack(bytes: &[u8]) -> Option<RecordBatch> {
    let mut plain = Buffer::from_vec(lz4_flex::block::decompress_size_prepended(bytes).ok()?);
    StreamDecoder::new().decode(&mut plain).ok()?
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the key index of the dataset cannot be written").with_source(error)
}

fn cannot_read(error: StoreError) -> Error {
    Error::new(ErrorKind::Unavailable, "the key index of the dataset cannot be read").with_source(error)
}
