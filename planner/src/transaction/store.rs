//! The files of transactions.
//!
//! ```text
//! transactions/
//! └── <uuid v7>/              the time in it says when it began
//!     ├── 000000-<uuid>.arrow rows, as a compressed Arrow IPC stream
//!     ├── 000000-<uuid>.json  where they go; written last, so a part is complete when this is there
//!     ├── decision            whether it was committed or rolled back; made once, never changed but to `undone`
//!     └── done                there when all datasets have their rows
//! ```

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use jetway_odf::storage::ScratchStore;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::compute::Compute;
use crate::transaction::{Part, TransactionId};
use crate::{BatchStream, Error, ErrorKind, Result};

const ROOT: &str = "transactions";
const DECISION: &str = "decision";
const DONE: &str = "done";
const ROWS: &str = ".arrow";
const DESCRIPTION: &str = ".json";

/// Encoded bytes that are kept back before they go to the store.
const BUFFER_BYTES: usize = 1024 * 1024;

/// What was said at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Decision {
    Commit,
    Rollback,
    /// A commit failed before anything was committed.
    Undone,
}

/// A part that is complete, and the name that its files have in common.
#[derive(Debug, Clone)]
pub(super) struct StoredPart {
    pub(super) part: Part,
    pub(super) name: String,
}

/// The folder of one transaction.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    scratch: ScratchStore,
    path: Path,
}

impl Folder {
    pub(super) fn new(scratch: &ScratchStore, id: &TransactionId) -> Self {
        Self {
            scratch: scratch.clone(),
            path: Path::from_iter([ROOT.to_owned(), id.to_string()]),
        }
    }

    /// All transactions of which anything is left.
    pub(super) async fn all(scratch: &ScratchStore) -> Result<Vec<TransactionId>> {
        let listed = scratch
            .store()
            .list_with_delimiter(Some(&Path::from(ROOT)))
            .await
            .map_err(failed)?;
        let names = listed.common_prefixes.iter().filter_map(|folder| folder.filename());
        Ok(names.filter_map(|name| name.parse().ok().map(TransactionId)).collect())
    }

    /// The complete parts, in order.
    pub(super) async fn parts(&self) -> Result<Vec<StoredPart>> {
        let mut names: Vec<String> = self
            .names()
            .await?
            .iter()
            .filter_map(|name| name.strip_suffix(DESCRIPTION).map(ToOwned::to_owned))
            .collect();
        names.sort();
        let read = async |name: String| {
            let path = self.path.clone().join(format!("{name}{DESCRIPTION}"));
            let bytes = self
                .scratch
                .store()
                .get(&path)
                .await
                .map_err(failed)?
                .bytes()
                .await
                .map_err(failed)?;
            let part = serde_json::from_slice(&bytes).map_err(damaged)?;
            Ok::<_, Error>(StoredPart { part, name })
        };
        stream::iter(names).map(read).buffered(16).try_collect().await
    }

    /// A name for the part that follows others.
    pub(super) fn next_name(before: &[StoredPart]) -> String {
        let last = before
            .last()
            .and_then(|part| part.name.split('-').next()?.parse::<u64>().ok());
        format!("{:06}-{}", last.map_or(0, |last| last + 1), Uuid::new_v4())
    }

