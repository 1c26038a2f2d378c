//! CommandGetSqlInfo: what the node is and can.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::metadata::SqlInfoDataBuilder;
use arrow_flight::sql::{
    CommandGetSqlInfo, SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity,
    SqlSupportedGroupBy, SqlSupportedSubqueries, SqlSupportedTransaction, SqlSupportedUnions, SqlSupportsConvert,
    SqlTransactionIsolationLevel, SupportedSqlGrammar,
};
use jetway_planner::{FunctionNames, substrait_versions};

use crate::gateway::FlightOptions;
use crate::{Error, Result};

/// Whether `CancelFlightInfo` and `CancelQuery` are there.
const CANCEL: bool = true;

/// What the answers depend on.
pub(super) struct Node<'a> {
    pub(super) options: &'a FlightOptions,
    pub(super) functions: FunctionNames,
    pub(super) reserved: Vec<String>,
    /// Whether `BeginTransaction` is there, for statements and for ingests.
    pub(super) transactions: bool,
}

pub(super) fn schema() -> SchemaRef {
    Arc::new(SqlInfoDataBuilder::schema().clone())
}

/// The codes that were asked for, or all, each once and in order. Codes that Flight SQL does not define have no row: a client
/// that knows newer ones gets what there is.
pub(super) fn rows(node: Node<'_>, command: &CommandGetSqlInfo) -> Result<RecordBatch> {
    let failed = |error| Error::internal("the SQL info cannot be built").with_source(error);
    let mut builder = SqlInfoDataBuilder::new();
    for (code, value) in infos(node) {
        if command.info.is_empty() || command.info.contains(&(code as u32)) {
            match value {
                Value::Text(text) => builder.append(code, text),
                Value::Version(version) => builder.append(code, version.as_str()),
                Value::Names(names) => builder.append(code, names),
                Value::Flag(flag) => builder.append(code, flag),
                Value::Number(number) => builder.append(code, number),
                Value::Int(int) => builder.append(code, int),
                Value::Conversions(conversions) => builder.append(code, conversions),
            }
        }
    }
    let all = builder.build().map_err(failed)?.record_batch([]).map_err(failed)?;
    super::batch(schema(), all.columns().to_vec())
}

