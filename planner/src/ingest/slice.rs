//! One slice: a Parquet file and its two hashes, made in one pass over the rows on all cores.
//!
//! ```text
//!            ┌► lane: column 0 ─ encode ─┐
//!  batch ────┼► lane: column 1 ─ encode ─┼─► row group ─► file lane: write, SHA3 ─► memory or pending file
//!            ├► ...                      ┘
//!            └► hash lane: columns side by side ──────────► logical hash
//! ```
//!
//! Each column has a task of its own that encodes its pages; one more for every few columns makes their part of the logical
//! hash, because columns that are hashed side by side take little longer than one. Finished row groups are written and
//! hashed behind them. Every channel is bounded.

mod hash_lane;
mod reread;
mod sink;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, SchemaRef};
use jetway_odf::hash::{LogicalHash, LogicalHasher};
use jetway_odf::identity::Multihash;
use jetway_odf::storage::{DatasetStorage, ObjectSource};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, add_encoded_arrow_schema_to_metadata};
use parquet::basic::{Compression, Encoding};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use tokio::sync::{mpsc, oneshot};

use crate::compute::{Compute, Task};
use crate::ingest::slice::hash_lane::HashLane;
use crate::ingest::slice::sink::Sink;
use crate::statistics::FileStatistics;
use crate::{Error, ErrorKind, Result, statistics};

/// Row groups end at either limit: the first is what readers of the format expect, the second bounds memory.
const GROUP_ROWS: usize = 1024 * 1024;
const GROUP_BYTES: usize = 192 * 1024 * 1024;

/// How many pieces of a column may wait for their lane.
const PIECES_AHEAD: usize = 4;

/// A slice that is complete, but not yet in the dataset.
#[derive(Debug)]
pub(crate) struct SliceFile {
    pub(crate) source: ObjectSource,
    pub(crate) physical_hash: Multihash,
    pub(crate) logical_hash: Multihash,
    pub(crate) rows: u64,
    /// What its footer says about its columns, if that is known.
    pub(crate) statistics: Option<FileStatistics>,
}

/// Writes one slice.
#[derive(Debug)]
pub(crate) struct SliceWriter {
    compute: Compute,
    schema: SchemaRef,
    lanes: Vec<Lane>,
    hash_lanes: Vec<HashLane>,
    hash: LogicalHash,
    factory: ArrowRowGroupWriterFactory,
    file: FileLane,
    group_rows: usize,
    group_bytes: usize,
    rows: u64,
}

impl SliceWriter {
    /// A slice with the given columns. `offset_column` is stored plainly, since readers in other languages choke on the
    /// encodings that would suit it.
    pub(crate) fn new(
        compute: Compute,
        schema: SchemaRef,
        storage: DatasetStorage,
        offset_column: &str,
    ) -> Result<Self> {
        let parquet_schema = ArrowSchemaConverter::new().convert(&schema).map_err(encoding_failed)?;
        let mut properties = properties(offset_column);
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
        let file = SerializedFileWriter::new(
            Sink::new(storage),
            parquet_schema.root_schema_ptr(),
            Arc::new(properties),
        )
        .map_err(encoding_failed)?;
        let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
        let writers = column_writers(&factory, &file, 0)?;
        let (hash, hashers) = LogicalHasher::new(&schema)?.split();
        let lanes = schema
            .fields()
            .iter()
            .zip(writers)
            .map(|(field, writers)| Lane::start(&compute, Arc::clone(field), writers))
            .collect();
        let hash_lanes = HashLane::start_all(&compute, &schema, hashers);
        let file = FileLane {
            compute: compute.clone(),
            writer: Some(file),
            writing: None,
            groups: 0,
        };
        Ok(Self {
            compute,
            schema,
            lanes,
            hash_lanes,
            hash,
            factory,
            file,
            group_rows: 0,
            group_bytes: 0,
            rows: 0,
        })
    }

