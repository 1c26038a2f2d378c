//! CommandGetTableTypes, and which dataset is of which type.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use jetway_odf::metadata::DatasetKind;

use super::batch;
use crate::Result;

/// What the node itself makes up. Tools that know the word keep such tables apart from those of users.
pub(super) const SYSTEM_TABLE: &str = "SYSTEM TABLE";
pub(super) const TABLE: &str = "TABLE";
pub(super) const VIEW: &str = "VIEW";

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("table_type", DataType::Utf8, false)]))
}

pub(super) fn rows() -> Result<RecordBatch> {
    let types = StringArray::from_iter_values([SYSTEM_TABLE, TABLE, VIEW]);
    batch(schema(), vec![Arc::new(types)])
}

/// A derivative dataset is computed from others and takes no rows, which is what a view is to a client.
pub(super) fn table_type(kind: DatasetKind) -> &'static str {
    match kind {
        DatasetKind::Root => TABLE,
        DatasetKind::Derivative => VIEW,
    }
}
