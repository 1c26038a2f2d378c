//! Columns in SQL, with the names of types that sources are read with.

use std::fmt::Write;

use jetway_odf::metadata::{DataField, DataSchema, DataType, TimeUnit};

/// One column definition per line.
pub(super) fn columns(schema: &DataSchema) -> String {
    let width = schema.fields.iter().map(|field| identifier(&field.name).len()).max();
    let mut text = String::new();
    for (index, field) in schema.fields.iter().enumerate() {
        let (name, width) = (identifier(&field.name), width.unwrap_or_default());
        let comma = if index + 1 < schema.fields.len() { "," } else { "" };
        // Writing to a text does not fail.
        let _ = writeln!(text, "{name:<width$} {}{comma}", column_type(&field.r#type));
    }
    text
}

fn column_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Option { inner } => type_name(inner),
        other => format!("{} NOT NULL", type_name(other)),
    }
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Binary { fixed_length: None } => "BINARY".to_owned(),
        DataType::Binary {
            fixed_length: Some(length),
        } => format!("BINARY({length})"),
        DataType::Bool => "BOOLEAN".to_owned(),
        DataType::Date => "DATE".to_owned(),
        DataType::Decimal { precision, scale } => format!("DECIMAL({precision}, {scale})"),
        DataType::Duration { unit } => format!("INTERVAL({})", digits(*unit)),
        DataType::Float16 => "HALF".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::UInt8 => "TINYINT UNSIGNED".to_owned(),
        DataType::UInt16 => "SMALLINT UNSIGNED".to_owned(),
        DataType::UInt32 => "INT UNSIGNED".to_owned(),
        DataType::UInt64 => "BIGINT UNSIGNED".to_owned(),
        DataType::List { item_type, .. } => format!("ARRAY<{}>", type_name(item_type.without_option())),
        DataType::Map {
            key_type, value_type, ..
        } => format!(
            "MAP<{}, {}>",
            type_name(key_type),
            type_name(value_type.without_option())
        ),
        DataType::Null => "NULL".to_owned(),
        DataType::Option { inner } => type_name(inner),
        DataType::Struct { fields } => {
            let members = fields.iter().map(|DataField { name, r#type, .. }| {
                format!("{} {}", identifier(name), type_name(r#type.without_option()))
            });
            format!("STRUCT<{}>", members.collect::<Vec<_>>().join(", "))
        }
        DataType::Time { unit } => format!("TIME({})", digits(*unit)),
        DataType::Timestamp { unit, timezone } => {
            let zone = match timezone.as_deref() {
                None | Some("UTC") => String::new(),
                Some(zone) => format!(" WITH TIME ZONE '{}'", zone.replace('\'', "''")),
            };
            format!("TIMESTAMP({}){zone}", digits(*unit))
        }
        DataType::String => "STRING".to_owned(),
    }
}

/// Digits of the fraction of a second.
const fn digits(unit: Option<TimeUnit>) -> u8 {
    match unit {
        Some(TimeUnit::Second) => 0,
        None | Some(TimeUnit::Millisecond) => 3,
        Some(TimeUnit::Microsecond) => 6,
        Some(TimeUnit::Nanosecond) => 9,
    }
}

/// A name as SQL reads it without changing it.
fn identifier(name: &str) -> String {
    let is_plain = name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
    if is_plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}
