//! Arrow schemas as JSON, in the form in which Arrow's implementations exchange them in their integration tests.

use anyhow::{Result, bail};
use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, TimeUnit, UnionMode};
use serde_json::{Value, json};

/// A schema with its fields.
///
/// # Errors
/// For types that datasets do not have and the form does not know.
pub(super) fn schema(schema: &Schema) -> Result<Value> {
    let fields = schema.fields().iter().map(|field| self::field(field));
    Ok(json!({ "fields": fields.collect::<Result<Vec<_>>>()? }))
}

fn field(field: &Field) -> Result<Value> {
    let children: Vec<Value> = match field.data_type() {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => vec![self::field(item)?],
        DataType::Struct(fields) => fields.iter().map(|field| self::field(field)).collect::<Result<_>>()?,
        _ => Vec::new(),
    };
    Ok(json!({
        "name": field.name(),
        "nullable": field.is_nullable(),
        "type": data_type(field.data_type())?,
        "children": children,
    }))
}

fn data_type(data_type: &DataType) -> Result<Value> {
    let int = |bits: u8, signed: bool| json!({ "name": "int", "bitWidth": bits, "isSigned": signed });
    let float = |precision: &str| json!({ "name": "floatingpoint", "precision": precision });
    let decimal = |bits: u16, precision: u8, scale: i8| json!({ "name": "decimal", "precision": precision, "scale": scale, "bitWidth": bits });
    Ok(match data_type {
        DataType::Null => json!({ "name": "null" }),
        DataType::Boolean => json!({ "name": "bool" }),
        DataType::Int8 => int(8, true),
        DataType::Int16 => int(16, true),
        DataType::Int32 => int(32, true),
        DataType::Int64 => int(64, true),
        DataType::UInt8 => int(8, false),
        DataType::UInt16 => int(16, false),
        DataType::UInt32 => int(32, false),
        DataType::UInt64 => int(64, false),
        DataType::Float16 => float("HALF"),
        DataType::Float32 => float("SINGLE"),
        DataType::Float64 => float("DOUBLE"),
        DataType::Decimal32(precision, scale) => decimal(32, *precision, *scale),
        DataType::Decimal64(precision, scale) => decimal(64, *precision, *scale),
        DataType::Decimal128(precision, scale) => decimal(128, *precision, *scale),
        DataType::Decimal256(precision, scale) => decimal(256, *precision, *scale),
        DataType::Date32 => json!({ "name": "date", "unit": "DAY" }),
        DataType::Date64 => json!({ "name": "date", "unit": "MILLISECOND" }),
        DataType::Time32(unit) => json!({ "name": "time", "unit": time_unit(*unit), "bitWidth": 32 }),
        DataType::Time64(unit) => json!({ "name": "time", "unit": time_unit(*unit), "bitWidth": 64 }),
        DataType::Timestamp(unit, None) => json!({ "name": "timestamp", "unit": time_unit(*unit) }),
        DataType::Timestamp(unit, Some(zone)) => {
            json!({ "name": "timestamp", "unit": time_unit(*unit), "timezone": &**zone })
        }
        DataType::Duration(unit) => json!({ "name": "duration", "unit": time_unit(*unit) }),
        DataType::Binary => json!({ "name": "binary" }),
        DataType::LargeBinary => json!({ "name": "largebinary" }),
        DataType::BinaryView => json!({ "name": "binaryview" }),
        DataType::FixedSizeBinary(width) => json!({ "name": "fixedsizebinary", "byteWidth": width }),
        DataType::Utf8 => json!({ "name": "utf8" }),
        DataType::LargeUtf8 => json!({ "name": "largeutf8" }),
        DataType::Utf8View => json!({ "name": "utf8view" }),
        DataType::List(_) => json!({ "name": "list" }),
        DataType::LargeList(_) => json!({ "name": "largelist" }),
        DataType::ListView(_) => json!({ "name": "listview" }),
        DataType::LargeListView(_) => json!({ "name": "largelistview" }),
        DataType::FixedSizeList(_, size) => json!({ "name": "fixedsizelist", "listSize": size }),
        DataType::Struct(_) => json!({ "name": "struct" }),
        DataType::Map(_, sorted) => json!({ "name": "map", "keysSorted": sorted }),
        DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano)
        | DataType::Union(_, UnionMode::Sparse | UnionMode::Dense)
        | DataType::Dictionary(..)
        | DataType::RunEndEncoded(..) => bail!("no dataset has columns of the type {data_type}"),
    })
}

const fn time_unit(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "SECOND",
        TimeUnit::Millisecond => "MILLISECOND",
        TimeUnit::Microsecond => "MICROSECOND",
        TimeUnit::Nanosecond => "NANOSECOND",
    }
}
