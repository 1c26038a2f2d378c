//! How rows look on the wire: the one place that decides which schema is announced and which is streamed.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, write_message};
use bytes::Bytes;

use crate::{Error, Result};

mod cast;
mod column_metadata;
mod shape;
mod sql_type;
#[cfg(test)]
mod tests;

pub(crate) use cast::cast_array;
pub(crate) use column_metadata::{TableColumns, with_column_metadata};
pub(crate) use shape::Shape;

/// What a client can read.
///
/// The default is what every Flight SQL client reads: string and binary views become plain strings and binaries,
/// dictionaries and run-end encoded columns become their values, list views become lists, at any depth, and bodies are not
/// compressed. A client that reads compressed bodies asks for them with the header `jetway-compression: lz4` (or `zstd`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WireProfile {
    /// How message bodies are compressed.
    pub compression: Option<Compression>,
}

/// A way to compress message bodies that Arrow IPC knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// LZ4 frames: cheap, for networks slower than about 10 Gbit/s.
    Lz4,
    /// Zstandard: smaller and dearer, for slow networks.
    Zstd,
}

impl WireProfile {
    /// Header in which a client asks for compression.
    pub const COMPRESSION_HEADER: &'static str = "jetway-compression";

    /// The profile that a client asks for in the compression header.
    pub(crate) fn from_header(compression: Option<&str>) -> Result<Self> {
        let compression = match compression.map(str::trim) {
            None | Some("" | "none") => None,
            Some("lz4") => Some(Compression::Lz4),
            Some("zstd") => Some(Compression::Zstd),
            Some(other) => {
                return Err(Error::invalid_argument(format!(
                    "the header {} must be \"none\", \"lz4\" or \"zstd\"",
                    Self::COMPRESSION_HEADER
                ))
                .with_context("value", other));
            }
        };
        Ok(Self { compression })
    }

    pub(crate) fn to_bits(self) -> u32 {
        match self.compression {
            None => 0,
            Some(Compression::Lz4) => 1,
            Some(Compression::Zstd) => 2,
        }
    }

    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        let compression = match bits {
            0 => None,
            1 => Some(Compression::Lz4),
            2 => Some(Compression::Zstd),
            _ => return None,
        };
        Some(Self { compression })
    }

    /// The schema that rows of a schema have on the wire. FlightInfo, GetSchema, Prepare, GetTables and the stream all use
    /// this, so they cannot differ.
    pub(crate) fn schema(self, schema: &Schema) -> SchemaRef {
        Shape::Wire.schema(schema)
    }

    /// How messages are written.
    pub(crate) fn ipc_options(self) -> Result<IpcWriteOptions> {
        let compression = self.compression.map(|compression| match compression {
            Compression::Lz4 => CompressionType::LZ4_FRAME,
            Compression::Zstd => CompressionType::ZSTD,
        });
        IpcWriteOptions::default()
            .try_with_compression(compression)
            .map_err(|error| Error::internal("compression cannot be set up").with_source(error))
    }
}

/// A batch with the columns of another schema: same names and order, types as [`Shape`] changes them.
pub(crate) fn cast_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    if batch.num_columns() != schema.fields().len() {
        return Err(Error::internal(format!(
            "a batch has {} columns where {} were announced",
            batch.num_columns(),
            schema.fields().len()
        )));
    }
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            cast_array(column, field.data_type()).map_err(|error| {
                Error::internal(format!(
                    "column \"{}\" cannot be sent as {}",
                    field.name(),
                    field.data_type()
                ))
                .with_source(error)
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| Error::internal("a batch does not fit the schema that was announced").with_source(error))
}

/// A schema as an encapsulated IPC message, the form in which FlightInfo and its kin carry it.
pub(crate) fn schema_bytes(schema: &Schema) -> Result<Bytes> {
    let options = IpcWriteOptions::default();
    let encoded = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        schema,
        &mut DictionaryTracker::new(false),
        &options,
    );
    let mut bytes = Vec::with_capacity(encoded.ipc_message.len() + 64);
    write_message(&mut bytes, encoded, &options)
        .map_err(|error| Error::internal("the schema cannot be encoded").with_source(error))?;
    Ok(bytes.into())
}
