//! How rows look on the wire: the one place that decides which schema is announced and which is streamed.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, write_message};
use bytes::Bytes;

use crate::{Error, Result};

mod cast;
mod column_metadata;
mod profile;
mod shape;
mod sql_type;
#[cfg(test)]
mod tests;

pub(crate) use cast::cast_array;
pub(crate) use column_metadata::{TableColumns, with_column_metadata, without_column_metadata};
pub use profile::{Compression, WireProfile};
pub(crate) use profile::{Preset, ProfileChoice};
pub(crate) use shape::{Shape, any_type, has_hidden_values};

impl WireProfile {
    /// The schema that rows of a schema have on the wire. FlightInfo, GetSchema, Prepare, GetTables and the stream all use
    /// this, so they cannot differ.
    pub(crate) fn schema(self, schema: &Schema) -> SchemaRef {
        with_column_metadata(&Shape::Wire(self).schema(schema), None)
    }

    /// The schema in which a client is to send values for parameters of a schema. Zones stay: a value that is written for one is
    /// an instant.
    pub(crate) fn parameters(self, schema: &Schema) -> SchemaRef {
        let zoned = Self {
            drops_zones: false,
            ..self
        };
        let schema = Shape::Wire(zoned).schema(schema);
        if !self.binds_millis {
            return with_column_metadata(&schema, None);
        }
        let fields = schema.fields().iter().map(|field| match field.data_type() {
            DataType::Timestamp(_, zone) => in_type(field, DataType::Timestamp(TimeUnit::Millisecond, zone.clone())),
            DataType::Time32(_) | DataType::Time64(_) => in_type(field, DataType::Time32(TimeUnit::Millisecond)),
            _ => Arc::clone(field),
        });
        let fields: Vec<FieldRef> = fields.collect();
        with_column_metadata(&Schema::new_with_metadata(fields, schema.metadata().clone()), None)
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

fn in_type(field: &FieldRef, data_type: DataType) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// A batch with the columns of another schema: same names and order, types as [`Shape`] changes them.
pub(crate) fn cast_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let hidden = |field: &FieldRef| any_type(field.data_type(), &has_hidden_values);
    if batch.schema_ref() == schema && !schema.fields().iter().any(hidden) {
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