/// A value in one of the types that the protocol has for them.
#[derive(Debug, Clone)]
enum Value {
    Text(&'static str),
    Version(String),
    Names(Vec<String>),
    Flag(bool),
    Number(i64),
    /// An ordinal or a bitmask.
    Int(i32),
    Conversions(BTreeMap<i32, Vec<i32>>),
}

/// Which types `CAST` turns into which.
pub(super) fn conversions() -> BTreeMap<i32, Vec<i32>> {
    use SqlSupportsConvert as Type;
    let numbers = [
        Type::SqlConvertBigint,
        Type::SqlConvertFloat,
        Type::SqlConvertInteger,
        Type::SqlConvertReal,
        Type::SqlConvertSmallint,
        Type::SqlConvertTinyint,
    ];
    let decimals = [Type::SqlConvertDecimal, Type::SqlConvertNumeric];
    let texts = [
        Type::SqlConvertChar,
        Type::SqlConvertLongvarchar,
        Type::SqlConvertVarchar,
    ];
    let binaries = [
        Type::SqlConvertBinary,
        Type::SqlConvertLongvarbinary,
        Type::SqlConvertVarbinary,
    ];
    let bit = [Type::SqlConvertBit];
    let date = [Type::SqlConvertDate];
    let time = [Type::SqlConvertTime];
    let timestamp = [Type::SqlConvertTimestamp];
    let rules: [(&[Type], &[&[Type]]); 8] = [
        (&numbers, &[&numbers, &decimals, &texts, &bit]),
        (&decimals, &[&numbers, &decimals, &texts]),
        (
            &texts,
            &[&texts, &numbers, &decimals, &binaries, &bit, &date, &time, &timestamp],
        ),
        (&binaries, &[&binaries, &texts]),
        (&bit, &[&bit, &numbers, &texts]),
        (&date, &[&date, &texts, &timestamp]),
        (&time, &[&time, &texts]),
        (&timestamp, &[&timestamp, &texts, &date, &time]),
    ];
    let mut conversions = BTreeMap::new();
    for (from, to) in rules {
        let mut to: Vec<i32> = to.iter().copied().flatten().map(|&to| to.into()).collect();
        to.sort_unstable();
        conversions.extend(from.iter().map(|&from| (from.into(), to.clone())));
    }
    conversions
}

/// Every code of the protocol. Zero stands for "no limit, or not known" in the limits.
fn infos(node: Node<'_>) -> Vec<(SqlInfo, Value)> {
    use SqlInfo as Code;
    let Node {
        options,
        functions,
        reserved,
        transactions,
    } = node;
    let bits = |bits: &[i32]| Value::Int(bits.iter().fold(0, |all, bit| all | 1 << bit));
    let ordinal = Value::Int;
    let names = Value::Names;
    let [oldest, newest] = substrait_versions();
    let millis = |time: Duration| Value::Int(i32::try_from(time.as_millis()).unwrap_or(i32::MAX));
    let size = |bytes: usize| Value::Number(i64::try_from(bytes).unwrap_or(i64::MAX));
    let flag = Value::Flag;
    let isolation = match transactions {
        // Each statement of a transaction reads the heads that are there when it is planned.
        true => SqlTransactionIsolationLevel::SqlTransactionReadCommitted,
        false => SqlTransactionIsolationLevel::SqlTransactionNone,
    };
    let mut infos: Vec<(SqlInfo, Value)> = vec![
        (Code::FlightSqlServerName, Value::Text("Jetway")),
        (Code::FlightSqlServerVersion, Value::Text(env!("CARGO_PKG_VERSION"))),
        (Code::FlightSqlServerArrowVersion, Value::Text(arrow::ARROW_VERSION)),
        (Code::FlightSqlServerReadOnly, flag(false)),
        (Code::FlightSqlServerSql, flag(true)),
        (Code::FlightSqlServerSubstrait, flag(true)),
        (Code::FlightSqlServerSubstraitMinVersion, Value::Version(oldest)),
        (Code::FlightSqlServerSubstraitMaxVersion, Value::Version(newest)),
        (
            Code::FlightSqlServerTransaction,
            ordinal(match transactions {
                true => SqlSupportedTransaction::Transaction.into(),
                false => SqlSupportedTransaction::None.into(),
            }),
        ),
        (Code::FlightSqlServerCancel, flag(CANCEL)),
        (Code::FlightSqlServerBulkIngestion, flag(true)),
        (Code::FlightSqlServerIngestTransactionsSupported, flag(transactions)),
        (Code::FlightSqlServerStatementTimeout, millis(options.prepared_ttl)),
        (Code::FlightSqlServerTransactionTimeout, millis(options.transaction_ttl)),
        (Code::SqlDdlCatalog, flag(false)),
        (Code::SqlDdlSchema, flag(false)),
        (Code::SqlDdlTable, flag(true)),
        (
            Code::SqlIdentifierCase,
            ordinal(SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive.into()),
        ),
        (Code::SqlIdentifierQuoteChar, Value::Text("\"")),
        (
            Code::SqlQuotedIdentifierCase,
            ordinal(SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive.into()),
        ),
        (Code::SqlAllTablesAreSelectable, flag(true)),
        (
            Code::SqlNullOrdering,
            ordinal(SqlNullOrdering::SqlNullsSortedHigh.into()),
        ),
        (Code::SqlKeywords, names(reserved)),
        (Code::SqlNumericFunctions, names(functions.numeric)),
        (Code::SqlStringFunctions, names(functions.string)),
        (Code::SqlSystemFunctions, names(functions.system)),
        (Code::SqlDatetimeFunctions, names(functions.datetime)),
        (Code::SqlSearchStringEscape, Value::Text("\\")),
        (Code::SqlExtraNameCharacters, Value::Text("")),
        (Code::SqlSupportsColumnAliasing, flag(true)),
        (Code::SqlNullPlusNullIsNull, flag(true)),
        (Code::SqlSupportsConvert, Value::Conversions(conversions())),
        (Code::SqlSupportsTableCorrelationNames, flag(true)),
        (Code::SqlSupportsDifferentTableCorrelationNames, flag(false)),
        (Code::SqlSupportsExpressionsInOrderBy, flag(true)),
        (Code::SqlSupportsOrderByUnrelated, flag(true)),
        (
            Code::SqlSupportedGroupBy,
            bits(&[
                SqlSupportedGroupBy::SqlGroupByUnrelated.into(),
                SqlSupportedGroupBy::SqlGroupByBeyondSelect.into(),
            ]),
        ),
        (Code::SqlSupportsLikeEscapeClause, flag(true)),
        (Code::SqlSupportsNonNullableColumns, flag(true)),
        (
            Code::SqlSupportedGrammar,
            bits(&[
                SupportedSqlGrammar::SqlMinimumGrammar.into(),
                SupportedSqlGrammar::SqlCoreGrammar.into(),
            ]),
        ),
        (Code::SqlAnsi92SupportedLevel, bits(&[0])),
        (Code::SqlSupportsIntegrityEnhancementFacility, flag(false)),
        (
            Code::SqlOuterJoinsSupportLevel,
            bits(&[SqlOuterJoinsSupportLevel::SqlFullOuterJoins.into()]),
        ),
        (Code::SqlSchemaTerm, Value::Text("account")),
        (Code::SqlProcedureTerm, Value::Text("procedure")),
        (Code::SqlCatalogTerm, Value::Text("catalog")),
        (Code::SqlCatalogAtStart, flag(true)),
        (Code::SqlSchemasSupportedActions, ordinal(0)),
        (Code::SqlCatalogsSupportedActions, ordinal(0)),
        (Code::SqlSupportedPositionedCommands, ordinal(0)),
        (Code::SqlSelectForUpdateSupported, flag(false)),
        (Code::SqlStoredProceduresSupported, flag(false)),
        (
            Code::SqlSupportedSubqueries,
            bits(&[
                SqlSupportedSubqueries::SqlSubqueriesInComparisons.into(),
                SqlSupportedSubqueries::SqlSubqueriesInExists.into(),
                SqlSupportedSubqueries::SqlSubqueriesInIns.into(),
                SqlSupportedSubqueries::SqlSubqueriesInQuantifieds.into(),
            ]),
        ),
        (Code::SqlCorrelatedSubqueriesSupported, flag(true)),
        (
            Code::SqlSupportedUnions,
            bits(&[
                SqlSupportedUnions::SqlUnion.into(),
                SqlSupportedUnions::SqlUnionAll.into(),
            ]),
        ),
        (Code::SqlMaxRowSize, size(options.messages.row_limit)),
        (Code::SqlMaxRowSizeIncludesBlobs, flag(true)),
        (Code::SqlMaxStatementLength, size(options.max_statement)),
        // Names in ODF have at most 100 characters.
        (Code::SqlDbSchemaNameLength, Value::Number(100)),
        (Code::SqlMaxTableNameLength, Value::Number(100)),
        (Code::SqlDefaultTransactionIsolation, ordinal(isolation.into())),
        (Code::SqlTransactionsSupported, flag(transactions)),
        (Code::SqlSupportedTransactionsIsolationLevels, bits(&[isolation.into()])),
        (Code::SqlDataDefinitionCausesTransactionCommit, flag(false)),
        // They take effect at once.
        (Code::SqlDataDefinitionsInTransactionsIgnored, flag(false)),
        (Code::SqlSupportedResultSetTypes, bits(&[1])),
        (Code::SqlSupportedConcurrenciesForResultSetUnspecified, ordinal(0)),
        (Code::SqlSupportedConcurrenciesForResultSetForwardOnly, bits(&[1])),
        (Code::SqlSupportedConcurrenciesForResultSetScrollSensitive, ordinal(0)),
        (Code::SqlSupportedConcurrenciesForResultSetScrollInsensitive, ordinal(0)),
        (Code::SqlBatchUpdatesSupported, flag(true)),
        (Code::SqlSavepointsSupported, flag(false)),
        (Code::SqlNamedParametersSupported, flag(false)),
        (Code::SqlLocatorsUpdateCopy, flag(false)),
        (Code::SqlStoredFunctionsUsingCallSyntaxSupported, flag(false)),
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
