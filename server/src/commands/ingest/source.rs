//! Files as rows of one schema.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use jetway_sources::{Content, ErrorKind, Format, Input, ReadOptions, common_schema, read_as};
use parquet::file::metadata::ParquetMetaDataReader;
use tokio::io::AsyncReadExt;

/// Bytes of a file that are read at once.
const PIECE: usize = 1 << 20;

/// Files of one format, with a schema for all of them.
#[derive(Debug)]
pub(super) struct Source {
    format: Format,
    paths: Vec<PathBuf>,
    schema: SchemaRef,
    options: ReadOptions,
    bytes: u64,
}

impl Source {
    /// Finds the common schema of the files.
    pub(super) async fn open(paths: Vec<PathBuf>, infer_rows: usize) -> Result<Self> {
        let format = common_format(&paths)?;
        let options = ReadOptions {
            infer_rows: (infer_rows > 0).then_some(infer_rows),
            // What the first rows did not have would be lost.
            strict: true,
            ..ReadOptions::default()
        };
        let mut bytes = 0;
        for path in &paths {
            bytes += size(path)?;
        }
        let inputs = paths.iter().map(|path| input(path, Content::File(path.clone())));
        let schema = common_schema(format, inputs.collect(), &options).await?;
        if schema.fields().is_empty() {
            bail!("the files have no columns");
        }
        Ok(Self {
            format,
            paths,
            schema,
            options,
            bytes,
        })
    }

    /// Schema of every batch.
    pub(super) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// Size of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All batches, file by file.
    pub(super) fn rows(self, progress: ProgressBar) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
        let Self {
            format,
            paths,
            schema,
            options,
            ..
        } = self;
        let files = stream::iter(paths).then(move |path| {
            let (schema, options, progress) = (SchemaRef::clone(&schema), options.clone(), progress.clone());
            async move { rows_of(format, &path, schema, &options, progress).await }
        });
        files.try_flatten()
    }
}

async fn rows_of(
    format: Format,
    path: &Path,
    schema: SchemaRef,
    options: &ReadOptions,
    progress: ProgressBar,
) -> Result<impl Stream<Item = Result<RecordBatch>> + Send + use<>> {
    // What is not read from front to back moves the bar by its rows.
    let (content, bytes_per_row) = match format {
        Format::Parquet => (Content::File(path.to_owned()), Some(parquet_bytes_per_row(path)?)),
        Format::Shapefile => (Content::File(path.to_owned()), Some(0.0)),
        _ => (pieces(path, progress.clone()).await?, None),
    };
    let name = path.to_owned();
    let explain = move |error| explain(error, format, &name);
    let rows = read_as(format, Some(schema), input(path, content), options)
        .await
        .map_err(&explain)?;
    Ok(rows.map_err(explain).inspect_ok(move |batch| {
        if let Some(bytes) = bytes_per_row {
            progress.inc((batch.num_rows() as f64 * bytes) as u64);
        }
    }))
}

/// The bytes of a file, which move the bar.
async fn pieces(path: &Path, progress: ProgressBar) -> Result<Content> {
    let file = tokio::fs::File::open(path)
        .await
        .with_context(|| format!("cannot open {}", path.display()))?;
    let pieces = stream::try_unfold(file, move |mut file| {
        let progress = progress.clone();
        async move {
            let mut piece = Vec::with_capacity(PIECE);
            let count = (&mut file)
                .take(PIECE as u64)
                .read_to_end(&mut piece)
                .await
                .map_err(|error| {
                    jetway_sources::Error::new(ErrorKind::Io, "the file cannot be read").with_source(error)
                })?;
            progress.inc(count as u64);
            Ok((count > 0).then(|| (Bytes::from(piece), file)))
        }
    });
    Ok(Content::Stream(pieces.boxed()))
}

fn input(path: &Path, content: Content) -> Input {
    Input {
        name: path.display().to_string(),
        content,
    }
}

fn size(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    Ok(metadata.len())
}

fn parquet_bytes_per_row(path: &Path) -> Result<f64> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&file)
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(size(path)? as f64 / metadata.file_metadata().num_rows().max(1) as f64)
}

fn common_format(paths: &[PathBuf]) -> Result<Format> {
    let mut formats = paths.iter().map(|path| format_of(path));
    let first = formats.next().ok_or_else(|| anyhow!("give at least one file"))??;
    for format in formats {
        if format? != first {
            bail!("the files have different formats; ingest each format on its own");
        }
    }
    Ok(first)
}

fn format_of(path: &Path) -> Result<Format> {
    let name = path.to_string_lossy();
    Format::of_file_name(&name).ok_or_else(|| {
        anyhow!(
            "the format of {} is not known; the extension must be .parquet, .csv, .json, .ndjson, .jsonl, .geojson, \
             .arrow, .avro or .shp",
            path.display()
        )
    })
}

/// Only formats without types of their own have types that were found in first rows.
fn explain(error: jetway_sources::Error, format: Format, path: &Path) -> Error {
    let guessed = match format {
        Format::Csv | Format::Json | Format::NdJson | Format::GeoJson | Format::NdGeoJson => true,
        Format::Shapefile | Format::Parquet | Format::ArrowIpc | Format::Avro => false,
    };
    let hint = if guessed && error.kind() == ErrorKind::BadData {
        "; the types of its columns were found in its first rows, --infer-rows 0 looks at all of them"
    } else {
        ""
    };
    Error::new(error).context(format!("cannot read {}{hint}", path.display()))
}
