//! Archives that hold one stream of bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_compression::tokio::bufread::{BzDecoder, GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use super::limit::Limit;
use crate::fetch::FetchOptions;
use crate::{Error, ErrorKind, Result};

/// Kind of an archive, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Gzip,
    Zip,
    Zstd,
    Bzip2,
}

/// Packed bytes whose beginning is known.
pub(super) struct Packed {
    head: Vec<u8>,
    rest: BoxStream<'static, Result<Bytes>>,
}

impl Packed {
    /// Reads as much as tells the kind.
    pub(super) async fn open(mut rest: BoxStream<'static, Result<Bytes>>) -> Result<Self> {
        let mut head = Vec::new();
        while head.len() < 4
            && let Some(bytes) = rest.next().await
        {
            head.extend_from_slice(&bytes?);
        }
        Ok(Self { head, rest })
    }

    pub(super) fn kind(&self) -> Option<Kind> {
        match self.head.as_slice() {
            [0x1f, 0x8b, ..] => Some(Kind::Gzip),
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Kind::Zip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Kind::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Kind::Bzip2),
            _ => None,
        }
    }

    pub(super) fn into_stream(self) -> BoxStream<'static, Result<Bytes>> {
        stream::once(async { Ok(Bytes::from(self.head)) })
            .chain(self.rest)
            .boxed()
    }

    /// Unpacks while it is read. Several archives one after the other are one.
    pub(super) fn unpack(self, kind: Kind, name: &str, options: &FetchOptions) -> BoxStream<'static, Result<Bytes>> {
        let packed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&packed);
        let source = self.into_stream().map(move |bytes| match bytes {
            Ok(bytes) => {
                counter.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                Ok(bytes)
            }
            Err(error) => Err(io::Error::other(error)),
        });
        let source = StreamReader::new(source);
        let reader: Pin<Box<dyn AsyncRead + Send>> = match kind {
            Kind::Zstd => {
                let mut decoder = ZstdDecoder::new(source);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            Kind::Bzip2 => {
                let mut decoder = BzDecoder::new(source);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            // Zip has its own way, as it holds several files.
            Kind::Gzip | Kind::Zip => {
                let mut decoder = GzipDecoder::new(source);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
        };
        let (name, mut limit) = (name.to_owned(), Limit::new(options));
        ReaderStream::with_capacity(reader, 64 << 10)
            .map(move |bytes| {
                let bytes = bytes.map_err(|error| corrupt(error, kind, &name))?;
                limit
                    .add(bytes.len(), packed.load(Ordering::Relaxed))
                    .map_err(|error| error.with_context("file", &name))?;
                Ok(bytes)
            })
            .boxed()
    }
}

/// An error of the bytes below, or of the archive.
fn corrupt(error: io::Error, kind: Kind, name: &str) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::new(ErrorKind::BadData, "the archive is corrupt or cut off")
            .with_context("file", name)
            .with_context("kind", format!("{kind:?}").to_lowercase())
            .with_source(error),
    }
}
