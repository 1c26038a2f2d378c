//! CommandGetSqlInfo: what the node is and can.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::metadata::SqlInfoDataBuilder;
use arrow_flight::sql::{
    CommandGetSqlInfo, SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity,
    SqlSupportedGroupBy, SqlSupportedSubqueries, SqlSupportedTransaction, SqlSupportedUnions,
    SqlTransactionIsolationLevel, SupportedSqlGrammar,
};

use crate::gateway::FlightOptions;
use crate::{Error, Result};

const KEYWORDS: &[&str] = &[
    "EXCEPT",
    "EXPLAIN",
    "ILIKE",
    "INTERSECT",
    "LATERAL",
    "LIMIT",
    "OFFSET",
    "QUALIFY",
    "UNNEST",
];
const NUMERIC_FUNCTIONS: &[&str] = &[
    "abs", "acos", "asin", "atan", "atan2", "cbrt", "ceil", "cos", "cot", "degrees", "exp", "floor", "gcd", "ln",
    "log", "log10", "log2", "pi", "power", "radians", "random", "round", "signum", "sin", "sqrt", "tan", "trunc",
];
const STRING_FUNCTIONS: &[&str] = &[
    "ascii",
    "btrim",
    "char_length",
    "concat",
    "concat_ws",
    "contains",
    "initcap",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "octet_length",
    "position",
    "regexp_like",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "translate",
    "trim",
    "upper",
];
const SYSTEM_FUNCTIONS: &[&str] = &["coalesce", "greatest", "least", "nullif", "version"];
const DATETIME_FUNCTIONS: &[&str] = &[
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "extract",
    "from_unixtime",
    "make_date",
    "now",
    "to_char",
    "to_date",
    "to_timestamp",
];

pub(super) fn schema() -> SchemaRef {
    Arc::new(SqlInfoDataBuilder::schema().clone())
}

/// The codes that were asked for, or all. Codes that Flight SQL does not define have no row.
pub(super) fn rows(options: &FlightOptions, command: &CommandGetSqlInfo) -> Result<RecordBatch> {
    let failed = |error| Error::internal("the SQL info cannot be built").with_source(error);
    let mut builder = SqlInfoDataBuilder::new();
    for (code, value) in infos(options) {
        if command.info.is_empty() || command.info.contains(&(code as u32)) {
            match value {
                Value::Text(text) => builder.append(code, text),
                Value::Names(names) => builder.append(code, names),
                Value::Flag(flag) => builder.append(code, flag),
                Value::Number(number) => builder.append(code, number),
                Value::Int(int) => builder.append(code, int),
                Value::NoConversions => builder.append(code, BTreeMap::new()),
            }
        }
    }
    let all = builder.build().map_err(failed)?.record_batch([]).map_err(failed)?;
    super::batch(schema(), all.columns().to_vec())
}

/// A value in one of the types that the protocol has for them.
#[derive(Debug, Clone, Copy)]
enum Value {
    Text(&'static str),
    Names(&'static [&'static str]),
    Flag(bool),
    Number(i64),
    /// An ordinal or a bitmask.
    Int(i32),
    NoConversions,
}

