//! Arrow schemas in their own flatbuffer form, as old datasets carry them.
//!
//! The tables are those of Arrow's `Schema.fbs`. They are read here and not by the Arrow library, because that trusts
//! the bytes in places where ours may come from anybody.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};

use super::flatbuffer::{Buffer, Table};
use crate::error::{Error, Result};

/// Reads a bare Arrow `Schema` flatbuffer (not an IPC message), as in `SetDataSchema::raw_arrow_schema`.
///
/// Metadata of the schema and of its fields is left out: ODF gives it no meaning.
///
/// # Errors
/// `Malformed` if the bytes are not such a schema, `Unsupported` for types that ODF never had (union, run-end encoded).
pub fn decode_arrow_schema(bytes: &[u8]) -> Result<Schema> {
    let buffer = Buffer::new(bytes);
    let schema = buffer.root()?;
    if schema.scalar::<i16>(0)?.unwrap_or(0) != 0 {
        return Err(Error::unsupported("the Arrow schema is big-endian"));
    }
    let fields = schema
        .tables(1, decode_field)?
        .ok_or_else(|| invalid("an Arrow schema has no fields"))?;
    Ok(Schema::new(fields))
}

fn decode_field(table: Table<'_>) -> Result<Field> {
    let name = table.string(0)?.unwrap_or_default();
    let nullable = table.scalar::<u8>(1)?.unwrap_or(0) != 0;
    let tag = table.scalar::<u8>(2)?.unwrap_or(0);
    let options = table
        .table(3)?
        .ok_or_else(|| invalid("an Arrow field has no type").with_context("field", name))?;
    let children = table.tables(5, decode_field)?.unwrap_or_default();
    let value_type = decode_type(tag, options, children).map_err(|error| error.with_context("field", name))?;
    let data_type = match table.table(4)? {
        Some(dictionary) => DataType::Dictionary(Box::new(decode_index_type(dictionary)?), Box::new(value_type)),
        None => value_type,
    };
    Ok(Field::new(name, data_type, nullable))
}

fn decode_type(tag: u8, options: Table<'_>, children: Vec<Field>) -> Result<DataType> {
    Ok(match tag {
        1 => DataType::Null,
        2 => decode_int(options)?,
        3 => match options.scalar::<i16>(0)?.unwrap_or(0) {
            0 => DataType::Float16,
            1 => DataType::Float32,
            2 => DataType::Float64,
            other => return Err(invalid("unknown precision of a floating point type").with_context("precision", other)),
        },
        4 => DataType::Binary,
        5 => DataType::Utf8,
        6 => DataType::Boolean,
        7 => decode_decimal(options)?,
        8 => match options.scalar::<i16>(0)?.unwrap_or(1) {
            0 => DataType::Date32,
            1 => DataType::Date64,
            other => return Err(invalid("unknown unit of a date").with_context("unit", other)),
        },
        9 => match (options.scalar::<i32>(1)?.unwrap_or(32), decode_unit(options, 1)?) {
            (32, unit @ (TimeUnit::Second | TimeUnit::Millisecond)) => DataType::Time32(unit),
            (64, unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond)) => DataType::Time64(unit),
            (width, unit) => {
                let unit = format!("{unit:?}");
                return Err(invalid("the unit of a time does not fit its width")
                    .with_context("width", width)
                    .with_context("unit", unit));
            }
        },
        10 => DataType::Timestamp(decode_unit(options, 0)?, options.string(1)?.map(Arc::from)),
        11 => match options.scalar::<i16>(0)?.unwrap_or(0) {
            0 => DataType::Interval(IntervalUnit::YearMonth),
            1 => DataType::Interval(IntervalUnit::DayTime),
            2 => DataType::Interval(IntervalUnit::MonthDayNano),
            other => return Err(invalid("unknown unit of an interval").with_context("unit", other)),
        },
        12 => DataType::List(only(children)?),
        13 => DataType::Struct(Fields::from(children)),
        15 => DataType::FixedSizeBinary(decode_size(options)?),
        16 => DataType::FixedSizeList(only(children)?, decode_size(options)?),
        17 => decode_map(options, children)?,
        18 => DataType::Duration(decode_unit(options, 1)?),
        19 => DataType::LargeBinary,
        20 => DataType::LargeUtf8,
        21 => DataType::LargeList(only(children)?),
        23 => DataType::BinaryView,
        24 => DataType::Utf8View,
        25 => DataType::ListView(only(children)?),
        26 => DataType::LargeListView(only(children)?),
        other => return Err(Error::unsupported("not a known Arrow type").with_context("tag", other)),
    })
}

