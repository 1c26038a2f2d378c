//! Metadata of columns for tools that want more than Arrow's types: the type's name in SQL, its sizes, and where a column
//! comes from. The keys are those of the Flight SQL specification; the values are texts, `1` and `0` for yes and no.

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use jetway_planner::{CATALOG, TableDescription};

use super::sql_type::SqlType;

const PREFIX: &str = "ARROW:FLIGHT:SQL:";
const CATALOG_NAME: &str = "ARROW:FLIGHT:SQL:CATALOG_NAME";
const DB_SCHEMA_NAME: &str = "ARROW:FLIGHT:SQL:DB_SCHEMA_NAME";
/// The clients for C++, Java and Python read this key where the specification names [`DB_SCHEMA_NAME`].
const SCHEMA_NAME: &str = "ARROW:FLIGHT:SQL:SCHEMA_NAME";
const TABLE_NAME: &str = "ARROW:FLIGHT:SQL:TABLE_NAME";
const TYPE_NAME: &str = "ARROW:FLIGHT:SQL:TYPE_NAME";
const PRECISION: &str = "ARROW:FLIGHT:SQL:PRECISION";
const SCALE: &str = "ARROW:FLIGHT:SQL:SCALE";
const IS_AUTO_INCREMENT: &str = "ARROW:FLIGHT:SQL:IS_AUTO_INCREMENT";
const IS_CASE_SENSITIVE: &str = "ARROW:FLIGHT:SQL:IS_CASE_SENSITIVE";
const IS_READ_ONLY: &str = "ARROW:FLIGHT:SQL:IS_READ_ONLY";
const IS_SEARCHABLE: &str = "ARROW:FLIGHT:SQL:IS_SEARCHABLE";
const REMARKS: &str = "ARROW:FLIGHT:SQL:REMARKS";

#[cfg(test)]
mod tests;

/// The table that columns belong to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TableColumns<'a> {
    /// Its schema.
    pub(crate) schema: &'a str,
    /// Its name.
    pub(crate) table: &'a str,
    /// What is known of its columns; none for a table of the node itself.
    pub(crate) description: Option<&'a TableDescription>,
}

/// The schema with the metadata that follows from types (name, precision, scale, case, whether `WHERE` takes it) and, where
/// the columns are those of a table, from the table. Names, types, nullability and other metadata stay; doing it twice
/// changes nothing. It belongs after [`super::Shape::schema`], so that it tells of the types that are sent.
pub(crate) fn with_column_metadata(schema: &Schema, table: Option<TableColumns<'_>>) -> SchemaRef {
    let fields: Vec<FieldRef> = schema.fields().iter().map(|field| describe(field, table)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The column without all that [`with_column_metadata`] can add: rows of an answer may be pushed into another dataset, of which
/// it would not be true.
pub(crate) fn without_column_metadata(field: FieldRef) -> FieldRef {
    let ours = |key: &String| key.starts_with(PREFIX);
    if !field.metadata().keys().any(ours) {
        return field;
    }
    let metadata = field.metadata().clone().into_iter().filter(|(key, _)| !ours(key));
    let metadata = metadata.collect();
    Arc::new(Field::clone(&field).with_metadata(metadata))
}

fn describe(field: &Field, table: Option<TableColumns<'_>>) -> FieldRef {
    let mut metadata = field.metadata().clone();
    let mut set = |key: &str, value: String| metadata.insert(key.to_owned(), value);
    let sql_type = SqlType::of(field.data_type());
    set(TYPE_NAME, sql_type.name.to_owned());
    if let Some(precision) = sql_type.precision {
        set(PRECISION, precision.to_string());
    }
    if let Some(scale) = sql_type.scale {
        set(SCALE, scale.to_string());
    }
    set(IS_CASE_SENSITIVE, flag(sql_type.case_sensitive));
    set(IS_SEARCHABLE, flag(sql_type.searchable));
    if let Some(table) = table {
        set(CATALOG_NAME, CATALOG.to_owned());
        set(DB_SCHEMA_NAME, table.schema.to_owned());
        set(SCHEMA_NAME, table.schema.to_owned());
        set(TABLE_NAME, table.table.to_owned());
        let name = field.name();
        let described = table.description;
        set(
            IS_AUTO_INCREMENT,
            flag(described.is_some_and(|table| table.counter == *name)),
        );
        set(
            IS_READ_ONLY,
            flag(described.is_none_or(|table| table.generated.contains(name))),
        );
        if let Some(remarks) = described.and_then(|table| table.remarks.get(name)) {
            set(REMARKS, remarks.clone());
        }
    }
    Arc::new(field.clone().with_metadata(metadata))
}

fn flag(is_so: bool) -> String {
    if is_so { "1" } else { "0" }.to_owned()
}
