//! CommandGetPrimaryKeys, CommandGetExportedKeys, CommandGetImportedKeys and CommandGetCrossReference.
//!
//! The primary key of a table is the one that its sources merge by. Foreign keys are those that the schemas of datasets
//! declare. Nothing enforces either: they tell tools which columns belong together.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, UInt8Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetExportedKeys, CommandGetImportedKeys, CommandGetPrimaryKeys, UpdateDeleteRules,
};
use futures::{StreamExt, TryStreamExt, stream};
use jetway_planner::{CATALOG, ForeignKey, TableDescription, TableEntry, TableName};

use super::tables::{self, LOOKUPS};
use super::{batch, pattern};
use crate::Result;
use crate::call::Call;

pub(super) fn primary_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("catalog_name", DataType::Utf8, true),
        Field::new("db_schema_name", DataType::Utf8, true),
        Field::new("table_name", DataType::Utf8, false),
        Field::new("column_name", DataType::Utf8, false),
        Field::new("key_name", DataType::Utf8, true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

pub(super) fn foreign_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("pk_catalog_name", DataType::Utf8, true),
        Field::new("pk_db_schema_name", DataType::Utf8, true),
        Field::new("pk_table_name", DataType::Utf8, false),
        Field::new("pk_column_name", DataType::Utf8, false),
        Field::new("fk_catalog_name", DataType::Utf8, true),
        Field::new("fk_db_schema_name", DataType::Utf8, true),
        Field::new("fk_table_name", DataType::Utf8, false),
        Field::new("fk_column_name", DataType::Utf8, false),
        Field::new("key_sequence", DataType::Int32, false),
        Field::new("fk_key_name", DataType::Utf8, true),
        Field::new("pk_key_name", DataType::Utf8, true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ]))
}

/// A table as the commands name it: exactly, where a catalog or schema that is absent means any.
struct Wanted {
    catalog: Option<String>,
    schema: Option<String>,
    table: String,
}

impl Wanted {
    fn matches(&self, entry: &TableEntry) -> bool {
        let schema = self.schema.as_deref();
        schema.is_none_or(|schema| is_same(schema, &entry.account)) && is_same(&self.table, &entry.name)
    }

    /// The datasets that it may be.
    async fn find(&self, call: &Call) -> Result<Vec<TableEntry>> {
        if !pattern::wants_catalog(self.catalog.as_deref()) {
            return Ok(Vec::new());
        }
        let mut found = call.shared.planner.tables(&call.subject, None).await?;
        found.retain(|entry| self.matches(entry));
        Ok(found)
    }
}

/// Names compare without case, and `_` stands for `-`, as everywhere in SQL here.
fn is_same(wanted: &str, name: &str) -> bool {
    wanted.replace('_', "-").eq_ignore_ascii_case(name)
}

/// The name of a table's primary key.
fn key_name(table: &str) -> String {
    format!("{table}_pkey")
}

pub(super) async fn primary(call: &Call, command: CommandGetPrimaryKeys) -> Result<RecordBatch> {
    let wanted = Wanted {
        catalog: command.catalog,
        schema: command.db_schema,
        table: command.table,
    };
    let mut rows = Vec::new();
    for (entry, description) in described(call, wanted.find(call).await?).await? {
        for (column, sequence) in description.primary_key.iter().zip(1..) {
            rows.push((entry.account.clone(), entry.name.clone(), column.clone(), sequence));
        }
    }
    // Columns of a key are in their order already, and there is one key a table.
    rows.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let texts = |text: fn(&(String, String, String, i32)) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(text)))
    };
    batch(
        primary_schema(),
        vec![
            texts(|_| CATALOG.to_owned()),
            texts(|row| row.0.clone()),
            texts(|row| row.1.clone()),
            texts(|row| row.2.clone()),
            texts(|row| key_name(&row.1)),
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.3))),
        ],
    )
}

/// Keys of other tables into the table: all tables have to be looked at.
pub(super) async fn exported(call: &Call, command: CommandGetExportedKeys) -> Result<RecordBatch> {
    let wanted = Wanted {
        catalog: command.catalog,
        schema: command.db_schema,
        table: command.table,
    };
    let targets = wanted.find(call).await?;
    let referring = match targets.is_empty() {
        true => Vec::new(),
        false => call.shared.planner.tables(&call.subject, None).await?,
    };
    let mut links = links(call, referring, Some(&targets)).await?;
    links.sort_by(|a, b| a.foreign_order().cmp(&b.foreign_order()));
    foreign_batch(&links)
}

/// Keys of the table into other tables.
pub(super) async fn imported(call: &Call, command: CommandGetImportedKeys) -> Result<RecordBatch> {
    let wanted = Wanted {
        catalog: command.catalog,
        schema: command.db_schema,
        table: command.table,
    };
    let mut links = links(call, wanted.find(call).await?, None).await?;
    links.sort_by(|a, b| a.primary_order().cmp(&b.primary_order()));
    foreign_batch(&links)
}

/// Keys of one table into another one.
pub(super) async fn cross_reference(call: &Call, command: CommandGetCrossReference) -> Result<RecordBatch> {
    let primary = Wanted {
        catalog: command.pk_catalog,
        schema: command.pk_db_schema,
        table: command.pk_table,
    };
    let foreign = Wanted {
        catalog: command.fk_catalog,
        schema: command.fk_db_schema,
        table: command.fk_table,
    };
    let targets = primary.find(call).await?;
    let mut links = links(call, foreign.find(call).await?, Some(&targets)).await?;
    links.sort_by(|a, b| a.primary_order().cmp(&b.primary_order()));
    foreign_batch(&links)
}

