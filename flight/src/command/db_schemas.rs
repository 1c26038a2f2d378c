//! CommandGetDbSchemas: the accounts, and the schemas of system tables.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::CommandGetDbSchemas;
use jetway_planner::CATALOG;

use super::batch;
use super::pattern::{self, Pattern};
use crate::Result;
use crate::call::Call;

pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, false),
    ]))
}

pub(super) async fn rows(call: &Call, command: CommandGetDbSchemas) -> Result<RecordBatch> {
    let mut names = Vec::new();
    if pattern::wants_catalog(command.catalog.as_deref()) {
        names = call.shared.planner.schemas(&call.subject).await?;
        if let Some(filter) = &command.db_schema_filter_pattern {
            let filter = Pattern::new(filter);
            names.retain(|name| filter.matches(name));
        }
    }
    let catalogs = StringArray::from_iter_values(names.iter().map(|_| CATALOG));
    batch(
        schema(),
        vec![Arc::new(catalogs), Arc::new(StringArray::from_iter_values(names))],
    )
}
