//! Arrow to ODF.

use std::collections::HashSet;

use arrow::datatypes::{self as arrow_types, Field, Fields, Schema};

use super::encoding::Encoding;
use crate::error::{Error, Result};
use crate::metadata::{DataField, DataSchema, DataType, TimeUnit};

impl DataSchema {
    /// The schema of Arrow columns.
    ///
    /// A nullable field gets an [`DataType::Option`]; units and time zones become explicit; an unusual layout becomes an
    /// attribute of the column. What the format cannot say:
    /// - a timestamp without a zone stays without one here, but ODF reads that as UTC;
    /// - the layout of list items, keys and values, and metadata of schema and fields, are left out.
    ///
    /// # Errors
    /// `Unsupported`, naming the column, for dictionary and run-end encoded columns (cast them to their values), unions
    /// and intervals, and if two columns have the same name.
    pub fn from_arrow(schema: &Schema) -> Result<Self> {
        Ok(Self {
            fields: fields_from_arrow(schema.fields())?,
            extra: None,
        })
    }
}

fn fields_from_arrow(fields: &Fields) -> Result<Vec<DataField>> {
    let mut names = HashSet::new();
    if let Some(twice) = fields.iter().find(|field| !names.insert(field.name())) {
        return Err(
            Error::unsupported("two columns have the same name; rename one").with_context("column", twice.name())
        );
    }
    fields.iter().map(|field| field_from_arrow(field)).collect()
}

