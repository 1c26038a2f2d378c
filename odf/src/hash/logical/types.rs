//! Which types can be hashed, and what is hashed of a type.

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};

use crate::error::{Error, Result};

/// Checks that records of the schema have a logical hash, which they need in order to be committed.
///
/// # Errors
/// `Unsupported`, naming the column, for null, duration, interval, map, union, dictionary, view-list and run-end encoded
/// columns and for lists of structs.
pub fn check_hashable(schema: &Schema) -> Result<()> {
    leaf_types(schema.fields(), &mut Vec::new())
}

/// Collects what is hashed of the types of all leaves under the fields, depth first.
pub(super) fn leaf_types(fields: &Fields, leaves: &mut Vec<Vec<u8>>) -> Result<()> {
    fields.iter().try_for_each(|field| leaf_types_of_field(field, leaves))
}

pub(super) fn leaf_types_of_field(field: &Field, leaves: &mut Vec<Vec<u8>>) -> Result<()> {
    let result = match field.data_type() {
        DataType::Struct(children) => leaf_types(children, leaves),
        leaf => describe(leaf).map(|description| leaves.push(description)),
    };
    result.map_err(|error| error.with_context("column", field.name()))
}

/// What is hashed of a leaf's type. Types that differ in layout alone have the same description.
pub(super) fn describe(data_type: &DataType) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    push_description(data_type, &mut bytes)?;
    Ok(bytes)
}

fn push_description(data_type: &DataType, out: &mut Vec<u8>) -> Result<()> {
    let mut push = |id: u16, parts: &[&[u8]]| {
        out.extend_from_slice(&id.to_le_bytes());
        parts.iter().for_each(|part| out.extend_from_slice(part));
    };
    let mut int = |signed: u8, bits: u64| push(1, &[&[signed], &bits.to_le_bytes()]);
    match data_type {
        DataType::Int8 => int(1, 8),
        DataType::Int16 => int(1, 16),
        DataType::Int32 => int(1, 32),
        DataType::Int64 => int(1, 64),
        DataType::UInt8 => int(0, 8),
        DataType::UInt16 => int(0, 16),
        DataType::UInt32 => int(0, 32),
        DataType::UInt64 => int(0, 64),
        DataType::Float16 => push(2, &[&16_u64.to_le_bytes()]),
        DataType::Float32 => push(2, &[&32_u64.to_le_bytes()]),
        DataType::Float64 => push(2, &[&64_u64.to_le_bytes()]),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => push(3, &[]),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => push(4, &[]),
        DataType::Boolean => push(5, &[]),
        DataType::Decimal32(precision, scale) => {
            push(6, &decimal(32, *precision, *scale).each_ref().map(<[u8; 8]>::as_slice))
        }
        DataType::Decimal64(precision, scale) => {
            push(6, &decimal(64, *precision, *scale).each_ref().map(<[u8; 8]>::as_slice))
        }
        DataType::Decimal128(precision, scale) => {
            push(6, &decimal(128, *precision, *scale).each_ref().map(<[u8; 8]>::as_slice))
        }
        DataType::Decimal256(precision, scale) => {
            push(6, &decimal(256, *precision, *scale).each_ref().map(<[u8; 8]>::as_slice))
        }
        DataType::Date32 => push(7, &[&32_u64.to_le_bytes(), &0_u16.to_le_bytes()]),
        DataType::Date64 => push(7, &[&64_u64.to_le_bytes(), &1_u16.to_le_bytes()]),
        DataType::Time32(unit) => push(8, &[&32_u64.to_le_bytes(), &unit_id(*unit)]),
        DataType::Time64(unit) => push(8, &[&64_u64.to_le_bytes(), &unit_id(*unit)]),
        DataType::Timestamp(unit, None) => push(9, &[&unit_id(*unit), &[0]]),
        DataType::Timestamp(unit, Some(timezone)) => {
            push(
                9,
                &[
                    &unit_id(*unit),
                    &(timezone.len() as u64).to_le_bytes(),
                    timezone.as_bytes(),
                ],
            );
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            push(11, &[]);
            push_description(item.data_type(), out)?;
        }
        DataType::Null
        | DataType::Duration(_)
        | DataType::Interval(_)
        | DataType::ListView(_)
        | DataType::LargeListView(_)
        | DataType::Struct(_)
        | DataType::Union(_, _)
        | DataType::Dictionary(_, _)
        | DataType::Map(_, _)
        | DataType::RunEndEncoded(_, _) => {
            return Err(
                Error::unsupported("records with this type have no logical hash; cast or flatten the column")
                    .with_context("type", data_type),
            );
        }
    }
    Ok(())
}

/// Width, precision and scale; the scale with its sign extended.
fn decimal(bits: u64, precision: u8, scale: i8) -> [[u8; 8]; 3] {
    [
        bits.to_le_bytes(),
        u64::from(precision).to_le_bytes(),
        i64::from(scale).to_le_bytes(),
    ]
}

fn unit_id(unit: TimeUnit) -> [u8; 2] {
    let id: u16 = match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    id.to_le_bytes()
}
