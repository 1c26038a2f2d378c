//! Receiving one object into a file: hashed while it arrives, continued where it was cut off.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use sha3::{Digest, Sha3_256};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};
use crate::identity::Multihash;
use crate::storage::{DatasetStorage, NamedObject, ObjectSource};
use crate::transfer::options::{CopyOptions, Meter};
use crate::transfer::place::Place;

/// Pieces that wait for the disk.
const WAITING_PIECES: usize = 4;

/// Copies an object into a repository.
pub(super) async fn receive(
    source: &Place,
    target: &DatasetStorage,
    object: &NamedObject,
    options: &CopyOptions,
    meter: &Meter<'_>,
) -> Result<()> {
    let mut received = download(source, target, object, options, meter).await?;
    if received.hash != object.hash && received.resumed > 0 {
        // What an earlier copy had left may have been damaged since, by a power failure for example.
        received.discard(meter);
        received = download(source, target, object, options, meter).await?;
    }
    if received.hash != object.hash {
        let (actual, message) = (
            received.hash,
            "an object's bytes do not have the hash that it was asked for by; the source is damaged or lies",
        );
        received.discard(meter);
        return Err(describe(ErrorKind::Corrupt, message, object).with_context("actual", actual));
    }
    let Received { mut file, size, .. } = received;
    // It is moved into place, or no longer needed once it is uploaded.
    file.set_kept(false);
    target
        .put_object(object.kind, object.hash, ObjectSource::File { file, size })
        .await
}

/// Stores an object of a dataset out of bytes that arrive from anywhere, if they are as many as `object` says and have its hash.
/// They are hashed while they are written to a temporary file.
///
/// # Errors
/// `Corrupt` if they are others; the stream's own; `Io`, `Storage`. Nothing is stored then.
pub async fn store_object(
    target: &DatasetStorage,
    object: &NamedObject,
    mut bytes: impl Stream<Item = Result<Bytes>> + Send + Unpin,
) -> Result<()> {
    let file = target.new_pending_file().await?;
    let (pieces, arriving) = mpsc::channel(WAITING_PIECES);
    let size = object.size;
    let writer = tokio::task::spawn_blocking(move || Ok((write(file.as_file(), size, None, arriving)?, file)));
    let mut position = 0;
    while let Some(piece) = bytes.try_next().await? {
        position += piece.len() as u64;
        // If nobody takes it, the writer has failed and says so below.
        if position > size || pieces.send(piece).await.is_err() {
            break;
        }
    }
    drop(pieces);
    let (hash, file) = written(writer).await?;
    if position != size || hash != object.hash {
        let message =
            "the bytes that were sent are not those of the object: they are more or fewer, or have another hash";
        return Err(describe(ErrorKind::Corrupt, message, object).with_context("actual", hash));
    }
    let source = ObjectSource::File { file, size };
    target.put_object(object.kind, object.hash, source).await
}

/// A whole object in a file.
struct Received {
    file: crate::storage::PendingFile,
    hash: Multihash,
    size: u64,
    /// How many bytes of it were there before.
    resumed: u64,
}

impl Received {
    fn discard(mut self, meter: &Meter<'_>) {
        self.file.set_kept(false);
        meter.update(|progress, stats| {
            progress.bytes = progress.bytes.saturating_sub(self.size);
            stats.bytes_resumed = stats.bytes_resumed.saturating_sub(self.resumed);
        });
    }
}