fn decode_int(options: Table<'_>) -> Result<DataType> {
    let width = options.scalar::<i32>(0)?.unwrap_or(0);
    let signed = options.scalar::<u8>(1)?.unwrap_or(0) != 0;
    Ok(match (width, signed) {
        (8, true) => DataType::Int8,
        (16, true) => DataType::Int16,
        (32, true) => DataType::Int32,
        (64, true) => DataType::Int64,
        (8, false) => DataType::UInt8,
        (16, false) => DataType::UInt16,
        (32, false) => DataType::UInt32,
        (64, false) => DataType::UInt64,
        (other, _) => return Err(invalid("unknown width of an integer").with_context("width", other)),
    })
}

fn decode_decimal(options: Table<'_>) -> Result<DataType> {
    let precision = options.scalar::<i32>(0)?.unwrap_or(0);
    let scale = options.scalar::<i32>(1)?.unwrap_or(0);
    let (Ok(precision), Ok(scale)) = (u8::try_from(precision), i8::try_from(scale)) else {
        return Err(invalid("a decimal is out of range")
            .with_context("precision", precision)
            .with_context("scale", scale));
    };
    Ok(match options.scalar::<i32>(2)?.unwrap_or(128) {
        32 => DataType::Decimal32(precision, scale),
        64 => DataType::Decimal64(precision, scale),
        128 => DataType::Decimal128(precision, scale),
        256 => DataType::Decimal256(precision, scale),
        other => return Err(invalid("unknown width of a decimal").with_context("width", other)),
    })
}

fn decode_map(options: Table<'_>, children: Vec<Field>) -> Result<DataType> {
    let entries = only(children)?;
    let is_pair = matches!(entries.data_type(), DataType::Struct(fields) if fields.len() == 2);
    if !is_pair {
        return Err(invalid("the entries of a map must be a key and a value"));
    }
    Ok(DataType::Map(entries, options.scalar::<u8>(0)?.unwrap_or(0) != 0))
}

/// The integer type of a dictionary's keys, 32 bits and signed unless it says otherwise.
fn decode_index_type(dictionary: Table<'_>) -> Result<DataType> {
    dictionary.table(1)?.map_or(Ok(DataType::Int32), decode_int)
}

fn decode_unit(options: Table<'_>, default: i16) -> Result<TimeUnit> {
    Ok(match options.scalar::<i16>(0)?.unwrap_or(default) {
        0 => TimeUnit::Second,
        1 => TimeUnit::Millisecond,
        2 => TimeUnit::Microsecond,
        3 => TimeUnit::Nanosecond,
        other => return Err(invalid("unknown unit of time").with_context("unit", other)),
    })
}

fn decode_size(options: Table<'_>) -> Result<i32> {
    let size = options.scalar::<i32>(0)?.unwrap_or(0);
    if size < 0 {
        Err(invalid("a fixed size is negative").with_context("size", size))
    } else {
        Ok(size)
    }
}

fn only(children: Vec<Field>) -> Result<Arc<Field>> {
    match <[Field; 1]>::try_from(children) {
        Ok([child]) => Ok(Arc::new(child)),
        Err(children) => Err(invalid("the type must have one child").with_context("children", children.len())),
    }
}

fn invalid(message: &'static str) -> Error {
    Error::malformed(message)
}
