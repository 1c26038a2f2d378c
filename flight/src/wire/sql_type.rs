//! SQL's names for Arrow's types, with the sizes that clients of JDBC and ODBC expect.

use arrow::datatypes::{DataType, TimeUnit};

/// A type as SQL knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SqlType {
    /// Its name. Where SQL has one, `CAST(... AS name)` takes it.
    pub(crate) name: &'static str,
    /// Digits of numbers, characters of dates and times as texts, bytes of binaries of one length.
    pub(crate) precision: Option<i32>,
    /// Digits after the point, of seconds as well.
    pub(crate) scale: Option<i32>,
    /// Whether upper and lower case differ.
    pub(crate) case_sensitive: bool,
    /// Whether values can be compared in `WHERE`.
    pub(crate) searchable: bool,
}

impl SqlType {
    const fn plain(name: &'static str) -> Self {
        Self {
            name,
            precision: None,
            scale: None,
            case_sensitive: false,
            searchable: true,
        }
    }

    const fn sized(name: &'static str, precision: i32, scale: i32) -> Self {
        Self {
            precision: Some(precision),
            scale: Some(scale),
            ..Self::plain(name)
        }
    }

    /// Lists, structs and the like: there is nothing that `WHERE` could do with them as a whole.
    const fn nested(name: &'static str) -> Self {
        Self {
            searchable: false,
            ..Self::plain(name)
        }
    }

    /// The type that stands for an Arrow type.
    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::plain("NULL"),
            DataType::Boolean => Self::sized("BOOLEAN", 1, 0),
            DataType::Int8 => Self::sized("TINYINT", 3, 0),
            DataType::Int16 => Self::sized("SMALLINT", 5, 0),
            DataType::Int32 => Self::sized("INTEGER", 10, 0),
            DataType::Int64 => Self::sized("BIGINT", 19, 0),
            DataType::UInt8 => Self::sized("TINYINT UNSIGNED", 3, 0),
            DataType::UInt16 => Self::sized("SMALLINT UNSIGNED", 5, 0),
            DataType::UInt32 => Self::sized("INTEGER UNSIGNED", 10, 0),
            DataType::UInt64 => Self::sized("BIGINT UNSIGNED", 20, 0),
            DataType::Float16 => Self {
                precision: Some(3),
                ..Self::plain("REAL")
            },
            DataType::Float32 => Self {
                precision: Some(7),
                ..Self::plain("REAL")
            },
            DataType::Float64 => Self {
                precision: Some(15),
                ..Self::plain("DOUBLE")
            },
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => {
                Self::sized("DECIMAL", i32::from(*precision), i32::from(*scale))
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self {
                case_sensitive: true,
                ..Self::plain("VARCHAR")
            },
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::plain("BYTEA"),
            DataType::FixedSizeBinary(length) => Self {
                precision: Some(*length),
                ..Self::plain("BYTEA")
            },
            DataType::Date32 | DataType::Date64 => Self::sized("DATE", 10, 0),
            DataType::Time32(unit) | DataType::Time64(unit) => {
                let (point, digits) = fraction(*unit);
                Self::sized("TIME", 8 + point + digits, digits)
            }
            DataType::Timestamp(unit, zone) => {
                let (point, digits) = fraction(*unit);
                match zone {
                    None => Self::sized("TIMESTAMP", 19 + point + digits, digits),
                    Some(_) => Self::sized("TIMESTAMP WITH TIME ZONE", 25 + point + digits, digits),
                }
            }
            DataType::Interval(_) => Self::plain("INTERVAL"),
            DataType::Duration(unit) => Self {
                scale: Some(fraction(*unit).1),
                ..Self::plain("DURATION")
            },
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::RunEndEncoded(_, values) => Self::of(values.data_type()),
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(_, _)
            | DataType::ListView(_)
            | DataType::LargeListView(_) => Self::nested("ARRAY"),
            DataType::Struct(_) => Self::nested("STRUCT"),
            DataType::Map(_, _) => Self::nested("MAP"),
            DataType::Union(_, _) => Self::nested("UNION"),
        }
    }
}

/// Characters of the point, and digits behind it.
fn fraction(unit: TimeUnit) -> (i32, i32) {
    match unit {
        TimeUnit::Second => (0, 0),
        TimeUnit::Millisecond => (1, 3),
        TimeUnit::Microsecond => (1, 6),
        TimeUnit::Nanosecond => (1, 9),
    }
}