/// A pair of columns of a foreign key.
struct Link {
    primary: TableEntry,
    primary_column: String,
    foreign: TableEntry,
    foreign_column: String,
    sequence: i32,
    name: Option<String>,
    /// Whether it refers to the primary key.
    to_primary_key: bool,
}

impl Link {
    fn foreign_order(&self) -> (&str, &str, Option<&str>, i32) {
        (
            &self.foreign.account,
            &self.foreign.name,
            self.name.as_deref(),
            self.sequence,
        )
    }

    // The name of the primary key follows from the table's.
    fn primary_order(&self) -> (&str, &str, bool, Option<&str>, i32) {
        (
            &self.primary.account,
            &self.primary.name,
            self.to_primary_key,
            self.name.as_deref(),
            self.sequence,
        )
    }
}

/// The declared keys of tables that lead to tables which the caller may see, and only to some of those if so asked.
async fn links(call: &Call, tables: Vec<TableEntry>, only: Option<&[TableEntry]>) -> Result<Vec<Link>> {
    let mut found = Vec::new();
    for (table, description) in described(call, tables).await? {
        for key in &description.foreign_keys {
            let target = match only {
                Some(targets) => targets.iter().find(|target| refers(&table, key, target)).cloned(),
                None => target(call, &table, key).await?,
            };
            if let Some(target) = target {
                add_links(call, &table, key, target, &mut found).await?;
            }
        }
    }
    Ok(found)
}

/// Whether a key of a table leads to another one.
fn refers(table: &TableEntry, key: &ForeignKey, target: &TableEntry) -> bool {
    match &key.table {
        TableName::Id(id) => *id == target.id,
        TableName::Alias(alias) => {
            let account = alias
                .account
                .as_ref()
                .map_or(table.account.as_str(), |account| account.as_str());
            is_same(account, &target.account) && is_same(alias.name.as_str(), &target.name)
        }
    }
}

async fn target(call: &Call, table: &TableEntry, key: &ForeignKey) -> Result<Option<TableEntry>> {
    let account = match &key.table {
        TableName::Id(_) => None,
        TableName::Alias(alias) => Some(
            alias
                .account
                .as_ref()
                .map_or(table.account.as_str(), |account| account.as_str()),
        ),
    };
    let candidates = call.shared.planner.tables(&call.subject, account).await?;
    Ok(candidates.into_iter().find(|candidate| refers(table, key, candidate)))
}

async fn add_links(
    call: &Call,
    table: &TableEntry,
    key: &ForeignKey,
    target: TableEntry,
    found: &mut Vec<Link>,
) -> Result<()> {
    let Some((target, description)) = described(call, vec![target]).await?.pop() else {
        return Ok(());
    };
    let to_primary_key = key.referenced.is_empty() || key.referenced == description.primary_key;
    let referenced = match key.referenced.as_slice() {
        [] => &description.primary_key,
        columns => columns,
    };
    let exist = referenced
        .iter()
        .all(|column| description.schema.field_with_name(column).is_ok());
    if referenced.len() != key.columns.len() || !exist {
        return Ok(());
    }
    for ((column, referenced), sequence) in key.columns.iter().zip(referenced).zip(1..) {
        found.push(Link {
            primary: target.clone(),
            primary_column: referenced.clone(),
            foreign: table.clone(),
            foreign_column: column.clone(),
            sequence,
            name: key.name.clone(),
            to_primary_key,
        });
    }
    Ok(())
}

/// Descriptions of those tables that can be read, in the same order.
async fn described(call: &Call, tables: Vec<TableEntry>) -> Result<Vec<(TableEntry, Arc<TableDescription>)>> {
    let found: Vec<_> = stream::iter(tables)
        .map(|entry| tables::describe(call, entry))
        .buffered(LOOKUPS)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

fn foreign_batch(links: &[Link]) -> Result<RecordBatch> {
    let texts =
        |text: fn(&Link) -> Option<&str>| -> ArrayRef { Arc::new(links.iter().map(text).collect::<StringArray>()) };
    let primary_names = links
        .iter()
        .map(|link| link.to_primary_key.then(|| key_name(&link.primary.name)));
    // An append-only table changes nothing that others refer to.
    let rules: ArrayRef = Arc::new(UInt8Array::from_value(UpdateDeleteRules::NoAction as u8, links.len()));
    batch(
        foreign_schema(),
        vec![
            texts(|_| Some(CATALOG)),
            texts(|link| Some(&link.primary.account)),
            texts(|link| Some(&link.primary.name)),
            texts(|link| Some(&link.primary_column)),
            texts(|_| Some(CATALOG)),
            texts(|link| Some(&link.foreign.account)),
            texts(|link| Some(&link.foreign.name)),
            texts(|link| Some(&link.foreign_column)),
            Arc::new(Int32Array::from_iter_values(links.iter().map(|link| link.sequence))),
            texts(|link| link.name.as_deref()),
            Arc::new(primary_names.collect::<StringArray>()),
            Arc::clone(&rules),
            rules,
        ],
    )
}
