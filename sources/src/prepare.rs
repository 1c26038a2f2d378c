//! Unpacks fetched bytes.

mod decompress;
mod limit;
mod pipe;
mod zip;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use jetway_odf::metadata::{CompressionFormat, PrepStep};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use crate::fetch::FetchOptions;
use crate::input::{Content, Input};
use crate::{Error, ErrorKind, Result};

/// Takes bytes through the steps, in order.
///
/// Most work happens while the result is read, so a corrupt archive or a failing command shows there. A `Decompress`
/// step goes by the first bytes rather than by its format: ODF knows gzip and zip only, while publishers change to zstd
/// or bzip2 under the same URL. A difference is logged; bytes of no known archive are an error.
pub async fn prepare(steps: &[PrepStep], mut input: Input, options: &FetchOptions) -> Result<Input> {
    for step in steps {
        input = match step {
            PrepStep::Decompress { format, sub_path } => {
                decompress(*format, sub_path.as_deref(), input, options).await?
            }
            PrepStep::Pipe { command } => pipe::run(command, input, options).await?,
        };
    }
    Ok(input)
}

async fn decompress(
    format: CompressionFormat,
    sub_path: Option<&str>,
    input: Input,
    options: &FetchOptions,
) -> Result<Input> {
    let Input { name, content } = input;
    let packed = decompress::Packed::open(open(content).await?).await?;
    let kind = packed.kind().ok_or_else(|| {
        Error::new(
            ErrorKind::BadData,
            "this is no archive of a known kind: gzip, zip, zstd, bzip2",
        )
        .with_context("file", &name)
    })?;
    let agrees = match format {
        CompressionFormat::Gzip => kind == decompress::Kind::Gzip,
        CompressionFormat::Zip => kind == decompress::Kind::Zip,
    };
    if !agrees {
        tracing::warn!(file = name, defined = ?format, found = ?kind, "archive is of another kind than defined");
    }
    if kind == decompress::Kind::Zip {
        let path = spool(packed.into_stream(), options).await?;
        return zip::unpack(path, sub_path, &name, options).await;
    }
    if let Some(sub_path) = sub_path {
        return Err(Error::new(
            ErrorKind::InvalidSource,
            "only zip archives have files inside; remove `subPath` from the step",
        )
        .with_context("subPath", sub_path)
        .with_context("file", &name));
    }
    let stream = packed.unpack(kind, &name, options);
    Ok(Input {
        name,
        content: Content::Stream(stream),
    })
}

/// The bytes as a stream. A temporary file lives as long as the stream.
async fn open(content: Content) -> Result<BoxStream<'static, Result<Bytes>>> {
    let (path, kept) = match content {
        Content::Stream(stream) => return Ok(stream),
        Content::File(path) => (path, None),
        Content::Temporary(path) => (path.to_path_buf(), Some(path)),
    };
    let file = File::open(&path).await.map_err(|error| {
        Error::new(ErrorKind::Io, "the file cannot be read")
            .with_context("file", path.display())
            .with_source(error)
    })?;
    Ok(ReaderStream::with_capacity(file, 64 << 10)
        .map(move |bytes| {
            let _alive = &kept;
            bytes.map_err(|error| Error::new(ErrorKind::Io, "the file cannot be read").with_source(error))
        })
        .boxed())
}

/// Writes a stream to a temporary file.
async fn spool(mut stream: BoxStream<'static, Result<Bytes>>, options: &FetchOptions) -> Result<tempfile::TempPath> {
    let failed =
        |error: std::io::Error| Error::new(ErrorKind::Io, "a temporary file cannot be written").with_source(error);
    let file = match &options.temp_dir {
        Some(folder) => NamedTempFile::new_in(folder),
        None => NamedTempFile::new(),
    };
    let (file, path) = file.map_err(failed)?.into_parts();
    let mut file = File::from_std(file);
    let mut length = 0;
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        length += bytes.len() as u64;
        if length > options.max_bytes {
            return Err(limit::too_large(options.max_bytes));
        }
        file.write_all(&bytes).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    Ok(path)
}

#[cfg(test)]
mod tests;