async fn download(
    source: &Place,
    target: &DatasetStorage,
    object: &NamedObject,
    options: &CopyOptions,
    meter: &Meter<'_>,
) -> Result<Received> {
    let file = target.partial_file(object.kind, &object.hash).await?;
    let (pieces, arriving) = mpsc::channel(WAITING_PIECES);
    let (found, resumed) = oneshot::channel();
    let size = object.size;
    let writer = tokio::task::spawn_blocking(move || {
        let hash = write(file.as_file(), size, Some(found), arriving)?;
        Ok(Received {
            file,
            hash,
            size,
            resumed: 0,
        })
    });
    // Without an answer the writer has failed, and says so below.
    let resumed = resumed.await.unwrap_or(size);
    meter.update(|progress, stats| {
        progress.bytes += resumed;
        stats.bytes_resumed += resumed;
    });
    let mut position = resumed;
    let fetched = fetch(source, object, &mut position, &pieces, options, meter).await;
    drop(pieces);
    let written = written(writer).await;
    if let Err(error) = fetched {
        meter.update(|progress, _| progress.bytes = progress.bytes.saturating_sub(position));
        // What went wrong with the file comes first: then nobody took the pieces.
        written?;
        return Err(error);
    }
    Ok(Received { resumed, ..written? })
}

async fn written<T>(writer: JoinHandle<Result<T>>) -> Result<T> {
    let written = writer.await;
    written
        .unwrap_or_else(|error| Err(Error::new(ErrorKind::Io, "the runtime gave up on file work").with_source(error)))
}

/// Passes on the bytes from `position` to the end of the object, however often the source stops in between.
async fn fetch(
    source: &Place,
    object: &NamedObject,
    position: &mut u64,
    pieces: &mpsc::Sender<Bytes>,
    options: &CopyOptions,
    meter: &Meter<'_>,
) -> Result<()> {
    let mut failed = 0;
    while *position < object.size {
        let start = *position;
        let Err(error) = fetch_once(source, object, position, pieces, meter).await else {
            return Ok(());
        };
        failed = if *position > start { 1 } else { failed + 1 };
        options.retry.wait(failed, error).await?;
    }
    Ok(())
}

async fn fetch_once(
    source: &Place,
    object: &NamedObject,
    position: &mut u64,
    pieces: &mpsc::Sender<Bytes>,
    meter: &Meter<'_>,
) -> Result<()> {
    let mut bytes = source.open_object(object, *position).await?;
    while let Some(piece) = bytes.try_next().await? {
        let length = piece.len() as u64;
        if length > object.size.saturating_sub(*position) {
            let message = "an object has more bytes than its block says; the source is damaged or lies";
            return Err(describe(ErrorKind::Corrupt, message, object));
        }
        if pieces.send(piece).await.is_err() {
            return Err(describe(ErrorKind::Io, "a received object cannot be written", object));
        }
        *position += length;
        meter.update(|progress, stats| {
            progress.bytes += length;
            stats.bytes += length;
        });
    }
    if *position < object.size {
        let message = "an object ended before it was complete";
        return Err(describe(ErrorKind::Storage, message, object)
            .with_context("received", *position)
            .retryable());
    }
    Ok(())
}

/// Hashes what is in the file, says how much that is, and appends what arrives. Blocks.
fn write(
    mut file: &File,
    size: u64,
    found: Option<oneshot::Sender<u64>>,
    mut arriving: mpsc::Receiver<Bytes>,
) -> Result<Multihash> {
    let mut hasher = Sha3_256::new();
    let mut position = file.metadata()?.len();
    if position > size {
        file.set_len(0)?;
        position = 0;
    }
    file.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; 256 * 1024];
    let mut rest = file.take(position);
    loop {
        let length = match rest.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        match buffer.get(..length) {
            None | Some([]) => break,
            Some(bytes) => hasher.update(bytes),
        }
    }
    if let Some(found) = found {
        // If nobody listens, no piece will arrive either.
        let _ = found.send(position);
    }
    while let Some(piece) = arriving.blocking_recv() {
        hasher.update(&piece);
        file.write_all(&piece)?;
    }
    Ok(Multihash::from_sha3_256_digest(hasher.finalize().into()))
}

fn describe(kind: ErrorKind, message: &str, object: &NamedObject) -> Error {
    Error::new(kind, message)
        .with_context("object", format_args!("{}/{}", object.kind.folder(), object.hash))
        .with_context("size", object.size)
}
