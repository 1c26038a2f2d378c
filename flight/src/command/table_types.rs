//! CommandGetTableTypes, and which dataset is of which type.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use jetway_odf::metadata::DatasetKind;

use super::batch;
use crate::Result;

const TABLE: &str = "TABLE";
const VIEW: &str = "VIEW";

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("table_type", DataType::Utf8, false)]))
}

pub(super) fn rows() -> Result<RecordBatch> {
    batch(schema(), vec![Arc::new(StringArray::from_iter_values([TABLE, VIEW]))])
}

/// A derivative dataset is computed from others and takes no rows, which is what a view is to a client.
pub(super) fn table_type(kind: DatasetKind) -> &'static str {
    match kind {
        DatasetKind::Root => TABLE,
        DatasetKind::Derivative => VIEW,
    }
}