/// Every code of the protocol. Zero stands for "no limit, or not known" in the limits.
fn infos(options: &FlightOptions) -> Vec<(SqlInfo, Value)> {
    use SqlInfo as Code;
    let bits = |bits: &[i32]| Value::Int(bits.iter().fold(0, |all, bit| all | 1 << bit));
    let ordinal = Value::Int;
    let names = Value::Names;
    let millis = |time: Duration| Value::Int(i32::try_from(time.as_millis()).unwrap_or(i32::MAX));
    let size = |bytes: usize| Value::Number(i64::try_from(bytes).unwrap_or(i64::MAX));
    let (yes, no, none) = (Value::Flag(true), Value::Flag(false), Value::Int(0));
    let mut infos: Vec<(SqlInfo, Value)> = vec![
        (Code::FlightSqlServerName, Value::Text("Jetway")),
        (Code::FlightSqlServerVersion, Value::Text(env!("CARGO_PKG_VERSION"))),
        (Code::FlightSqlServerArrowVersion, Value::Text(arrow::ARROW_VERSION)),
        (Code::FlightSqlServerReadOnly, no),
        (Code::FlightSqlServerSql, yes),
        (Code::FlightSqlServerSubstrait, no),
        (Code::FlightSqlServerSubstraitMinVersion, Value::Text("")),
        (Code::FlightSqlServerSubstraitMaxVersion, Value::Text("")),
        (
            Code::FlightSqlServerTransaction,
            ordinal(SqlSupportedTransaction::None.into()),
        ),
        (Code::FlightSqlServerCancel, no),
        (Code::FlightSqlServerBulkIngestion, yes),
        (Code::FlightSqlServerIngestTransactionsSupported, no),
        (Code::FlightSqlServerStatementTimeout, millis(options.prepared_ttl)),
        (Code::FlightSqlServerTransactionTimeout, none),
        (Code::SqlDdlCatalog, no),
        (Code::SqlDdlSchema, no),
        (Code::SqlDdlTable, no),
        (
            Code::SqlIdentifierCase,
            ordinal(SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive.into()),
        ),
        (Code::SqlIdentifierQuoteChar, Value::Text("\"")),
        (
            Code::SqlQuotedIdentifierCase,
            ordinal(SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive.into()),
        ),
        (Code::SqlAllTablesAreSelectable, yes),
        (
            Code::SqlNullOrdering,
            ordinal(SqlNullOrdering::SqlNullsSortedHigh.into()),
        ),
        (Code::SqlKeywords, names(KEYWORDS)),
        (Code::SqlNumericFunctions, names(NUMERIC_FUNCTIONS)),
        (Code::SqlStringFunctions, names(STRING_FUNCTIONS)),
        (Code::SqlSystemFunctions, names(SYSTEM_FUNCTIONS)),
        (Code::SqlDatetimeFunctions, names(DATETIME_FUNCTIONS)),
        (Code::SqlSearchStringEscape, Value::Text("\\")),
        (Code::SqlExtraNameCharacters, Value::Text("")),
        (Code::SqlSupportsColumnAliasing, yes),
        (Code::SqlNullPlusNullIsNull, yes),
        (Code::SqlSupportsConvert, Value::NoConversions),
        (Code::SqlSupportsTableCorrelationNames, yes),
        (Code::SqlSupportsDifferentTableCorrelationNames, no),
        (Code::SqlSupportsExpressionsInOrderBy, yes),
        (Code::SqlSupportsOrderByUnrelated, yes),
        (
            Code::SqlSupportedGroupBy,
            bits(&[
                SqlSupportedGroupBy::SqlGroupByUnrelated.into(),
                SqlSupportedGroupBy::SqlGroupByBeyondSelect.into(),
            ]),
        ),
        (Code::SqlSupportsLikeEscapeClause, yes),
        (Code::SqlSupportsNonNullableColumns, yes),
        (
            Code::SqlSupportedGrammar,
            bits(&[
                SupportedSqlGrammar::SqlMinimumGrammar.into(),
                SupportedSqlGrammar::SqlCoreGrammar.into(),
            ]),
        ),
        (Code::SqlAnsi92SupportedLevel, bits(&[0])),
        (Code::SqlSupportsIntegrityEnhancementFacility, no),
        (
            Code::SqlOuterJoinsSupportLevel,
            bits(&[SqlOuterJoinsSupportLevel::SqlFullOuterJoins.into()]),
        ),
        (Code::SqlSchemaTerm, Value::Text("account")),
        (Code::SqlProcedureTerm, Value::Text("procedure")),
        (Code::SqlCatalogTerm, Value::Text("catalog")),
        (Code::SqlCatalogAtStart, yes),
        (Code::SqlSchemasSupportedActions, none),
        (Code::SqlCatalogsSupportedActions, none),
        (Code::SqlSupportedPositionedCommands, none),
        (Code::SqlSelectForUpdateSupported, no),
        (Code::SqlStoredProceduresSupported, no),
        (
            Code::SqlSupportedSubqueries,
            bits(&[
                SqlSupportedSubqueries::SqlSubqueriesInComparisons.into(),
                SqlSupportedSubqueries::SqlSubqueriesInExists.into(),
                SqlSupportedSubqueries::SqlSubqueriesInIns.into(),
            ]),
        ),
        (Code::SqlCorrelatedSubqueriesSupported, yes),
        (
            Code::SqlSupportedUnions,
            bits(&[
                SqlSupportedUnions::SqlUnion.into(),
                SqlSupportedUnions::SqlUnionAll.into(),
            ]),
        ),
        (Code::SqlMaxRowSize, size(options.messages.row_limit)),
        (Code::SqlMaxRowSizeIncludesBlobs, yes),
        (Code::SqlMaxStatementLength, size(options.max_statement)),
        // Names in ODF have at most 100 characters.
        (Code::SqlDbSchemaNameLength, Value::Number(100)),
        (Code::SqlMaxTableNameLength, Value::Number(100)),
        (
            Code::SqlDefaultTransactionIsolation,
            ordinal(SqlTransactionIsolationLevel::SqlTransactionNone.into()),
        ),
        (Code::SqlTransactionsSupported, no),
        (
            Code::SqlSupportedTransactionsIsolationLevels,
            bits(&[SqlTransactionIsolationLevel::SqlTransactionNone.into()]),
        ),
        (Code::SqlDataDefinitionCausesTransactionCommit, no),
        (Code::SqlDataDefinitionsInTransactionsIgnored, no),
        (Code::SqlSupportedResultSetTypes, bits(&[1])),
        (Code::SqlSupportedConcurrenciesForResultSetUnspecified, none),
        (Code::SqlSupportedConcurrenciesForResultSetForwardOnly, bits(&[1])),
        (Code::SqlSupportedConcurrenciesForResultSetScrollSensitive, none),
        (Code::SqlSupportedConcurrenciesForResultSetScrollInsensitive, none),
        (Code::SqlBatchUpdatesSupported, no),
        (Code::SqlSavepointsSupported, no),
        (Code::SqlNamedParametersSupported, no),
        (Code::SqlLocatorsUpdateCopy, no),
        (Code::SqlStoredFunctionsUsingCallSyntaxSupported, no),
    ];
    infos.extend(
        [
            Code::SqlMaxBinaryLiteralLength,
            Code::SqlMaxCharLiteralLength,
            Code::SqlMaxColumnNameLength,
            Code::SqlMaxColumnsInGroupBy,
            Code::SqlMaxColumnsInIndex,
            Code::SqlMaxColumnsInOrderBy,
            Code::SqlMaxColumnsInSelect,
            Code::SqlMaxColumnsInTable,
            Code::SqlMaxConnections,
            Code::SqlMaxCursorNameLength,
            Code::SqlMaxIndexLength,
            Code::SqlMaxProcedureNameLength,
            Code::SqlMaxCatalogNameLength,
            Code::SqlMaxStatements,
            Code::SqlMaxTablesInSelect,
            Code::SqlMaxUsernameLength,
        ]
        .map(|limit| (limit, Value::Number(0))),
    );
    infos
}
