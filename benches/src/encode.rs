//! The limit of writing: encoding and hashing in this process, from memory to memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use arrow::array::RecordBatch;
use jetway_odf::hash::LogicalHasher;
use jetway_odf::identity::Multihash;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterVersion};

/// How long each part takes, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    /// Arrow to Parquet, one thread.
    pub(crate) encode: f64,
    /// SHA3-256 of the file.
    pub(crate) physical: f64,
    /// The logical hash.
    pub(crate) logical: f64,
    /// All three on two threads: one encodes and then hashes the file, the other makes the logical hash.
    pub(crate) two_threads: f64,
}

impl Parts {
    /// What two threads need at best, with the work divided evenly and no waiting.
    pub(crate) fn even(&self) -> f64 {
        (self.encode + self.physical + self.logical) / 2.0
    }
}

pub(crate) fn measure(file: &Path) -> Result<Parts> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file)?)?
        .with_batch_size(64 * 1024)
        .build()?;
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>()?;
    let (encode, bytes) = timed(|| encode(&batches))?;
    let (physical, _) = timed(|| Ok(Multihash::sha3_256(&bytes)))?;
    let (logical, _) = timed(|| logical_hash(&batches))?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| logical_hash(&batches));
        let bytes = self::encode(&batches)?;
        std::hint::black_box(Multihash::sha3_256(&bytes));
        other.join().map_err(|_| anyhow!("hashing failed"))?
    })?;
    Ok(Parts {
        encode,
        physical,
        logical,
        two_threads: start.elapsed().as_secs_f64(),
    })
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let start = Instant::now();
    let result = work()?;
    Ok((start.elapsed().as_secs_f64(), result))
}

fn encode(batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let schema = batches
        .first()
        .map(RecordBatch::schema)
        .ok_or_else(|| anyhow!("the file is empty"))?;
    let properties = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?)
}

fn logical_hash(batches: &[RecordBatch]) -> Result<()> {
    let schema = batches
        .first()
        .map(RecordBatch::schema)
        .ok_or_else(|| anyhow!("the file is empty"))?;
    let mut hasher = LogicalHasher::new(&Arc::clone(&schema))?;
    for batch in batches {
        hasher.update(batch)?;
    }
    std::hint::black_box(hasher.finish()?);
    Ok(())
}