    /// Writes the rows of a part. `check` looks at each batch first.
    ///
    /// # Errors
    /// Those of the rows; `ResourceExhausted` when they take more than `room` bytes.
    pub(super) async fn write_rows(
        &self,
        name: &str,
        compute: &Compute,
        mut rows: BatchStream,
        room: u64,
        check: impl Fn(&RecordBatch) -> Result<()>,
    ) -> Result<(u64, u64)> {
        let path = self.path.clone().join(format!("{name}{ROWS}"));
        let mut file = BufWriter::new(Arc::clone(self.scratch.store()), path.clone());
        let written = async {
            let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
            let mut writer = StreamWriter::try_new_with_options(Vec::new(), &rows.schema(), options)?;
            let (mut count, mut bytes) = (0, 0);
            while let Some(batch) = rows.next().await {
                let batch = batch?;
                check(&batch)?;
                count += batch.num_rows() as u64;
                writer = compute
                    .block(move || {
                        writer.write(&batch)?;
                        Ok(writer)
                    })
                    .await?;
                if writer.get_ref().len() >= BUFFER_BYTES {
                    let encoded = std::mem::take(writer.get_mut());
                    bytes += encoded.len() as u64;
                    check_room(bytes, room)?;
                    file.write_all(&encoded).await.map_err(cannot_write)?;
                }
            }
            let encoded = writer.into_inner()?;
            bytes += encoded.len() as u64;
            check_room(bytes, room)?;
            file.write_all(&encoded).await.map_err(cannot_write)?;
            Ok((count, bytes))
        }
        .await;
        match written {
            Ok(written) => {
                file.shutdown().await.map_err(cannot_write)?;
                self.scratch.make_durable(&path).await?;
                Ok(written)
            }
            Err(error) => {
                // What cannot be taken back is removed with the transaction.
                let _ = file.abort().await;
                Err(error)
            }
        }
    }

    /// Completes a part.
    pub(super) async fn describe(&self, name: &str, part: &Part) -> Result<()> {
        let text = serde_json::to_vec(part).map_err(damaged)?;
        self.put(&format!("{name}{DESCRIPTION}"), text.into(), PutMode::Overwrite)
            .await
            .map(drop)
    }

    /// The columns of a part.
    pub(super) async fn schema(&self, name: &str) -> Result<SchemaRef> {
        Ok(self.read(name, None).await?.0)
    }

    /// The rows of a part, which is opened when the first of them is asked for.
    pub(super) fn rows(&self, part: &StoredPart, schema: SchemaRef, compute: &Compute) -> BatchStream {
        let (folder, name, expected) = (self.clone(), part.name.clone(), part.part.rows);
        let batches =
            stream::once(async move { Ok::<_, Error>(folder.read(&name, Some(expected)).await?.1) }).try_flatten();
        BatchStream::new(schema, compute.run_ahead(batches.boxed()))
    }

    async fn read(
        &self,
        name: &str,
        expected: Option<u64>,
    ) -> Result<(SchemaRef, BoxStream<'static, Result<RecordBatch>>)> {
        let path = self.path.clone().join(format!("{name}{ROWS}"));
        let mut bytes = self.scratch.store().get(&path).await.map_err(failed)?.into_stream();
        let mut decoder = StreamDecoder::new();
        let mut rest = Buffer::from(Bytes::new());
        let mut first = None;
        let schema = loop {
            if let Some(schema) = decoder.schema() {
                break schema;
            }
            rest = Buffer::from(bytes.try_next().await.map_err(failed)?.ok_or_else(cut_off)?);
            // The decoder goes on behind the schema, maybe to the end of a batch.
            first = decoder.decode(&mut rest)?;
        };
        let state = (bytes, decoder, rest, first, 0_u64);
        let batches = stream::try_unfold(
            state,
            move |(mut bytes, mut decoder, mut rest, mut first, mut count)| async move {
                loop {
                    let batch = match first.take() {
                        Some(batch) => Some(batch),
                        None => decoder.decode(&mut rest)?,
                    };
                    if let Some(batch) = batch {
                        count += batch.num_rows() as u64;
                        return Ok(Some((batch, (bytes, decoder, rest, None, count))));
                    }
                    match bytes.try_next().await.map_err(failed)? {
                        Some(more) => rest = Buffer::from(more),
                        None if expected.is_none_or(|expected| expected == count) => return Ok(None),
                        None => return Err(cut_off()),
                    }
                }
            },
        );
        Ok((schema, batches.boxed()))
    }

