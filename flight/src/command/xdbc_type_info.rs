//! CommandGetXdbcTypeInfo: the types that `CAST` and `CREATE TABLE` take, as ODBC and JDBC describe types.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{CommandGetXdbcTypeInfo, Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

use crate::{Error, Result};

/// Texts and binaries have no limit of their own.
const UNLIMITED: i32 = i32::MAX;

pub(super) fn schema() -> SchemaRef {
    XdbcTypeInfoDataBuilder::new().schema()
}

/// The types of one code, or all, ordered by code and name.
pub(super) fn rows(command: &CommandGetXdbcTypeInfo) -> Result<RecordBatch> {
    let failed = |error| Error::internal("the list of types cannot be built").with_source(error);
    let mut builder = XdbcTypeInfoDataBuilder::new();
    types().into_iter().for_each(|info| builder.append(info));
    let batch = builder
        .build()
        .map_err(failed)?
        .record_batch(command.data_type)
        .map_err(failed)?;
    super::batch(schema(), batch.columns().to_vec())
}

pub(super) fn types() -> Vec<XdbcTypeInfo> {
    use XdbcDataType as Code;
    use XdbcDatetimeSubcode as Subcode;
    vec![
        plain("BOOLEAN", Code::XdbcBit, Some(1)),
        integer("TINYINT", Code::XdbcTinyint, 3, false),
        integer("TINYINT UNSIGNED", Code::XdbcTinyint, 3, true),
        integer("SMALLINT", Code::XdbcSmallint, 5, false),
        integer("SMALLINT UNSIGNED", Code::XdbcSmallint, 5, true),
        integer("INTEGER", Code::XdbcInteger, 10, false),
        integer("INTEGER UNSIGNED", Code::XdbcInteger, 10, true),
        integer("BIGINT", Code::XdbcBigint, 19, false),
        integer("BIGINT UNSIGNED", Code::XdbcBigint, 20, true),
        float("REAL", Code::XdbcReal, 24),
        float("FLOAT", Code::XdbcFloat, 24),
        float("DOUBLE", Code::XdbcDouble, 53),
        decimal("DECIMAL", Code::XdbcDecimal),
        decimal("NUMERIC", Code::XdbcNumeric),
        text("VARCHAR", Code::XdbcVarchar),
        text("CHAR", Code::XdbcChar),
        text("TEXT", Code::XdbcLongvarchar),
        XdbcTypeInfo {
            literal_prefix: Some("X'".to_owned()),
            literal_suffix: Some("'".to_owned()),
            ..plain("BYTEA", Code::XdbcVarbinary, Some(UNLIMITED))
        },
        // The subcode of a date is 1, which the enumeration calls a year.
        moment("DATE", "DATE '", Code::XdbcDate, Subcode::XdbcSubcodeYear, 10, 0),
        moment("TIME", "TIME '", Code::XdbcTime, Subcode::XdbcSubcodeTime, 18, 9),
        moment(
            "TIMESTAMP",
            "TIMESTAMP '",
            Code::XdbcTimestamp,
            Subcode::XdbcSubcodeTimestamp,
            29,
            9,
        ),
        moment(
            "TIMESTAMP WITH TIME ZONE",
            "TIMESTAMP WITH TIME ZONE '",
            Code::XdbcTimestamp,
            Subcode::XdbcSubcodeTimestampWithTimezone,
            35,
            9,
        ),
        XdbcTypeInfo {
            literal_prefix: Some("INTERVAL '".to_owned()),
            literal_suffix: Some("'".to_owned()),
            // Months, days and nanoseconds together are more than any subcode says.
            datetime_subcode: Some(Subcode::XdbcSubcodeUnknown),
            interval_precision: Some(10),
            ..plain("INTERVAL", Code::XdbcInterval, None)
        },
    ]
}

fn plain(name: &str, code: XdbcDataType, size: Option<i32>) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type: code,
        column_size: size,
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Full,
        local_type_name: Some(name.to_owned()),
        sql_data_type: code,
        ..XdbcTypeInfo::default()
    }
}

fn integer(name: &str, code: XdbcDataType, digits: i32, unsigned: bool) -> XdbcTypeInfo {
    XdbcTypeInfo {
        unsigned_attribute: Some(unsigned),
        fixed_prec_scale: true,
        auto_increment: Some(false),
        minimum_scale: Some(0),
        maximum_scale: Some(0),
        num_prec_radix: Some(10),
        ..plain(name, code, Some(digits))
    }
}

fn float(name: &str, code: XdbcDataType, bits: i32) -> XdbcTypeInfo {
    XdbcTypeInfo {
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        num_prec_radix: Some(2),
        ..plain(name, code, Some(bits))
    }
}

fn decimal(name: &str, code: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        create_params: Some(vec!["precision".to_owned(), "scale".to_owned()]),
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        minimum_scale: Some(0),
        maximum_scale: Some(76),
        num_prec_radix: Some(10),
        ..plain(name, code, Some(76))
    }
}

fn text(name: &str, code: XdbcDataType) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some("'".to_owned()),
        literal_suffix: Some("'".to_owned()),
        case_sensitive: true,
        ..plain(name, code, Some(UNLIMITED))
    }
}

fn moment(
    name: &str,
    prefix: &str,
    code: XdbcDataType,
    subcode: XdbcDatetimeSubcode,
    characters: i32,
    digits: i32,
) -> XdbcTypeInfo {
    XdbcTypeInfo {
        literal_prefix: Some(prefix.to_owned()),
        literal_suffix: Some("'".to_owned()),
        minimum_scale: Some(0),
        maximum_scale: Some(digits),
        sql_data_type: XdbcDataType::XdbcDatetime,
        datetime_subcode: Some(subcode),
        ..plain(name, code, Some(characters))
    }
}
