//! Files as batches of one schema.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use arrow::array::RecordBatch;
use arrow::csv;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json;
use indicatif::ProgressBar;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::sync::mpsc::Sender;

use super::schema::{Columns, merge, settle};

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Ndjson,
    Parquet,
}

/// Files of one format, opened, with a schema for all of them.
#[derive(Debug)]
pub(super) struct Source {
    format: Format,
    files: Vec<(PathBuf, File)>,
    schema: SchemaRef,
    bytes: u64,
}

impl Source {
    /// Opens the files and finds their common schema. Blocks.
    pub(super) fn open(paths: Vec<PathBuf>, infer_rows: usize) -> Result<Self> {
        let format = common_format(&paths)?;
        let infer_rows = (infer_rows > 0).then_some(infer_rows);
        let (mut files, mut bytes) = (Vec::with_capacity(paths.len()), 0);
        let mut sum: Option<Schema> = None;
        for path in paths {
            let mut file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
            bytes += file
                .metadata()
                .with_context(|| format!("cannot look at {}", path.display()))?
                .len();
            let next = file_schema(format, &file, infer_rows)
                .with_context(|| format!("cannot find out the columns of {}", path.display()))?;
            file.rewind()
                .with_context(|| format!("cannot read {} twice; copy it to a file first", path.display()))?;
            sum = Some(match sum {
                Some(sum) => merge(format.columns(), sum, &next, &path)?,
                None => next,
            });
            files.push((path, file));
        }
        let schema = settle(&sum.ok_or_else(|| anyhow!("give at least one file"))?);
        if schema.fields().is_empty() {
            bail!("the files have no columns");
        }
        Ok(Self {
            format,
            files,
            schema: Arc::new(schema),
            bytes,
        })
    }

    /// Schema of every batch.
    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Size of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sends all batches, and then the error if there was one. Ends early when nobody listens any more. Blocks.
    pub(super) fn read(self, progress: &ProgressBar, to: &Sender<Result<RecordBatch>>) {
        for (path, file) in self.files {
            let batches = match self.format {
                Format::Csv => read_csv(file, &self.schema, progress),
                Format::Ndjson => read_ndjson(file, &self.schema, progress),
                Format::Parquet => read_parquet(file, progress),
            };
            let batches = match batches {
                Ok(batches) => batches,
                Err(error) => Box::new(std::iter::once(Err(error))),
            };
            for batch in batches {
                let batch = batch
                    .and_then(|batch| RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec()))
                    .map_err(|error| explain(error, self.format, &path));
                let failed = batch.is_err();
                if to.blocking_send(batch).is_err() || failed {
                    return;
                }
            }
        }
    }
}

impl Format {
    fn of(path: &Path) -> Result<Self> {
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .unwrap_or_default()
            .to_ascii_lowercase();
        match extension.as_str() {
            "csv" => Ok(Self::Csv),
            "ndjson" | "jsonl" => Ok(Self::Ndjson),
            "parquet" | "pq" => Ok(Self::Parquet),
            "json" => bail!(
                "{} may be one JSON document or one object per line; if it is the latter, name it .ndjson, otherwise convert it",
                path.display()
            ),
            _ => bail!(
                "the format of {} is not known; the extension must be .parquet, .csv, .ndjson or .jsonl",
                path.display()
            ),
        }
    }

    fn columns(self) -> Columns {
        match self {
            Self::Csv => Columns::ByPosition,
            Self::Ndjson => Columns::ByName,
            Self::Parquet => Columns::Exact,
        }
    }
}

fn common_format(paths: &[PathBuf]) -> Result<Format> {
    let mut formats = paths.iter().map(|path| Format::of(path));
    let first = formats.next().ok_or_else(|| anyhow!("give at least one file"))??;
    for format in formats {
        if format? != first {
            bail!("the files have different formats; ingest each format on its own");
        }
    }
    Ok(first)
}

fn file_schema(format: Format, file: &File, infer_rows: Option<usize>) -> Result<Schema> {
    Ok(match format {
        Format::Csv => {
            csv::reader::Format::default()
                .with_header(true)
                .infer_schema(BufReader::new(file), infer_rows)?
                .0
        }
        Format::Ndjson => json::reader::infer_json_schema(BufReader::new(file), infer_rows)?.0,
        Format::Parquet => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file.try_clone()?)?;
            // What the writer noted about the file as a whole says nothing about the dataset.
            Schema::new(builder.schema().fields().clone())
        }
    })
}

type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

fn read_csv(file: File, schema: &SchemaRef, progress: &ProgressBar) -> Result<Batches, ArrowError> {
    let builder = csv::ReaderBuilder::new(Arc::clone(schema))
        .with_header(true)
        .with_batch_size(BATCH_ROWS);
    Ok(Box::new(builder.build(progress.wrap_read(file))?))
}

/// A column that the first rows did not have is an error, since it would be lost otherwise.
fn read_ndjson(file: File, schema: &SchemaRef, progress: &ProgressBar) -> Result<Batches, ArrowError> {
    let builder = json::ReaderBuilder::new(Arc::clone(schema))
        .with_strict_mode(true)
        .with_batch_size(BATCH_ROWS);
    Ok(Box::new(builder.build(BufReader::new(progress.wrap_read(file)))?))
}

/// Parquet is not read from front to back, so the bar follows the rows.
fn read_parquet(file: File, progress: &ProgressBar) -> Result<Batches, ArrowError> {
    let size = file.metadata()?.len();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows())
        .unwrap_or(0)
        .max(1);
    let progress = progress.clone();
    let batches = builder.with_batch_size(BATCH_ROWS).build()?.inspect(move |batch| {
        if let Ok(batch) = batch {
            progress.inc((batch.num_rows() as u64).saturating_mul(size) / rows);
        }
    });
    Ok(Box::new(batches))
}

fn explain(error: ArrowError, format: Format, path: &Path) -> anyhow::Error {
    let hint = match format {
        Format::Csv | Format::Ndjson => {
            "; the types of its columns were found in its first rows, --infer-rows 0 looks at all of them"
        }
        Format::Parquet => "",
    };
    anyhow::Error::new(error).context(format!("cannot read {}{hint}", path.display()))
}
