//! Schemas of answers, in the formats that can be asked for.

use arrow::datatypes::{DataType, Field, Fields, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::schema::printer::print_schema;
use serde_json::{Value, json};

use super::SchemaFormat;
use crate::error::{Error, Result};
use crate::metadata::DataSchema;

/// A schema as JSON; those formats that are not JSON are texts.
///
/// # Errors
/// `Unsupported` if the format cannot say what a column is.
pub fn schema_json(schema: &Schema, format: SchemaFormat) -> Result<Value> {
    match format {
        SchemaFormat::ArrowJson => Ok(json!({
            "fields": fields(schema.fields())?,
            "metadata": schema.metadata(),
        })),
        SchemaFormat::OdfJson => serde_json::to_value(DataSchema::from_arrow(schema)?)
            .map_err(|error| Error::unsupported("the schema cannot be written as JSON").with_source(error)),
        SchemaFormat::OdfYaml => serde_yaml_ng::to_string(&DataSchema::from_arrow(schema)?)
            .map(Value::String)
            .map_err(|error| Error::unsupported("the schema cannot be written as YAML").with_source(error)),
        SchemaFormat::Parquet => {
            let descriptor = ArrowSchemaConverter::new()
                .convert(schema)
                .map_err(|error| Error::unsupported("Parquet has no such columns").with_source(error))?;
            let mut text = Vec::new();
            print_schema(&mut text, descriptor.root_schema());
            Ok(Value::String(String::from_utf8_lossy(&text).into_owned()))
        }
    }
}

fn fields(fields: &Fields) -> Result<Vec<Value>> {
    fields.iter().map(|each| field(each)).collect()
}

/// A field as other ODF nodes write it, with two members that mean nothing any more.
fn field(field: &Field) -> Result<Value> {
    Ok(json!({
        "name": field.name(),
        "data_type": data_type(field.data_type())?,
        "nullable": field.is_nullable(),
        "dict_id": 0,
        "dict_is_ordered": false,
        "metadata": field.metadata(),
    }))
}

fn data_type(of: &DataType) -> Result<Value> {
    let unit = |unit: &dyn std::fmt::Debug| format!("{unit:?}");
    Ok(match of {
        DataType::Timestamp(precision, zone) => json!({"Timestamp": [unit(precision), zone.as_deref()]}),
        DataType::Time32(precision) => json!({"Time32": unit(precision)}),
        DataType::Time64(precision) => json!({"Time64": unit(precision)}),
        DataType::Duration(precision) => json!({"Duration": unit(precision)}),
        DataType::Interval(precision) => json!({"Interval": unit(precision)}),
        DataType::FixedSizeBinary(length) => json!({"FixedSizeBinary": length}),
        DataType::Decimal32(precision, scale) => json!({"Decimal32": [precision, scale]}),
        DataType::Decimal64(precision, scale) => json!({"Decimal64": [precision, scale]}),
        DataType::Decimal128(precision, scale) => json!({"Decimal128": [precision, scale]}),
        DataType::Decimal256(precision, scale) => json!({"Decimal256": [precision, scale]}),
        DataType::List(item) => json!({"List": field(item)?}),
        DataType::LargeList(item) => json!({"LargeList": field(item)?}),
        DataType::FixedSizeList(item, length) => json!({"FixedSizeList": [field(item)?, length]}),
        DataType::Struct(members) => json!({"Struct": fields(members)?}),
        DataType::Map(entries, sorted) => json!({"Map": [field(entries)?, sorted]}),
        DataType::Dictionary(keys, values) => json!({"Dictionary": [data_type(keys)?, data_type(values)?]}),
        DataType::Union(..) | DataType::RunEndEncoded(..) | DataType::ListView(_) | DataType::LargeListView(_) => {
            return Err(
                Error::unsupported("a column of this type cannot be part of a proof: cast it").with_context("type", of),
            );
        }
        // The others have a name and nothing else.
        plain => json!(unit(plain)),
    })
}
