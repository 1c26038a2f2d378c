//! One file of a zip archive. Names inside are compared only, never written to.

use std::fs::File;
use std::io::{BufReader, Read};

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use tempfile::TempPath;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use zip::ZipArchive;

use super::limit::Limit;
use crate::fetch::FetchOptions;
use crate::input::{Content, Input};
use crate::{Error, ErrorKind, Result};

/// Most files that a message lists.
const LISTED: usize = 10;

type Archive = ZipArchive<BufReader<File>>;

/// The file at a path or of a pattern, or the only one.
pub(super) async fn unpack(
    path: TempPath,
    sub_path: Option<&str>,
    name: &str,
    options: &FetchOptions,
) -> Result<Input> {
    let (sub_path, outer) = (sub_path.map(str::to_owned), name.to_owned());
    let chosen = tokio::task::spawn_blocking(move || {
        let file = File::open(&path).map_err(|error| corrupt(error, &outer))?;
        let archive = ZipArchive::new(BufReader::new(file)).map_err(|error| corrupt(error, &outer))?;
        let inner = choose(&archive, sub_path.as_deref(), &outer)?;
        Ok((path, archive, inner))
    });
    let (path, archive, inner) = chosen.await.map_err(cut_off)??;

    let (sender, receiver) = mpsc::channel(4);
    let (limit, outer, entry) = (Limit::new(options), name.to_owned(), inner.clone());
    let thread = tokio::task::spawn_blocking(move || {
        let _alive = path;
        if let Err(error) = send(archive, &entry, limit, &outer, &sender) {
            // Nobody is there to hear it if the stream was dropped.
            let _ = sender.blocking_send(Err(error));
        }
    });
    let stream = stream::unfold((receiver, Some(thread)), |(mut receiver, mut thread)| async {
        if let Some(bytes) = receiver.recv().await {
            return Some((bytes, (receiver, thread)));
        }
        // The end is one only if the thread came to it.
        let ended = thread.take()?.await;
        ended.err().map(|error| (Err(cut_off(error)), (receiver, None)))
    });
    Ok(Input {
        name: inner,
        content: Content::Stream(stream.boxed()),
    })
}

fn choose(archive: &Archive, sub_path: Option<&str>, outer: &str) -> Result<String> {
    let names = archive
        .file_names()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| corrupt(error, outer))?;
    let files: Vec<&str> = names
        .iter()
        .map(AsRef::as_ref)
        .filter(|name: &&str| !name.ends_with('/'))
        .collect();
    let invalid = |message| {
        let mut listed: Vec<&str> = files.iter().copied().take(LISTED).collect();
        listed.sort_unstable();
        let more = if files.len() > LISTED { ", ..." } else { "" };
        Error::new(ErrorKind::InvalidSource, message)
            .with_context("file", outer)
            .with_context("files", format!("{}{more}", listed.join(", ")))
    };
    let matching: Vec<&str> = match sub_path {
        None => files.clone(),
        Some(path) if files.contains(&path) => vec![path],
        Some(path) => {
            let pattern = glob::Pattern::new(path)
                .map_err(|error| invalid("`subPath` is neither a path nor a pattern").with_source(error))?;
            files.iter().copied().filter(|name| pattern.matches(name)).collect()
        }
    };
    match matching.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(invalid(
            "the archive does not hold the file; change `subPath` to one of its files",
        )),
        _ => Err(invalid(
            "the archive holds several files; name one of them with `subPath`",
        )),
    }
}

fn send(
    mut archive: Archive,
    entry: &str,
    mut limit: Limit,
    name: &str,
    sender: &mpsc::Sender<Result<Bytes>>,
) -> Result<()> {
    let mut file = archive.by_name(entry).map_err(|error| corrupt(error, name))?;
    let packed = file.compressed_size();
    let mut buffer = vec![0; 64 << 10];
    loop {
        // The checksum is compared at the end.
        let length = file.read(&mut buffer).map_err(|error| corrupt(error, name))?;
        limit
            .add(length, packed)
            .map_err(|error| error.with_context("file", name))?;
        let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
        if bytes.is_empty() || sender.blocking_send(Ok(bytes)).is_err() {
            return Ok(());
        }
    }
}

fn cut_off(error: JoinError) -> Error {
    Error::new(
        ErrorKind::Internal,
        "unpacking was cut off; the archive may be damaged in a way that is not expected",
    )
    .with_source(error)
}

fn corrupt(error: impl std::error::Error + Send + Sync + 'static, name: &str) -> Error {
    Error::new(
        ErrorKind::BadData,
        "the archive is corrupt, cut off, encrypted or packed in a way that is not known",
    )
    .with_context("file", name)
    .with_context("kind", "zip")
    .with_source(error)
}
