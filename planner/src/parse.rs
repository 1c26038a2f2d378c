//! From a text to a statement, with its parameters numbered.

use datafusion::execution::session_state::SessionState;
use datafusion::sql::parser::{DFParserBuilder, Statement as SqlStatement};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect, dialect_from_str};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::{Error, ErrorKind, Result, bounds, dialect, failure};

mod as_of;

/// Longest statement, in bytes. A longer one is a program that should send its values as rows.
const MAX_STATEMENT_BYTES: usize = 1024 * 1024;

/// Largest number of a parameter. Nobody writes more, and each has a column.
pub(crate) const MAX_PARAMETERS: usize = 32_767;

/// A statement whose parameters are all written `$1`, `$2` and so on.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) statement: SqlStatement,
    /// The largest number of a parameter.
    pub(crate) parameters: usize,
}

impl Parsed {
    /// Parses a single statement. Question marks become numbers in the order in which they stand in the text.
    ///
    /// # Errors
    /// `InvalidSql` with line and column; `Unsupported` for several statements.
    pub(crate) fn new(session: &SessionState, sql: &str) -> Result<Self> {
        Self::of_tokens(session, tokens(session, sql)?, sql)
    }

    /// Parses the tokens of a text.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn of_tokens(session: &SessionState, mut tokens: Vec<TokenWithSpan>, sql: &str) -> Result<Self> {
        bounds::check_tokens(&tokens)?;
        let parameters = number(&mut tokens)?;
        let options = &session.config_options().sql_parser;
        let sql_dialect = sql_dialect(session);
        let has_points = as_of::replace(&mut tokens, sql_dialect.as_ref(), sql)?;
        let statements = DFParserBuilder::new(tokens)
            .with_dialect(sql_dialect.as_ref())
            .with_recursion_limit(options.recursion_limit.get())
            .build()
            .and_then(|mut parser| parser.parse_statements())
            .map_err(|error| failure::parse_error(error, sql))?;
        let mut statements = statements.into_iter();
        match (statements.next(), statements.next()) {
            (Some(mut statement), None) => {
                bounds::check_statement(&statement)?;
                if has_points {
                    as_of::finish(&mut statement);
                }
                dialect::standardize(&mut statement)?;
                Ok(Self { statement, parameters })
            }
            (None, _) => Err(Error::new(ErrorKind::InvalidSql, "the text holds no SQL statement")),
            (Some(_), Some(_)) => Err(Error::new(
                ErrorKind::Unsupported,
                "only a single statement can be sent at a time: send the others on their own",
            )),
        }
    }
}

/// The tokens of a text.
///
/// # Errors
/// `InvalidSql` with line and column.
pub(crate) fn tokens(session: &SessionState, sql: &str) -> Result<Vec<TokenWithSpan>> {
    if sql.len() > MAX_STATEMENT_BYTES {
        return Err(Error::new(
            ErrorKind::InvalidSql,
            format!("the statement is longer than {MAX_STATEMENT_BYTES} bytes; send values by ingest instead"),
        ));
    }
    Tokenizer::new(sql_dialect(session).as_ref(), sql)
        .tokenize_with_location()
        .map_err(|error| failure::parse_error(ParserError::from(error).into(), sql))
}

fn sql_dialect(session: &SessionState) -> Box<dyn Dialect> {
    let name = session.config_options().sql_parser.dialect;
    dialect_from_str(name.as_ref()).unwrap_or_else(|| Box::new(GenericDialect {}))
}

/// Gives every parameter its number. Gives the largest one.
fn number(tokens: &mut [TokenWithSpan]) -> Result<usize> {
    let (mut largest, mut counted, mut numbered) = (0, 0, false);
    for token in tokens {
        let place = token.span.start;
        let Token::Placeholder(name) = &mut token.token else {
            continue;
        };
        let wrong = |why: String| {
            let message = format!("{why} at Line: {}, Column: {}", place.line, place.column);
            Err(Error::new(ErrorKind::InvalidSql, message))
        };
        let number = if name == "?" {
            counted += 1;
            *name = format!("${counted}");
            counted
        } else {
            numbered = true;
            match name.get(1..).map(str::parse) {
                Some(Ok(number)) if number > 0 => {
                    *name = format!("${number}");
                    number
                }
                _ => {
                    return wrong(format!("parameters have no names: write ? or $1 instead of {name}"));
                }
            }
        };
        if number > MAX_PARAMETERS {
            return wrong(format!("there are at most {MAX_PARAMETERS} parameters"));
        }
        if counted > 0 && numbered {
            return wrong("parameters are either all written ? or all with their numbers, such as $1".to_owned());
        }
        largest = largest.max(number);
    }
    Ok(largest)
}
