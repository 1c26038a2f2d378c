//! CommandGetCatalogs.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use jetway_planner::CATALOG;

use super::batch;
use crate::Result;

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("catalog_name", DataType::Utf8, false)]))
}

pub(super) fn rows() -> Result<RecordBatch> {
    batch(schema(), vec![Arc::new(StringArray::from_iter_values([CATALOG]))])
}
