//! One schema for several files.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use arrow::datatypes::{DataType, Field, Fields, Schema};

/// How columns of the files of one ingest find each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    /// By position: names and order must be the same, types widen. For CSV.
    ByPosition,
    /// By name: the result has the columns of all files, types widen. For NDJSON.
    ByName,
    /// Everything must be the same. For Parquet, whose types are not guessed.
    Exact,
}

/// The schema of the files so far, together with that of the next one.
pub(super) fn merge(columns: Columns, sum: Schema, next: &Schema, path: &Path) -> Result<Schema> {
    match columns {
        Columns::ByPosition => {
            let names = |schema: &Schema| {
                schema
                    .fields()
                    .iter()
                    .map(|field| field.name().clone())
                    .collect::<Vec<_>>()
            };
            if names(&sum) != names(next) {
                bail!(
                    "{} has other columns than the files before it: {} instead of {}; ingest it on its own",
                    path.display(),
                    names(next).join(", "),
                    names(&sum).join(", ")
                );
            }
            let fields = sum
                .fields()
                .iter()
                .zip(next.fields())
                .map(|(one, other)| widen_field(one, other));
            Ok(Schema::new(fields.collect::<Fields>()))
        }
        Columns::ByName => {
            let mut fields: Vec<Field> = sum.fields().iter().map(|field| field.as_ref().clone()).collect();
            for other in next.fields() {
                match fields.iter_mut().find(|field| field.name() == other.name()) {
                    Some(field) => *field = widen_field(field, other),
                    None => fields.push(other.as_ref().clone()),
                }
            }
            Ok(Schema::new(fields))
        }
        Columns::Exact => {
            if sum.fields() != next.fields() {
                bail!(
                    "{} has other columns than the files before it; ingest it on its own",
                    path.display()
                );
            }
            Ok(sum)
        }
    }
}

/// A column without any value says nothing about its type: it is text.
pub(super) fn settle(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let settled = settle_type(field.data_type());
        Field::clone(field).with_data_type(settled)
    });
    Schema::new(fields.collect::<Fields>())
}

fn settle_type(data_type: &DataType) -> DataType {
    let settle_field =
        |field: &Arc<Field>| Arc::new(Field::clone(field).with_data_type(settle_type(field.data_type())));
    match data_type {
        DataType::Null => DataType::Utf8,
        DataType::List(item) => DataType::List(settle_field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(settle_field).collect()),
        other => other.clone(),
    }
}

fn widen_field(one: &Field, other: &Field) -> Field {
    let nullable = one.is_nullable() || other.is_nullable();
    Field::new(one.name(), widen(one.data_type(), other.data_type()), nullable)
}

/// A type for the values of both. What has nothing in common becomes text.
fn widen(one: &DataType, other: &DataType) -> DataType {
    match (one, other) {
        (one, other) if one == other => one.clone(),
        (DataType::Null, known) | (known, DataType::Null) => known.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        (DataType::Timestamp(one, zone), DataType::Timestamp(other, other_zone)) if zone == other_zone => {
            DataType::Timestamp((*one).max(*other), zone.clone())
        }
        (DataType::Date32, moment @ DataType::Timestamp(_, None))
        | (moment @ DataType::Timestamp(_, None), DataType::Date32) => moment.clone(),
        (DataType::Struct(_), DataType::Struct(_)) | (DataType::List(_), DataType::List(_)) => widen_nested(one, other),
        _ => DataType::Utf8,
    }
}

fn widen_nested(one: &DataType, other: &DataType) -> DataType {
    match (one, other) {
        (DataType::List(one), DataType::List(other)) => DataType::List(Arc::new(widen_field(one, other))),
        (DataType::Struct(one), DataType::Struct(other)) => {
            let mut fields: Vec<Field> = one.iter().map(|field| field.as_ref().clone()).collect();
            for field in other {
                match fields.iter_mut().find(|known| known.name() == field.name()) {
                    Some(known) => *known = widen_field(known, field),
                    None => fields.push(field.as_ref().clone()),
                }
            }
            DataType::Struct(fields.into())
        }
        _ => DataType::Utf8,
    }
}
