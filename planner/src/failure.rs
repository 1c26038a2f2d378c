//! What the libraries below say, in the planner's own words.

use std::time::Duration;

use datafusion::common::{Column, DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;

use crate::budget::OTHERS;
use crate::functions::{meant, nearest};
use crate::spill::TooMuchDisk;
use crate::{Error, ErrorKind};

impl From<jetway_odf::Error> for Error {
    fn from(error: jetway_odf::Error) -> Self {
        use jetway_odf::ErrorKind as Odf;
        let kind = match error.kind() {
            Odf::Malformed | Odf::InvalidEvent { .. } | Odf::Corrupt => ErrorKind::Corrupt,
            Odf::Unsupported => ErrorKind::Unsupported,
            Odf::InvalidIdentity => ErrorKind::InvalidArgument,
            Odf::NotFound => ErrorKind::NotFound,
            Odf::Conflict => ErrorKind::Conflict,
            Odf::ReadOnly => ErrorKind::PermissionDenied,
            Odf::Storage | Odf::Io => ErrorKind::Unavailable,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

impl From<jetway_sources::Error> for Error {
    fn from(error: jetway_sources::Error) -> Self {
        use jetway_sources::ErrorKind as Source;
        let kind = match error.kind() {
            Source::InvalidSource | Source::BadData => ErrorKind::InvalidArgument,
            Source::NotFound => ErrorKind::NotFound,
            Source::Unsupported => ErrorKind::Unsupported,
            Source::ResourceExhausted => ErrorKind::ResourceExhausted,
            Source::Unavailable | Source::Io => ErrorKind::Unavailable,
            Source::Internal => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

/// Tells a user's mistake from a lack of resources and from a fault of ours.
impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        let (kind, message) = classify(&error);
        if let (ErrorKind::Internal, DataFusionError::External(_)) = (kind, error.find_root()) {
            return unwrap_own(error);
        }
        let message = match place(&error) {
            Some(place) if kind == ErrorKind::InvalidSql && !message.contains(" at Line: ") => {
                format!("{message} {place}")
            }
            _ => message,
        };
        let told = match out_of_disk(&message) {
            Some(told) => told,
            None if kind == ErrorKind::ResourceExhausted && message.contains(OTHERS) => {
                Self::new(kind, message).with_retry_after(BUSY)
            }
            None => Self::new(kind, message),
        };
        told.with_source(error)
    }
}

/// Where in the text the mistake is, if DataFusion knows.
fn place(error: &DataFusionError) -> Option<String> {
    let start = error.diagnostic()?.span?.start;
    Some(format!("at Line: {}, Column: {}", start.line, start.column))
}

/// A statement that does not parse. The parser says where, but not when the text ends too early: then the place is its end.
pub(crate) fn parse_error(error: DataFusionError, sql: &str) -> Error {
    let error = Error::from(error);
    if error.kind() != ErrorKind::InvalidSql || !error.message().ends_with("found: EOF") {
        return error;
    }
    let text = sql.trim_end();
    let line = text.lines().count().max(1);
    let column = text.lines().last().map_or(0, |last| last.chars().count()) + 1;
    Error::new(
        error.kind(),
        format!("{} at Line: {line}, Column: {column}", error.message()),
    )
    .with_source(error)
}

/// Our own error may have travelled through DataFusion: it comes out as it went in.
fn unwrap_own(error: DataFusionError) -> Error {
    match error {
        DataFusionError::External(source) => match source.downcast::<Error>() {
            Ok(own) => *own,
            // Storage and files have errors of their own: these are of functions that cannot work on their arguments.
            Err(source) => Error::new(ErrorKind::InvalidArgument, source.to_string()).with_source(source),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => unwrap_own(*inner),
        DataFusionError::ArrowError(inner, _) => match *inner {
            arrow::error::ArrowError::ExternalError(source) => unwrap_own(DataFusionError::External(source)),
            other => Error::new(ErrorKind::InvalidArgument, other.to_string()).with_source(other),
        },
        other => {
            let (kind, message) = match other.find_root() {
                DataFusionError::External(source) => source.downcast_ref::<Error>().map_or_else(
                    || (ErrorKind::InvalidArgument, source.to_string()),
                    |own| (own.kind(), own.to_string()),
                ),
                root => classify(root),
            };
            Error::new(kind, message).with_source(other)
        }
    }
}

/// When memory or disk that others have may be free again.
const BUSY: Duration = Duration::from_secs(5);

/// Files of intermediate results have limits, which the engine tells as a failure of the file.
fn out_of_disk(message: &str) -> Option<Error> {
    if message.contains(TooMuchDisk::MESSAGE) {
        return Some(Error::new(
            ErrorKind::ResourceExhausted,
            "the statement needs more disk space for intermediate results than it may have (query.spill_limit): read fewer \
             rows or columns, filter before joining and sorting, or add a LIMIT",
        ));
    }
    message.contains("used disk space during the spilling process").then(|| {
        let error = Error::new(
            ErrorKind::ResourceExhausted,
            "all statements together need more disk space for intermediate results than they may have \
             (query.total_spill_limit): try again when the node is less busy, read fewer rows or columns, or filter before \
             joining and sorting",
        );
        error.with_retry_after(BUSY)
    })
}

fn classify(error: &DataFusionError) -> (ErrorKind, String) {
    let root = error.find_root();
    let text = || first_line(&root.strip_backtrace());
    match root {
        DataFusionError::SQL(parser, _) if matches!(parser.as_ref(), ParserError::RecursionLimitExceeded) => (
            ErrorKind::InvalidSql,
            "the statement is nested too deeply: give inner queries names with WITH, and leave out brackets that change nothing"
                .to_owned(),
        ),
        DataFusionError::SQL(parser, _) => (ErrorKind::InvalidSql, format!("the SQL does not parse: {parser}")),
        DataFusionError::Plan(_) => {
            let text = text();
            (ErrorKind::InvalidSql, unknown_function(&text).unwrap_or(text))
        }
        DataFusionError::SchemaError(schema, _) => (ErrorKind::InvalidSql, schema_message(schema)),
        DataFusionError::Configuration(_) | DataFusionError::Substrait(_) => (ErrorKind::InvalidArgument, text()),
        DataFusionError::NotImplemented(_) => unplanned(&text()).unwrap_or_else(|| (ErrorKind::Unsupported, text())),
        DataFusionError::ResourcesExhausted(_) => (
            ErrorKind::ResourceExhausted,
            format!(
                "the statement needs more memory than it may have: read fewer rows or columns, filter before joining, or try \
                 again when the node is less busy ({})",
                text()
            ),
        ),
        // Arithmetic overflow, a failed cast, division by zero: values that the statement cannot work on.
        DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
            arrow::error::ArrowError::ExternalError(_) => (ErrorKind::Internal, text()),
            arrow::error::ArrowError::IoError(..) => (ErrorKind::Unavailable, text()),
            arrow::error::ArrowError::MemoryError(_) => (ErrorKind::ResourceExhausted, text()),
            _ => (ErrorKind::InvalidArgument, text()),
        },
        DataFusionError::Execution(_) => (ErrorKind::InvalidArgument, text()),
        DataFusionError::ParquetError(_) => (ErrorKind::Corrupt, text()),
        DataFusionError::ObjectStore(inner) => match inner.as_ref() {
            object_store::Error::NotFound { .. } => (ErrorKind::Corrupt, text()),
            _ => (ErrorKind::Unavailable, text()),
        },
        DataFusionError::IoError(_) => (ErrorKind::Unavailable, text()),
        DataFusionError::ExecutionJoin(join) if join.is_cancelled() => {
            (ErrorKind::Cancelled, "the statement was cancelled".to_owned())
        }
        _ => (ErrorKind::Internal, text()),
    }
}

/// Expressions that nothing has planned, and what people can write instead.
fn unplanned(text: &str) -> Option<(ErrorKind, String)> {
    let (_, expression) = text.split_once("Physical plan does not support logical expression ")?;
    let (kind, message) = match expression.split('(').next()? {
        "WindowFunction" => (
            ErrorKind::InvalidSql,
            "a window function is not possible here: compute it in a subquery, or filter by it with QUALIFY",
        ),
        "AggregateFunction" => (
            ErrorKind::InvalidSql,
            "an aggregate is not possible here: filter by it with HAVING",
        ),
        "ScalarSubquery" | "OuterReferenceColumn" | "Exists" | "InSubquery" => (
            ErrorKind::Unsupported,
            "a subquery refers to the row around it in a way that is not possible: compare its columns with those of the row by \
             equality in its WHERE, or join instead",
        ),
        _ => return None,
    };
    Some((kind, message.to_owned()))
}

/// Most columns that are listed when one is not found.
const LISTED_COLUMNS: usize = 30;

fn schema_message(error: &SchemaError) -> String {
    let SchemaError::FieldNotFound { field, valid_fields } = error else {
        return first_line(&error.to_string());
    };
    let name = |column: &Column| match &column.relation {
        Some(table) => format!("{}.{}", table.table(), column.name),
        None => column.name.clone(),
    };
    let mut message = format!("there is no column {}", name(field));
    let names: Vec<&str> = valid_fields.iter().map(|column| column.name.as_str()).collect();
    let meant = nearest(&field.name, names);
    let meant = meant.and_then(|meant| valid_fields.iter().find(|column| column.name == meant));
    if let Some(meant) = meant {
        message.push_str(&format!("; did you mean {}?", name(meant)));
    }
    let listed: Vec<String> = valid_fields.iter().take(LISTED_COLUMNS).map(name).collect();
    if !listed.is_empty() {
        let more = if valid_fields.len() > LISTED_COLUMNS {
            ", ..."
        } else {
            ""
        };
        message.push_str(&format!(" (columns: {}{more})", listed.join(", ")));
    }
    message
}

/// The engine suggests a function, which may be one that is not to be called here.
fn unknown_function(text: &str) -> Option<String> {
    let (name, _) = text.strip_prefix("Invalid function '")?.split_once('\'')?;
    let message = format!("there is no function {name}");
    Some(match meant(name) {
        Some(meant) => format!("{message}; did you mean {meant}?"),
        None => message,
    })
}

fn first_line(text: &str) -> String {
    let text = text.strip_prefix("Error during planning: ").unwrap_or(text);
    let text = text.strip_prefix("Schema error: ").unwrap_or(text);
    let text = text.strip_prefix("Arrow error: ").unwrap_or(text);
    let text = text.strip_prefix("External error: ").unwrap_or(text);
    let text = text.strip_prefix("This feature is not implemented: ").unwrap_or(text);
    text.split("\n\nbacktrace").next().unwrap_or(text).trim().to_owned()
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}

impl From<parquet::errors::ParquetError> for Error {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::new(ErrorKind::Corrupt, format!("a slice cannot be read: {error}")).with_source(error)
    }
}
