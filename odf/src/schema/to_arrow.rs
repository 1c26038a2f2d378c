//! ODF to Arrow.

use std::sync::Arc;

use arrow::datatypes::{self as arrow_types, Field, FieldRef, Fields, Schema};

use super::encoding::Encoding;
use super::from_arrow::default_decimal_bits;
use crate::error::{Error, Result};
use crate::metadata::{DataField, DataSchema, DataType, TimeUnit};

impl DataSchema {
    /// The Arrow columns of the schema.
    ///
    /// A timestamp without a zone is in UTC; times of seconds and milliseconds have 32 bits, finer ones 64; a list's item
    /// is called `item`, a map's entries are `entries` with `keys` and `values`. Attributes other than encodings are left
    /// out.
    ///
    /// # Errors
    /// `Unsupported`, naming the column, for types that Arrow does not have: an option of an option, a decimal with more
    /// than 76 digits, a length beyond 31 bits, or an unknown encoding.
    pub fn to_arrow(&self) -> Result<Schema> {
        Ok(Schema::new(fields_to_arrow(&self.fields)?))
    }
}

fn fields_to_arrow(fields: &[DataField]) -> Result<Fields> {
    fields.iter().map(field_to_arrow).collect()
}

fn field_to_arrow(field: &DataField) -> Result<FieldRef> {
    let encoding = Encoding::of(field);
    let arrow_field = encoding.and_then(|encoding| named(&field.name, &field.r#type, encoding));
    arrow_field.map_err(|error| error.with_context("column", &field.name))
}

fn named(name: &str, data_type: &DataType, encoding: Option<Encoding>) -> Result<FieldRef> {
    let nullable = matches!(data_type, DataType::Option { .. });
    Ok(Arc::new(Field::new(
        name,
        type_to_arrow(data_type.without_option(), encoding)?,
        nullable,
    )))
}

fn type_to_arrow(data_type: &DataType, encoding: Option<Encoding>) -> Result<arrow_types::DataType> {
    use arrow_types::DataType as Arrow;

    Ok(match data_type {
        DataType::Null => Arrow::Null,
        DataType::Bool => Arrow::Boolean,
        DataType::Int8 => Arrow::Int8,
        DataType::Int16 => Arrow::Int16,
        DataType::Int32 => Arrow::Int32,
        DataType::Int64 => Arrow::Int64,
        DataType::UInt8 => Arrow::UInt8,
        DataType::UInt16 => Arrow::UInt16,
        DataType::UInt32 => Arrow::UInt32,
        DataType::UInt64 => Arrow::UInt64,
        DataType::Float16 => Arrow::Float16,
        DataType::Float32 => Arrow::Float32,
        DataType::Float64 => Arrow::Float64,
        DataType::String => match encoding {
            Some(Encoding::LargeOffsets) => Arrow::LargeUtf8,
            Some(Encoding::View | Encoding::LargeView) => Arrow::Utf8View,
            _ => Arrow::Utf8,
        },
        DataType::Binary {
            fixed_length: Some(length),
        } => Arrow::FixedSizeBinary(length_to_arrow(*length)?),
        DataType::Binary { fixed_length: None } => match encoding {
            Some(Encoding::LargeOffsets) => Arrow::LargeBinary,
            Some(Encoding::View | Encoding::LargeView) => Arrow::BinaryView,
            _ => Arrow::Binary,
        },
        DataType::Decimal { precision, scale } => decimal_to_arrow(*precision, *scale, encoding)?,
        DataType::Date => match encoding {
            Some(Encoding::DateMillisecond) => Arrow::Date64,
            _ => Arrow::Date32,
        },
        DataType::Time { unit } => match unit_to_arrow(*unit) {
            unit @ (arrow_types::TimeUnit::Second | arrow_types::TimeUnit::Millisecond) => Arrow::Time32(unit),
            unit @ (arrow_types::TimeUnit::Microsecond | arrow_types::TimeUnit::Nanosecond) => Arrow::Time64(unit),
        },
        DataType::Timestamp { unit, timezone } => {
            Arrow::Timestamp(unit_to_arrow(*unit), Some(timezone.as_deref().unwrap_or("UTC").into()))
        }
        DataType::Duration { unit } => Arrow::Duration(unit_to_arrow(*unit)),
        DataType::List {
            item_type,
            fixed_length,
        } => {
            let item = named("item", item_type, None)?;
            match (fixed_length, encoding) {
                (Some(length), _) => Arrow::FixedSizeList(item, length_to_arrow(*length)?),
                (None, Some(Encoding::LargeOffsets)) => Arrow::LargeList(item),
                (None, Some(Encoding::View)) => Arrow::ListView(item),
                (None, Some(Encoding::LargeView)) => Arrow::LargeListView(item),
                (None, _) => Arrow::List(item),
            }
        }
        DataType::Map {
            key_type,
            value_type,
            keys_sorted,
        } => {
            let entries = Fields::from_iter([named("keys", key_type, None)?, named("values", value_type, None)?]);
            let entries = Field::new("entries", Arrow::Struct(entries), false);
            Arrow::Map(Arc::new(entries), keys_sorted.unwrap_or(false))
        }
        DataType::Struct { fields } => Arrow::Struct(fields_to_arrow(fields)?),
        DataType::Option { .. } => {
            return Err(Error::unsupported(
                "an option of an option has no meaning; leave one out",
            ));
        }
    })
}

fn decimal_to_arrow(precision: u32, scale: i32, encoding: Option<Encoding>) -> Result<arrow_types::DataType> {
    use arrow_types::DataType as Arrow;

    let bits = match encoding {
        Some(Encoding::DecimalBits(bits)) => bits,
        _ => default_decimal_bits(precision),
    };
    let (max, make): (u8, fn(u8, i8) -> Arrow) = match bits {
        32 => (arrow_types::DECIMAL32_MAX_PRECISION, Arrow::Decimal32),
        64 => (arrow_types::DECIMAL64_MAX_PRECISION, Arrow::Decimal64),
        128 => (arrow_types::DECIMAL128_MAX_PRECISION, Arrow::Decimal128),
        _ => (arrow_types::DECIMAL256_MAX_PRECISION, Arrow::Decimal256),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if (1..=max).contains(&precision) && i32::from(scale) <= i32::from(precision) => {
            Ok(make(precision, scale))
        }
        _ => Err(
            Error::unsupported("the decimal is out of range; use at most 76 digits and a scale within them")
                .with_context("precision", precision)
                .with_context("scale", scale)
                .with_context("bits", bits),
        ),
    }
}

fn unit_to_arrow(unit: Option<TimeUnit>) -> arrow_types::TimeUnit {
    match unit.unwrap_or(TimeUnit::Millisecond) {
        TimeUnit::Second => arrow_types::TimeUnit::Second,
        TimeUnit::Millisecond => arrow_types::TimeUnit::Millisecond,
        TimeUnit::Microsecond => arrow_types::TimeUnit::Microsecond,
        TimeUnit::Nanosecond => arrow_types::TimeUnit::Nanosecond,
    }
}

fn length_to_arrow(length: u64) -> Result<i32> {
    i32::try_from(length)
        .map_err(|_| Error::unsupported("a fixed length is beyond 31 bits").with_context("length", length))
}
