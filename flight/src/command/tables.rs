//! CommandGetTables: the datasets.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::CommandGetTables;
use bytes::Bytes;
use futures::{StreamExt, stream};
use jetway_planner::{BatchStream, CATALOG, Error as PlannerError, ErrorKind as PlannerKind, TableEntry};
use tokio::sync::mpsc::Sender;

use super::{batch, pattern, table_types};
use crate::call::Call;
use crate::task_stream::TaskStream;
use crate::wire::schema_bytes;
use crate::{Result, WireProfile};

/// Rows of one batch. A node may have a hundred thousand datasets, and the first ones should be seen at once.
const ROWS: usize = 512;
/// How many schemas are looked up at the same time.
const LOOKUPS: usize = 16;

pub(super) fn schema(include_schema: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("table_type", DataType::Utf8, false),
    ];
    if include_schema {
        fields.push(Field::new("table_schema", DataType::Binary, false));
    }
    Arc::new(Schema::new(fields))
}

pub(super) fn rows(call: &Call, command: CommandGetTables) -> Result<BatchStream> {
    let schema = schema(command.include_schema);
    if !pattern::wants_catalog(command.catalog.as_deref()) {
        return Ok(BatchStream::new(schema, stream::empty()));
    }
    let call = call.clone();
    let lost = |lost| PlannerError::new(PlannerKind::Internal, "the task that lists tables died").with_source(lost);
    let batches = TaskStream::spawn(2, lost, move |batches| Box::pin(list(call, command, batches)));
    Ok(BatchStream::new(schema, batches))
}

async fn list(
    call: Call,
    command: CommandGetTables,
    batches: Sender<RecordBatch>,
) -> std::result::Result<(), PlannerError> {
    let planner = &call.shared.planner;
    let wanted = planner.tables(&call.subject).filter(|entry| {
        let wanted = entry.as_ref().map_or(true, |entry| is_wanted(&command, entry));
        std::future::ready(wanted)
    });
    let described = wanted
        .map(|entry| async {
            let entry = entry?;
            let schema = match command.include_schema {
                true => Some(table_schema(&call, &entry).await?),
                false => None,
            };
            Ok::<_, PlannerError>((entry, schema))
        })
        .buffered(LOOKUPS);
    let mut chunks = std::pin::pin!(described.ready_chunks(ROWS));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
        let batch = tables_batch(&chunk, command.include_schema)?;
        if batches.send(batch).await.is_err() {
            break;
        }
    }
    Ok(())
}

fn is_wanted(command: &CommandGetTables, entry: &TableEntry) -> bool {
    let fits =
        |filter: &Option<String>, name: &str| filter.as_ref().is_none_or(|filter| pattern::matches(filter, name));
    let table_type = table_types::table_type(entry.kind);
    (command.table_types.is_empty()
        || command
            .table_types
            .iter()
            .any(|wanted| wanted.eq_ignore_ascii_case(table_type)))
        && fits(&command.db_schema_filter_pattern, &entry.account)
        && fits(&command.table_name_filter_pattern, &entry.name)
}

/// The schema that `SELECT *` announces and streams.
async fn table_schema(call: &Call, entry: &TableEntry) -> std::result::Result<Bytes, PlannerError> {
    let schema = call.shared.planner.table_schema(entry).await?;
    let profile: WireProfile = call.profile;
    Ok(schema_bytes(&profile.schema(&schema))?)
}

fn tables_batch(tables: &[(TableEntry, Option<Bytes>)], include_schema: bool) -> Result<RecordBatch> {
    let [mut catalogs, mut accounts, mut names, mut types] = std::array::from_fn(|_| StringBuilder::new());
    let mut schemas = BinaryBuilder::new();
    for (entry, schema) in tables {
        catalogs.append_value(CATALOG);
        accounts.append_value(&entry.account);
        names.append_value(&entry.name);
        types.append_value(table_types::table_type(entry.kind));
        schemas.append_value(schema.as_deref().unwrap_or_default());
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(catalogs.finish()),
        Arc::new(accounts.finish()),
        Arc::new(names.finish()),
        Arc::new(types.finish()),
    ];
    if include_schema {
        columns.push(Arc::new(schemas.finish()));
    }
    batch(schema(include_schema), columns)
}