    pub(super) async fn decision(&self) -> Result<Option<Decision>> {
        match self.scratch.store().get(&self.path.clone().join(DECISION)).await {
            Ok(found) => {
                let bytes = found.bytes().await.map_err(failed)?;
                Ok(Some(serde_json::from_slice(&bytes).map_err(damaged)?))
            }
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Decides, unless somebody has: then that counts.
    pub(super) async fn decide(&self, decision: Decision) -> Result<Decision> {
        let text = serde_json::to_vec(&decision).map_err(damaged)?;
        if self.put(DECISION, text.into(), PutMode::Create).await? {
            return Ok(decision);
        }
        self.decision().await?.ok_or_else(|| {
            Error::new(
                ErrorKind::Conflict,
                "the transaction was ended and removed at the same moment",
            )
        })
    }

    /// Takes back a commit that has committed nothing.
    pub(super) async fn undo(&self) -> Result<()> {
        let text = serde_json::to_vec(&Decision::Undone).map_err(damaged)?;
        self.put(DECISION, text.into(), PutMode::Overwrite).await.map(drop)
    }

    pub(super) async fn is_done(&self) -> Result<bool> {
        match self.scratch.store().head(&self.path.clone().join(DONE)).await {
            Ok(_) => Ok(true),
            Err(StoreError::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) async fn set_done(&self) -> Result<()> {
        self.put(DONE, Bytes::new(), PutMode::Overwrite).await.map(drop)
    }

    /// Removes all rows; what was decided stays.
    pub(super) async fn clear_parts(&self) -> Result<()> {
        for name in self.names().await? {
            if name.ends_with(ROWS) || name.ends_with(DESCRIPTION) {
                self.remove(&name).await?;
            }
        }
        Ok(())
    }

    /// Removes everything.
    pub(super) async fn remove_all(&self) -> Result<()> {
        for name in self.names().await? {
            self.remove(&name).await?;
        }
        Ok(())
    }

    async fn names(&self) -> Result<Vec<String>> {
        let listed = self.scratch.store().list(Some(&self.path));
        let names = listed.map_ok(|object| object.location.filename().map(ToOwned::to_owned));
        names
            .try_filter_map(|name| std::future::ready(Ok(name)))
            .try_collect()
            .await
            .map_err(failed)
    }

    async fn remove(&self, name: &str) -> Result<()> {
        match self.scratch.store().delete(&self.path.clone().join(name)).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether it was written; a file that is there stays if it is to be created.
    async fn put(&self, name: &str, bytes: Bytes, mode: PutMode) -> Result<bool> {
        let path = self.path.clone().join(name);
        match self
            .scratch
            .store()
            .put_opts(&path, bytes.into(), PutOptions::from(mode))
            .await
        {
            Ok(_) => {
                self.scratch.make_durable(&path).await?;
                Ok(true)
            }
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}

/// When a transaction began.
pub(super) fn began(id: &TransactionId) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.0.get_timestamp()?.to_unix();
    Some(DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)? + TimeDelta::nanoseconds(i64::from(nanos)))
}

fn check_room(bytes: u64, room: u64) -> Result<()> {
    if bytes <= room {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::ResourceExhausted,
        "the transaction has more rows than one may hold until its end; commit more often, or ingest without a transaction",
    ))
}

fn cut_off() -> Error {
    Error::new(
        ErrorKind::Corrupt,
        "rows of the transaction are damaged in the staging folder; roll it back and send them again",
    )
}

fn damaged(error: serde_json::Error) -> Error {
    cut_off().with_source(error)
}

fn failed(error: StoreError) -> Error {
    let message = match &error {
        StoreError::NotFound { .. } => "a part of the transaction is gone: it was ended, or is too old",
        _ => "the staging folder of transactions does not answer",
    };
    let kind = match &error {
        StoreError::NotFound { .. } => ErrorKind::Conflict,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, message).with_source(error)
}

fn cannot_write(error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "rows cannot be kept in the staging folder of transactions",
    )
    .with_source(error)
}