    /// Adds rows that have the slice's schema. Waits while the lanes are busy.
    pub(crate) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut rest = batch.clone();
        while rest.num_rows() > 0 {
            let rows = rest.num_rows().min(GROUP_ROWS - self.group_rows);
            let piece = rest.slice(0, rows);
            rest = rest.slice(rows, rest.num_rows() - rows);
            for (lane, column) in self.lanes.iter_mut().zip(piece.columns()) {
                lane.send(LaneInput::Values(Arc::clone(column))).await?;
            }
            for lane in &mut self.hash_lanes {
                lane.send(&piece).await?;
            }
            self.rows += rows as u64;
            self.group_rows += rows;
            self.group_bytes += piece.get_array_memory_size();
            if self.group_rows >= GROUP_ROWS || self.group_bytes >= GROUP_BYTES {
                self.end_group().await?;
            }
        }
        Ok(())
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes what is left and the footer.
    pub(crate) async fn finish(mut self) -> Result<SliceFile> {
        if self.group_rows > 0 {
            self.end_group().await?;
        }
        let mut hashed = Vec::with_capacity(self.lanes.len());
        for lane in self.lanes {
            lane.finish().await?;
        }
        for lane in self.hash_lanes {
            hashed.extend(lane.finish().await?);
        }
        let (writer, schema) = (self.file.idle().await?, self.schema);
        let (source, physical_hash, structs, statistics) = self
            .compute
            .block(move || {
                let statistics = statistics::of_row_groups(writer.schema_descr(), writer.flushed_row_groups());
                let (source, hash) = writer.into_inner().map_err(encoding_failed)?.finish()?;
                let structs = reread::struct_digests(&schema, &source)?;
                Ok((source, hash, structs, statistics))
            })
            .await?;
        let logical_hash = self.hash.finish(hashed.into_iter().chain(structs))?;
        Ok(SliceFile {
            source,
            physical_hash,
            logical_hash,
            rows: self.rows,
            statistics: Some(statistics),
        })
    }

    async fn end_group(&mut self) -> Result<()> {
        let file = self.file.idle().await?;
        let next = column_writers(&self.factory, &file, self.file.groups + 1)?;
        self.file.writer = Some(file);
        let mut ended = Vec::with_capacity(self.lanes.len());
        for (lane, writers) in self.lanes.iter_mut().zip(next) {
            let (done, chunks) = oneshot::channel();
            lane.send(LaneInput::EndGroup { next: writers, done }).await?;
            ended.push(chunks);
        }
        let mut chunks = Vec::new();
        for (lane, ended) in self.lanes.iter_mut().zip(ended) {
            match ended.await {
                Ok(more) => chunks.extend(more),
                Err(_) => return Err(lane.failure().await),
            }
        }
        self.file.append(chunks).await?;
        self.group_rows = 0;
        self.group_bytes = 0;
        Ok(())
    }
}

/// What a lane is told.
enum LaneInput {
    Values(ArrayRef),
    EndGroup {
        next: Vec<ArrowColumnWriter>,
        done: oneshot::Sender<Vec<ArrowColumnChunk>>,
    },
}

/// The task that encodes one column, with everything nested in it.
#[derive(Debug)]
struct Lane {
    sender: Option<mpsc::Sender<LaneInput>>,
    task: Option<Task<Result<()>>>,
}

impl Lane {
    fn start(compute: &Compute, field: FieldRef, mut writers: Vec<ArrowColumnWriter>) -> Self {
        let (sender, mut inputs) = mpsc::channel(PIECES_AHEAD);
        let task = compute.spawn(async move {
            while let Some(input) = inputs.recv().await {
                match input {
                    LaneInput::Values(values) => {
                        let leaves = compute_leaves(&field, &values).map_err(encoding_failed)?;
                        for (leaf, writer) in leaves.iter().zip(&mut writers) {
                            writer.write(leaf).map_err(encoding_failed)?;
                        }
                    }
                    LaneInput::EndGroup { next, done } => {
                        let full = std::mem::replace(&mut writers, next);
                        let chunks = full
                            .into_iter()
                            .map(ArrowColumnWriter::close)
                            .collect::<Result<Vec<_>, _>>();
                        // Nobody waits any more when the ingest was given up.
                        let _ = done.send(chunks.map_err(encoding_failed)?);
                    }
                }
            }
            Ok(())
        });
        Self {
            sender: Some(sender),
            task: Some(task),
        }
    }

