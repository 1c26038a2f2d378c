//! Bytes as rows, as a read step says.
//!
//! Text formats go through one door: a reader cuts records into texts and remembers where each began ([`csv`], [`json`],
//! [`shapefile`]), and [`value`] turns texts into typed columns without changing a value. Formats that carry their own types
//! ([`columnar`]) are conformed to a declared schema, or read as they are. Every reader works on a thread of its own.

use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use jetway_odf::metadata::{ReadStep, ReadStepCsv};

use crate::{Error, ErrorKind, Input, Result, RowStream};

mod bytes;
mod columnar;
mod conform;
mod csv;
mod ddl;
mod format;
mod guess;
mod ipc;
mod json;
mod moment;
mod schema;
mod shapefile;
mod text;
mod thread;
mod value;

#[cfg(test)]
mod tests;

pub use format::Format;

use bytes::Source;
use guess::Members;
use moment::Formats;
use schema::declared;
use thread::Opened;

/// Most bytes of texts that a batch is made of, apart from the last record.
const BATCH_BYTES: usize = 8 << 20;

/// How much is read at once, and how much may be.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Most rows of a batch.
    pub batch_rows: usize,
    /// Rows that are looked at to find the types of columns; all rows when absent.
    pub infer_rows: Option<usize>,
    /// Whether members of JSON objects that a given schema does not have are errors instead of being left out.
    pub strict: bool,
    /// Where bytes are kept that have to be read more than once.
    pub temp_dir: PathBuf,
    /// Most bytes of one record of a text format.
    pub max_record_bytes: usize,
    /// Most bytes that one input may take in `temp_dir`, unpacked.
    pub max_temp_bytes: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            batch_rows: 8192,
            infer_rows: Some(10_000),
            strict: false,
            temp_dir: std::env::temp_dir(),
            max_record_bytes: 16 << 20,
            max_temp_bytes: 64 << 30,
        }
    }
}

/// Reads as a source's definition says.
///
/// The columns are those of the step. Where it has none, they come from the file: its own schema (Parquet), its attributes
/// (Shapefile), its values (JSON and its family, CSV with `inferSchema`), or else its header, as text.
///
/// # Errors
/// `InvalidSource` for a step that makes no sense; `BadData` with file, line and column as far as they are known, here or
/// at the end of the stream; what the input fails with.
pub async fn read(step: &ReadStep, input: Input, options: &ReadOptions) -> Result<RowStream> {
    run(Reader::of_step(step)?, input, options).await
}

/// Reads a file that came without a source's definition. CSV has a header and no escape character, and its types are inferred,
/// unless a schema is given.
///
/// # Errors
/// As [`read`].
pub async fn read_as(
    format: Format,
    schema: Option<SchemaRef>,
    input: Input,
    options: &ReadOptions,
) -> Result<RowStream> {
    run(Reader::of_format(format, schema)?, input, options).await
}

/// One schema for files of one format, to give to [`read_as`] for each of them.
///
/// CSV files must have the same header; JSON files together have the columns of each. Types of both are inferred and widen.
/// Files of formats with types of their own must have the same columns.
///
/// # Errors
/// As [`read`], and `BadData` when the files do not go together.
pub async fn common_schema(format: Format, inputs: Vec<Input>, options: &ReadOptions) -> Result<SchemaRef> {
    let mut common: Option<Columns> = None;
    for input in inputs {
        let name = input.name.clone();
        let reader = Reader::of_format(format, None)?;
        let of_file = options.clone();
        let columns = thread::call(input, move |source| reader.columns(source, &of_file)).await?;
        common = Some(match (common, columns) {
            (None, columns) => columns,
            (Some(Columns::Guessed(mut members)), Columns::Guessed(others))
                if format != Format::Csv || members.names().eq(others.names()) =>
            {
                members.merge(others)?;
                Columns::Guessed(members)
            }
            (Some(Columns::Known(one)), Columns::Known(other)) if one == other => Columns::Known(one),
            (Some(_), _) => {
                let message = "a file has other columns than the files before it; take it on its own";
                return Err(Error::new(ErrorKind::BadData, message).with_context("file", name));
            }
        });
    }
    match common {
        Some(Columns::Guessed(members)) => members.into_schema(),
        Some(Columns::Known(schema)) => Ok(schema),
        None => Err(Error::new(
            ErrorKind::InvalidSource,
            "there is no file; give at least one",
        )),
    }
}

