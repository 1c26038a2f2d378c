//! CommandGetTables: the datasets, and the tables of the node itself.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::CommandGetTables;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use jetway_odf::identity::AccountName;
use jetway_planner::{
    BatchStream, CATALOG, Error as PlannerError, ErrorKind as PlannerKind, SystemTable, TableDescription, TableEntry,
    View,
};
use tokio::sync::mpsc::Sender;

use super::pattern::{self, Pattern};
use super::{batch, table_types};
use crate::call::Call;
use crate::task_stream::TaskStream;
use crate::wire::{TableColumns, schema_bytes, with_column_metadata};
use crate::{Result, WireProfile};

/// Rows of one batch. A node may have a hundred thousand datasets, and the first ones should be seen at once.
const ROWS: usize = 1024;
/// How many schemas are looked up at the same time.
pub(super) const LOOKUPS: usize = 16;

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

/// A table of the listing.
enum Table {
    Dataset(TableEntry),
    View(View),
    System(SystemTable),
}

impl Table {
    /// Schema and name.
    fn names(&self) -> (&str, &str) {
        match self {
            Self::Dataset(entry) => (&entry.account, &entry.name),
            Self::View(view) => {
                let account = view.alias.account.as_ref().map_or("", AccountName::as_str);
                (account, view.alias.name.as_str())
            }
            Self::System(table) => (&table.schema, &table.name),
        }
    }

    fn table_type(&self) -> &'static str {
        match self {
            Self::Dataset(entry) => table_types::table_type(entry.kind),
            Self::View(_) => table_types::VIEW,
            Self::System(_) => table_types::SYSTEM_TABLE,
        }
    }
}

async fn list(
    call: Call,
    command: CommandGetTables,
    batches: Sender<RecordBatch>,
) -> std::result::Result<(), PlannerError> {
    let described = stream::iter(wanted(&call, &command).await?)
        .map(|table| async {
            match command.include_schema {
                true => with_schema(&call, table).await,
                false => Ok(Some((table, None))),
            }
        })
        .buffered(LOOKUPS)
        .try_filter_map(async |table| Ok(table));
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

/// The tables that fit, ordered by schema and name, which makes them ordered by type as well.
async fn wanted(call: &Call, command: &CommandGetTables) -> std::result::Result<Vec<Table>, PlannerError> {
    let planner = &call.shared.planner;
    let types = &command.table_types;
    let wants_type = |name: &str| types.is_empty() || types.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
    let schema = command.db_schema_filter_pattern.as_deref().map(Pattern::new);
    let name = command.table_name_filter_pattern.as_deref().map(Pattern::new);
    let mut tables = Vec::new();
    if wants_type(table_types::TABLE) || wants_type(table_types::VIEW) {
        let account = schema.as_ref().and_then(Pattern::literal);
        let datasets = planner.tables(&call.subject, account.as_deref()).await?;
        tables.extend(datasets.into_iter().map(Table::Dataset));
        if wants_type(table_types::VIEW) {
            let views = planner.views(&call.subject, account.as_deref()).await?;
            tables.extend(views.into_iter().map(Table::View));
        }
    }
    if wants_type(table_types::SYSTEM_TABLE) {
        tables.extend(planner.system_tables().await?.into_iter().map(Table::System));
    }
    let fits = |pattern: &Option<Pattern>, name: &str| pattern.as_ref().is_none_or(|pattern| pattern.matches(name));
    tables.retain(|table| {
        let names = table.names();
        wants_type(table.table_type()) && fits(&schema, names.0) && fits(&name, names.1)
    });
    tables.sort_by(|a, b| a.names().cmp(&b.names()));
    Ok(tables)
}

/// What is known of a dataset; none when it is gone meanwhile, or damaged, which must not hide the others.
pub(super) async fn describe(
    call: &Call,
    entry: TableEntry,
) -> std::result::Result<Option<(TableEntry, Arc<TableDescription>)>, PlannerError> {
    match call.shared.planner.describe(&call.subject, &entry).await {
        Ok(description) => Ok(Some((entry, description))),
        Err(error) if matches!(error.kind(), PlannerKind::NotFound | PlannerKind::Corrupt) => {
            tracing::warn!(dataset.id = %entry.id, %error, "a dataset that cannot be read is left out of a listing");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A table with the columns that `SELECT *` announces and streams, and what tools want to know of them.
async fn with_schema(call: &Call, table: Table) -> std::result::Result<Option<(Table, Option<Bytes>)>, PlannerError> {
    let profile: WireProfile = call.profile;
    let (table, schema) = match table {
        Table::Dataset(entry) => {
            let Some((entry, description)) = describe(call, entry).await? else {
                return Ok(None);
            };
            let columns = TableColumns {
                schema: &entry.account,
                table: &entry.name,
                description: Some(&description),
            };
            let schema = with_column_metadata(&profile.schema(&description.schema), Some(columns));
            (Table::Dataset(entry), schema)
        }
        Table::View(view) => {
            let described = call.shared.planner.describe_view(&call.subject, &view).await;
            let schema = match described {
                Ok(schema) => schema,
                Err(error) => {
                    tracing::debug!(view = %view.alias, %error, "a view that cannot be read has no columns in a listing");
                    return Ok(None);
                }
            };
            let table = Table::View(view);
            let (account, name) = table.names();
            let columns = TableColumns {
                schema: account,
                table: name,
                description: None,
            };
            let schema = with_column_metadata(&profile.schema(&schema), Some(columns));
            (table, schema)
        }
        Table::System(system) => {
            let columns = TableColumns {
                schema: &system.schema,
                table: &system.name,
                description: None,
            };
            let schema = with_column_metadata(&profile.schema(&system.columns), Some(columns));
            (Table::System(system), schema)
        }
    };
    Ok(Some((table, Some(schema_bytes(&schema)?))))
}

fn tables_batch(tables: &[(Table, Option<Bytes>)], include_schema: bool) -> Result<RecordBatch> {
    let [mut catalogs, mut accounts, mut names, mut types] = std::array::from_fn(|_| StringBuilder::new());
    let mut schemas = BinaryBuilder::new();
    for (table, schema) in tables {
        let (account, name) = table.names();
        catalogs.append_value(CATALOG);
        accounts.append_value(account);
        names.append_value(name);
        types.append_value(table.table_type());
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