    async fn send(&mut self, input: LaneInput) -> Result<()> {
        let sent = match &self.sender {
            Some(sender) => sender.send(input).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { Err(self.failure().await) }
    }

    /// Why the lane stopped before it was told to.
    async fn failure(&mut self) -> Error {
        let stopped = || Error::new(ErrorKind::Internal, "a column's encoder stopped early");
        match self.task.take() {
            Some(task) => match task.join().await {
                Ok(Err(error)) | Err(error) => error,
                Ok(Ok(())) => stopped(),
            },
            None => stopped(),
        }
    }

    async fn finish(mut self) -> Result<()> {
        self.sender = None;
        match self.task.take() {
            Some(task) => task.join().await?,
            None => Err(self.failure().await),
        }
    }
}

/// Writes row groups one after the other, while the lanes encode the next one.
#[derive(Debug)]
struct FileLane {
    compute: Compute,
    writer: Option<SerializedFileWriter<Sink>>,
    writing: Option<Task<Result<SerializedFileWriter<Sink>>>>,
    groups: usize,
}

impl FileLane {
    /// The writer, when all row groups that were given to it are written.
    async fn idle(&mut self) -> Result<SerializedFileWriter<Sink>> {
        if let Some(task) = self.writing.take() {
            return task.join().await?;
        }
        self.writer
            .take()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the slice's file failed before"))
    }

    async fn append(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<()> {
        let mut writer = self.idle().await?;
        let compute = self.compute.clone();
        self.groups += 1;
        self.writing = Some(self.compute.spawn(async move {
            let write = move || {
                let mut group = writer.next_row_group().map_err(encoding_failed)?;
                for chunk in chunks {
                    chunk.append_to_row_group(&mut group).map_err(encoding_failed)?;
                }
                group.close().map_err(encoding_failed)?;
                Ok(writer)
            };
            compute.block(write).await
        }));
        Ok(())
    }
}

/// Writers for a row group, one list for each top-level column.
fn column_writers(
    factory: &ArrowRowGroupWriterFactory,
    file: &SerializedFileWriter<Sink>,
    group: usize,
) -> Result<Vec<Vec<ArrowColumnWriter>>> {
    let leaves = factory.create_column_writers(group).map_err(encoding_failed)?;
    let schema = file.schema_descr();
    let mut columns: Vec<Vec<ArrowColumnWriter>> = Vec::new();
    columns.resize_with(schema.root_schema().get_fields().len(), Vec::new);
    for (index, leaf) in leaves.into_iter().enumerate() {
        if let Some(column) = columns.get_mut(schema.get_column_root_idx(index)) {
            column.push(leaf);
        }
    }
    Ok(columns)
}

/// What other ODF software writes, so that it reads our files as fast as its own.
fn properties(offset_column: &str) -> WriterProperties {
    let offset = ColumnPath::from(offset_column);
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::SNAPPY)
        .set_column_dictionary_enabled(offset.clone(), false)
        .set_column_encoding(offset, Encoding::PLAIN)
        .build()
}

fn encoding_failed(error: ParquetError) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(io) => {
                Error::new(ErrorKind::Unavailable, "a slice cannot be written; is the disk full?").with_source(*io)
            }
            Err(source) => Error::new(ErrorKind::Internal, "a slice cannot be encoded").with_source(source),
        },
        other => Error::new(ErrorKind::Internal, format!("a slice cannot be encoded: {other}")).with_source(other),
    }
}
