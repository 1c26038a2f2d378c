//! Statistics out of the footers of Parquet files.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use super::{Bound, ColumnStatistics, FileStatistics, Kind};

/// What the row groups of a file say together about its columns.
pub(crate) fn of_row_groups(schema: &SchemaDescriptor, groups: &[RowGroupMetaData]) -> FileStatistics {
    let columns = schema.columns().iter().enumerate().filter_map(|(index, column)| {
        let [name] = column.path().parts() else {
            return None;
        };
        if column.max_rep_level() > 0 {
            return None;
        }
        let kind = kind(column)?;
        let mut together: Option<ColumnStatistics> = None;
        for group in groups {
            let chunk = group.columns().get(index)?;
            let found = of_chunk(kind, chunk.statistics()?, chunk.num_values())?;
            match &mut together {
                Some(together) => together.merge(found),
                None => together = Some(found),
            }
        }
        Some((name.clone(), together?))
    });
    FileStatistics::new(columns.collect())
}

/// What the values of a column are, by what the file itself says.
fn kind(column: &ColumnDescriptor) -> Option<Kind> {
    let physical = column.physical_type();
    let logical = column.logical_type_ref();
    Some(match (physical, logical, column.converted_type()) {
        (Type::BOOLEAN, None, ConvertedType::NONE) => Kind::Bool,
        (Type::INT32 | Type::INT64, Some(LogicalType::Integer(int)), _) if int.is_signed => Kind::Int,
        (Type::INT32 | Type::INT64, Some(LogicalType::Integer(_)), _) => Kind::UInt,
        (Type::INT32, Some(LogicalType::Date), _) => Kind::Date,
        (Type::INT64, Some(LogicalType::Timestamp(timestamp)), _) => match timestamp.unit {
            TimeUnit::MILLIS => Kind::Millis,
            TimeUnit::MICROS => Kind::Micros,
            TimeUnit::NANOS => Kind::Nanos,
        },
        (Type::INT32 | Type::INT64 | Type::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Decimal(decimal)), _) => {
            Kind::Decimal(i8::try_from(decimal.scale).ok()?)
        }
        (Type::BYTE_ARRAY, Some(LogicalType::String), _) => Kind::Text,
        // Files from before there were logical types.
        (Type::INT32 | Type::INT64, None, ConvertedType::NONE) => Kind::Int,
        (Type::INT32, None, ConvertedType::DATE) => Kind::Date,
        (Type::INT64, None, ConvertedType::TIMESTAMP_MILLIS) => Kind::Millis,
        (Type::INT64, None, ConvertedType::TIMESTAMP_MICROS) => Kind::Micros,
        (Type::BYTE_ARRAY, None, ConvertedType::UTF8) => Kind::Text,
        (Type::BYTE_ARRAY, None, ConvertedType::NONE) => Kind::Binary,
        _ => return None,
    })
}

fn of_chunk(kind: Kind, statistics: &Statistics, values: i64) -> Option<ColumnStatistics> {
    let nulls = statistics.null_count_opt();
    let values = u64::try_from(values).ok()?;
    if nulls == Some(values) {
        return Some(ColumnStatistics::only_nulls(kind, values));
    }
    // Their order is not known.
    if statistics.is_min_max_deprecated() {
        return Some(ColumnStatistics::new(kind, None, None, nulls, false));
    }
    let (min, max) = match (kind, statistics) {
        (Kind::Bool, Statistics::Boolean(found)) => {
            let bound = |value: Option<&bool>| value.map(|value| Bound::Int(i64::from(*value)));
            (bound(found.min_opt()), bound(found.max_opt()))
        }
        (Kind::UInt, Statistics::Int32(found)) => {
            let bound = |value: Option<&i32>| value.map(|value| Bound::UInt(u64::from(value.cast_unsigned())));
            (bound(found.min_opt()), bound(found.max_opt()))
        }
        (Kind::UInt, Statistics::Int64(found)) => {
            let bound = |value: Option<&i64>| value.map(|value| Bound::UInt(value.cast_unsigned()));
            (bound(found.min_opt()), bound(found.max_opt()))
        }
        (Kind::Decimal(_), Statistics::Int32(found)) => {
            let bound = |value: Option<&i32>| value.map(|value| Bound::Decimal(i128::from(*value)));
            (bound(found.min_opt()), bound(found.max_opt()))
        }
        (Kind::Decimal(_), Statistics::Int64(found)) => {
            let bound = |value: Option<&i64>| value.map(|value| Bound::Decimal(i128::from(*value)));
            (bound(found.min_opt()), bound(found.max_opt()))
        }
        (Kind::Decimal(_), Statistics::FixedLenByteArray(found)) => {
            let bound = |value: Option<&[u8]>| value.and_then(big_endian).map(Bound::Decimal);
            (bound(found.min_bytes_opt()), bound(found.max_bytes_opt()))
        }
        (Kind::Text, Statistics::ByteArray(found)) => {
            let bound = |value: Option<&[u8]>| {
                let text = value.filter(|value| std::str::from_utf8(value).is_ok());
                text.map(|text| Bound::Bytes(text.to_vec()))
            };
            (bound(found.min_bytes_opt()), bound(found.max_bytes_opt()))
        }
        (Kind::Binary, Statistics::ByteArray(found)) => {
            let bound = |value: Option<&[u8]>| value.map(|value| Bound::Bytes(value.to_vec()));
            (bound(found.min_bytes_opt()), bound(found.max_bytes_opt()))
        }
        (_, Statistics::Int32(found)) => {
            let bound = |value: Option<&i32>| value.map(|value| Bound::Int(i64::from(*value)));
            (bound(found.min_opt()), bound(found.max_opt()))
        }
        (_, Statistics::Int64(found)) => {
            let bound = |value: Option<&i64>| value.copied().map(Bound::Int);
            (bound(found.min_opt()), bound(found.max_opt()))
        }
        _ => (None, None),
    };
    let is_exact = statistics.min_is_exact() && statistics.max_is_exact();
    Some(ColumnStatistics::new(kind, min, max, nulls, is_exact))
}

/// A signed number of up to sixteen bytes.
fn big_endian(bytes: &[u8]) -> Option<i128> {
    let fill = if bytes.first()? & 0x80 == 0 { 0 } else { 0xff };
    let mut wide = [fill; 16];
    let start = wide.len().checked_sub(bytes.len())?;
    wide.get_mut(start..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}