/// What a file says about its columns.
enum Columns {
    Known(SchemaRef),
    Guessed(Members),
}

async fn run(reader: Reader, input: Input, options: &ReadOptions) -> Result<RowStream> {
    let options = options.clone();
    thread::run(input, move |source| reader.open(source, &options)).await
}

/// A read step that has been understood.
enum Reader {
    Csv(csv::Csv),
    Json(json::Json),
    Shapefile(shapefile::Shapefile),
    Columnar(columnar::Columnar),
}

impl Reader {
    fn of_step(step: &ReadStep) -> Result<Self> {
        Ok(match step {
            ReadStep::Csv(step) => Self::Csv(csv::Csv::of(step, declared(&step.schema, &step.ddl_schema)?)?),
            ReadStep::Json {
                sub_path,
                ddl_schema,
                date_format,
                encoding,
                timestamp_format,
                schema,
            } => Self::Json(json::Json {
                layout: json::Layout::array(sub_path.as_deref()),
                features: false,
                encoding: text::encoding(encoding.as_deref())?,
                formats: Formats::of(date_format.as_deref(), timestamp_format.as_deref())?,
                schema: declared(schema, ddl_schema)?,
            }),
            ReadStep::NdJson {
                ddl_schema,
                date_format,
                encoding,
                timestamp_format,
                schema,
            } => Self::Json(json::Json {
                layout: json::Layout::Lines,
                features: false,
                encoding: text::encoding(encoding.as_deref())?,
                formats: Formats::of(date_format.as_deref(), timestamp_format.as_deref())?,
                schema: declared(schema, ddl_schema)?,
            }),
            ReadStep::GeoJson { ddl_schema, schema } => {
                Self::of_format(Format::GeoJson, declared(schema, ddl_schema)?)?
            }
            ReadStep::NdGeoJson { ddl_schema, schema } => {
                Self::of_format(Format::NdGeoJson, declared(schema, ddl_schema)?)?
            }
            ReadStep::Parquet { ddl_schema, schema } => {
                Self::of_format(Format::Parquet, declared(schema, ddl_schema)?)?
            }
            ReadStep::EsriShapefile {
                ddl_schema,
                sub_path,
                schema,
            } => Self::Shapefile(shapefile::Shapefile {
                sub_path: sub_path.clone(),
                schema: declared(schema, ddl_schema)?,
            }),
        })
    }

    fn of_format(format: Format, schema: Option<SchemaRef>) -> Result<Self> {
        let json = |layout, features, schema| {
            Ok::<_, Error>(Self::Json(json::Json {
                layout,
                features,
                encoding: text::encoding(None)?,
                formats: Formats::default(),
                schema,
            }))
        };
        Ok(match format {
            Format::Csv => {
                let step = ReadStepCsv {
                    escape: Some(String::new()),
                    header: Some(true),
                    infer_schema: Some(true),
                    ..ReadStepCsv::default()
                };
                Self::Csv(csv::Csv::of(&step, schema)?)
            }
            Format::Json => json(json::Layout::array(None), false, schema)?,
            Format::NdJson => json(json::Layout::Lines, false, schema)?,
            Format::GeoJson => json(json::Layout::array(Some("features")), true, schema)?,
            Format::NdGeoJson => json(json::Layout::Lines, true, schema)?,
            Format::Shapefile => Self::Shapefile(shapefile::Shapefile { sub_path: None, schema }),
            Format::Parquet => Self::Columnar(columnar::Columnar::Parquet(schema)),
            Format::ArrowIpc => Self::Columnar(columnar::Columnar::ArrowIpc(schema)),
            Format::Avro => Self::Columnar(columnar::Columnar::Avro(schema)),
        })
    }

    fn columns(self, source: Source, options: &ReadOptions) -> Result<Columns> {
        Ok(match self {
            Self::Csv(csv) => Columns::Guessed(csv.members(source, options)?),
            Self::Json(json) => Columns::Guessed(json.members(source, options)?),
            reader => Columns::Known(reader.open(source, options)?.0),
        })
    }

    fn open(self, source: Source, options: &ReadOptions) -> Result<Opened> {
        match self {
            Self::Csv(csv) => csv.open(source, options),
            Self::Json(json) => json.open(source, options),
            Self::Shapefile(shapefile) => shapefile.open(source, options),
            Self::Columnar(columnar) => columnar.open(source, options),
        }
    }
}
