//! Hashes of struct columns, from the file that was written.
//!
//! The logical hash of a struct covers what lies under its nulls, and that is what a Parquet reader puts there, not what
//! was pushed. All other columns are hashed before they are written.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use jetway_odf::hash::{ColumnDigest, LogicalHasher, STRUCT_BATCH_ROWS};
use jetway_odf::storage::ObjectSource;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::ChunkReader;

use crate::Result;

/// Whether the column's hash is to be taken from the file.
pub(super) fn is_needed(field: &Field) -> bool {
    matches!(field.data_type(), DataType::Struct(_))
}

/// Digests of all struct columns of a finished file. Blocks.
pub(super) fn struct_digests(schema: &Schema, source: &ObjectSource) -> Result<Vec<ColumnDigest>> {
    let structs: Vec<usize> = (0..schema.fields().len())
        .filter(|index| is_needed(schema.field(*index)))
        .collect();
    if structs.is_empty() {
        return Ok(Vec::new());
    }
    match source {
        ObjectSource::Bytes(bytes) => digests(schema, &structs, bytes.clone()),
        ObjectSource::File { file, .. } => digests(schema, &structs, file.reopen()?),
    }
}

fn digests(schema: &Schema, structs: &[usize], file: impl ChunkReader + 'static) -> Result<Vec<ColumnDigest>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let mask = ProjectionMask::roots(reader.parquet_schema(), structs.iter().copied());
    let (_, hashers) = LogicalHasher::new(schema)?.split();
    let mut hashers: Vec<_> = hashers
        .into_iter()
        .filter(|hasher| structs.contains(&hasher.index()))
        .collect();
    for batch in reader
        .with_projection(mask)
        .with_batch_size(STRUCT_BATCH_ROWS)
        .build()?
    {
        for (hasher, column) in hashers.iter_mut().zip(batch?.columns()) {
            hasher.update(&Arc::clone(column))?;
        }
    }
    Ok(hashers
        .into_iter()
        .map(|hasher| hasher.finish())
        .collect::<Result<_, _>>()?)
}