fn field_from_arrow(field: &Field) -> Result<DataField> {
    let (r#type, encoding) = type_from_arrow(field).map_err(|error| error.with_context("column", field.name()))?;
    Ok(DataField {
        name: field.name().clone(),
        r#type,
        extra: encoding.map(Encoding::to_attributes),
    })
}

/// The type of a nested value, which has no attributes of its own.
fn item_from_arrow(field: &Field) -> Result<Box<DataType>> {
    Ok(Box::new(type_from_arrow(field)?.0))
}

fn type_from_arrow(field: &Field) -> Result<(DataType, Option<Encoding>)> {
    use arrow_types::DataType as Arrow;

    let plain = |data_type| (data_type, None);
    let string = |encoding| (DataType::String, encoding);
    let binary = |encoding| (DataType::Binary { fixed_length: None }, encoding);
    let list = |item: &Field, encoding| {
        item_from_arrow(item).map(|item_type| {
            (
                DataType::List {
                    item_type,
                    fixed_length: None,
                },
                encoding,
            )
        })
    };
    let decimal = |precision: u8, scale: i8, bits: u64| {
        let data_type = DataType::Decimal {
            precision: precision.into(),
            scale: scale.into(),
        };
        let encoding = Encoding::DecimalBits(bits);
        (
            data_type,
            Some(encoding).filter(|_| bits != default_decimal_bits(precision.into())),
        )
    };

    let (data_type, encoding) = match field.data_type() {
        Arrow::Null => plain(DataType::Null),
        Arrow::Boolean => plain(DataType::Bool),
        Arrow::Int8 => plain(DataType::Int8),
        Arrow::Int16 => plain(DataType::Int16),
        Arrow::Int32 => plain(DataType::Int32),
        Arrow::Int64 => plain(DataType::Int64),
        Arrow::UInt8 => plain(DataType::UInt8),
        Arrow::UInt16 => plain(DataType::UInt16),
        Arrow::UInt32 => plain(DataType::UInt32),
        Arrow::UInt64 => plain(DataType::UInt64),
        Arrow::Float16 => plain(DataType::Float16),
        Arrow::Float32 => plain(DataType::Float32),
        Arrow::Float64 => plain(DataType::Float64),
        Arrow::Utf8 => string(None),
        Arrow::LargeUtf8 => string(Some(Encoding::LargeOffsets)),
        Arrow::Utf8View => string(Some(Encoding::View)),
        Arrow::Binary => binary(None),
        Arrow::LargeBinary => binary(Some(Encoding::LargeOffsets)),
        Arrow::BinaryView => binary(Some(Encoding::View)),
        Arrow::FixedSizeBinary(length) => plain(DataType::Binary {
            fixed_length: Some(length_from_arrow(*length)?),
        }),
        Arrow::Decimal32(precision, scale) => decimal(*precision, *scale, 32),
        Arrow::Decimal64(precision, scale) => decimal(*precision, *scale, 64),
        Arrow::Decimal128(precision, scale) => decimal(*precision, *scale, 128),
        Arrow::Decimal256(precision, scale) => decimal(*precision, *scale, 256),
        Arrow::Date32 => plain(DataType::Date),
        Arrow::Date64 => (DataType::Date, Some(Encoding::DateMillisecond)),
        Arrow::Time32(unit) | Arrow::Time64(unit) => plain(DataType::Time {
            unit: Some(unit_from_arrow(*unit)),
        }),
        Arrow::Timestamp(unit, timezone) => plain(DataType::Timestamp {
            unit: Some(unit_from_arrow(*unit)),
            timezone: timezone.as_deref().map(str::to_owned),
        }),
        Arrow::Duration(unit) => plain(DataType::Duration {
            unit: Some(unit_from_arrow(*unit)),
        }),
        Arrow::List(item) => list(item, None)?,
        Arrow::LargeList(item) => list(item, Some(Encoding::LargeOffsets))?,
        Arrow::ListView(item) => list(item, Some(Encoding::View))?,
        Arrow::LargeListView(item) => list(item, Some(Encoding::LargeView))?,
        Arrow::FixedSizeList(item, length) => plain(DataType::List {
            item_type: item_from_arrow(item)?,
            fixed_length: Some(length_from_arrow(*length)?),
        }),
        Arrow::Struct(fields) => plain(DataType::Struct {
            fields: fields_from_arrow(fields)?,
        }),
        Arrow::Map(entries, sorted) => plain(map_from_arrow(entries, *sorted)?),
        Arrow::Dictionary(_, _) | Arrow::RunEndEncoded(_, _) => {
            return Err(cannot("encoded columns; cast it to its values", field));
        }
        Arrow::Union(_, _) => return Err(cannot("unions; split it into one column for each type", field)),
        Arrow::Interval(_) => return Err(cannot("intervals; cast it to a duration or to text", field)),
    };
    let data_type = if field.is_nullable() {
        DataType::Option {
            inner: Box::new(data_type),
        }
    } else {
        data_type
    };
    Ok((data_type, encoding))
}

fn map_from_arrow(entries: &Field, sorted: bool) -> Result<DataType> {
    let arrow_types::DataType::Struct(fields) = entries.data_type() else {
        return Err(cannot("maps without entries", entries));
    };
    let [keys, values] = fields.as_ref() else {
        return Err(cannot("maps without keys and values", entries));
    };
    Ok(DataType::Map {
        key_type: item_from_arrow(keys)?,
        value_type: item_from_arrow(values)?,
        keys_sorted: Some(sorted),
    })
}

fn unit_from_arrow(unit: arrow_types::TimeUnit) -> TimeUnit {
    match unit {
        arrow_types::TimeUnit::Second => TimeUnit::Second,
        arrow_types::TimeUnit::Millisecond => TimeUnit::Millisecond,
        arrow_types::TimeUnit::Microsecond => TimeUnit::Microsecond,
        arrow_types::TimeUnit::Nanosecond => TimeUnit::Nanosecond,
    }
}

fn length_from_arrow(length: i32) -> Result<u64> {
    u64::try_from(length).map_err(|_| Error::unsupported("a fixed length is negative").with_context("length", length))
}

/// Width that a decimal has without an attribute.
pub(super) fn default_decimal_bits(precision: u32) -> u64 {
    if precision <= u32::from(arrow_types::DECIMAL128_MAX_PRECISION) {
        128
    } else {
        256
    }
}

fn cannot(what: &'static str, field: &Field) -> Error {
    Error::unsupported(format!("a dataset cannot hold {what}")).with_context("type", field.data_type())
}
