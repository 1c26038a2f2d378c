//! Columns written as in SQL: `name TYPE [NOT NULL]`.
//!
//! Words are case-insensitive. Names are kept as they are, and can be quoted with `` ` `` or `"`. All timestamps are in UTC
//! and, like times, have milliseconds unless a precision says otherwise: 0 stands for seconds, 1 to 3 for milliseconds, 4 to 6
//! for microseconds, 7 to 9 for nanoseconds. Lengths of texts are allowed and do nothing.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};

use crate::{Error, ErrorKind, Result};

/// How deep types may be in types.
const MAX_DEPTH: usize = 16;

/// The columns of the definitions.
pub(super) fn parse(definitions: &[String]) -> Result<Schema> {
    let fields = definitions.iter().map(|definition| {
        column(definition).map_err(|message| {
            Error::new(
                ErrorKind::InvalidSource,
                format!("a column of ddlSchema is not understood: {message}"),
            )
            .with_context("definition", definition)
        })
    });
    Ok(Schema::new(fields.collect::<Result<Vec<_>>>()?))
}

fn column(definition: &str) -> Result<Field, String> {
    let mut parser = Parser {
        tokens: tokens(definition)?,
        next: 0,
    };
    let field = parser.field(false, 0)?;
    match parser.take() {
        None => Ok(field),
        Some(token) => Err(format!("{token} is not expected after the type")),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Mark(char),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(text) | Self::Quoted(text) => write!(f, "'{text}'"),
            Self::Mark(mark) => write!(f, "'{mark}'"),
        }
    }
}

fn tokens(definition: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = definition.trim_start();
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        rest = match first {
            '`' | '"' => {
                let mut name = String::new();
                let mut tail = after;
                loop {
                    let (part, left) = tail.split_once(first).ok_or("a quote is not closed")?;
                    name.push_str(part);
                    // A doubled quote is a quote.
                    match left.strip_prefix(first) {
                        Some(left) => {
                            name.push(first);
                            tail = left;
                        }
                        None => {
                            tail = left;
                            break;
                        }
                    }
                }
                tokens.push(Token::Quoted(name));
                tail
            }
            '(' | ')' | '<' | '>' | ',' | ':' => {
                tokens.push(Token::Mark(first));
                after
            }
            _ => {
                let end = rest
                    .find(|character: char| character.is_whitespace() || "()<>,:`\"".contains(character))
                    .unwrap_or(rest.len());
                let (word, left) = rest.split_at(end);
                tokens.push(Token::Word(word.to_owned()));
                left
            }
        }
        .trim_start();
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.next).cloned();
        self.next += 1;
        token
    }

    fn take_mark(&mut self, mark: char) -> bool {
        let found = self.tokens.get(self.next) == Some(&Token::Mark(mark));
        self.next += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.tokens.get(self.next), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word));
        self.next += usize::from(found);
        found
    }

    fn expect_mark(&mut self, mark: char) -> Result<(), String> {
        if self.take_mark(mark) {
            return Ok(());
        }
        Err(match self.take() {
            Some(token) => format!("'{mark}' is expected instead of {token}"),
            None => format!("'{mark}' is missing at the end"),
        })
    }

    /// A name and its type; in a struct a colon may stand between them.
    fn field(&mut self, in_struct: bool, depth: usize) -> Result<Field, String> {
        let name = match self.take() {
            Some(Token::Word(name) | Token::Quoted(name)) if !name.is_empty() => name,
            _ => return Err("a name is expected first".to_owned()),
        };
        if in_struct {
            self.take_mark(':');
        }
        let data_type = self.data_type(depth)?;
        let required = if self.take_word("NOT") {
            if !self.take_word("NULL") {
                return Err("NULL is expected after NOT".to_owned());
            }
            true
        } else {
            self.take_word("NULL");
            false
        };
        Ok(Field::new(name, data_type, !required))
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, String> {
        if depth > MAX_DEPTH {
            return Err("types are too deep in each other".to_owned());
        }
        let word = match self.take() {
            Some(Token::Word(word)) => word.to_ascii_uppercase(),
            Some(token) => return Err(format!("a type is expected instead of {token}")),
            None => return Err("a type is expected after the name".to_owned()),
        };
        Ok(match word.as_str() {
            "TINYINT" | "BYTE" => self.integer(DataType::Int8, DataType::UInt8),
            "SMALLINT" | "SHORT" => self.integer(DataType::Int16, DataType::UInt16),
            "INT" | "INTEGER" => self.integer(DataType::Int32, DataType::UInt32),
            "BIGINT" | "LONG" => self.integer(DataType::Int64, DataType::UInt64),
            "BOOLEAN" | "BOOL" => DataType::Boolean,
            "FLOAT" | "REAL" => DataType::Float32,
            "DOUBLE" => {
                self.take_word("PRECISION");
                DataType::Float64
            }
            "DECIMAL" | "NUMERIC" | "DEC" => self.decimal()?,
            "STRING" | "TEXT" => DataType::Utf8,
            "VARCHAR" | "CHAR" | "CHARACTER" => {
                self.take_word("VARYING");
                self.numbers()?;
                DataType::Utf8
            }
            "BINARY" | "VARBINARY" | "BYTEA" => DataType::Binary,
            "DATE" => DataType::Date32,
            "TIME" => match self.precision()? {
                unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
                unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond) => DataType::Time64(unit),
            },
            "TIMESTAMP" => {
                let unit = self.precision()?;
                let has_zone = self.take_word("WITH") || self.take_word("WITHOUT");
                if has_zone && !(self.take_word("TIME") && self.take_word("ZONE")) {
                    return Err("TIME ZONE is expected after WITH or WITHOUT".to_owned());
                }
                DataType::Timestamp(unit, Some("UTC".into()))
            }
            "ARRAY" => {
                self.expect_mark('<')?;
                let item = self.data_type(depth + 1)?;
                self.expect_mark('>')?;
                DataType::List(Arc::new(Field::new("item", item, true)))
            }
            "MAP" => {
                self.expect_mark('<')?;
                let keys = Field::new("keys", self.data_type(depth + 1)?, false);
                self.expect_mark(',')?;
                let values = Field::new("values", self.data_type(depth + 1)?, true);
                self.expect_mark('>')?;
                let entries = Field::new("entries", DataType::Struct(Fields::from(vec![keys, values])), false);
                DataType::Map(Arc::new(entries), false)
            }
            "STRUCT" => {
                self.expect_mark('<')?;
                let mut fields = vec![self.field(true, depth + 1)?];
                while self.take_mark(',') {
                    fields.push(self.field(true, depth + 1)?);
                }
                self.expect_mark('>')?;
                DataType::Struct(fields.into())
            }
            _ => return Err(format!("{word} is not a type that is known here")),
        })
    }

    fn integer(&mut self, signed: DataType, unsigned: DataType) -> DataType {
        if self.take_word("UNSIGNED") { unsigned } else { signed }
    }

    fn decimal(&mut self) -> Result<DataType, String> {
        let (precision, scale) = match self.numbers()?.as_slice() {
            [] => (10, 0),
            [precision] => (*precision, 0),
            [precision, scale] => (*precision, *scale),
            _ => return Err("a decimal has a precision and a scale".to_owned()),
        };
        match (u8::try_from(precision), i8::try_from(scale)) {
            (Ok(precision @ 1..=38), Ok(scale)) if scale as u8 <= precision => {
                Ok(DataType::Decimal128(precision, scale))
            }
            (Ok(precision @ 39..=76), Ok(scale)) if scale as u8 <= precision => {
                Ok(DataType::Decimal256(precision, scale))
            }
            _ => Err("a decimal has 1 to 76 digits, and no more than these behind the point".to_owned()),
        }
    }

    /// Unit of `(p)`.
    fn precision(&mut self) -> Result<TimeUnit, String> {
        match self.numbers()?.as_slice() {
            [] | [1..=3] => Ok(TimeUnit::Millisecond),
            [0] => Ok(TimeUnit::Second),
            [4..=6] => Ok(TimeUnit::Microsecond),
            [7..=9] => Ok(TimeUnit::Nanosecond),
            _ => Err("the precision of a time is 0 to 9 digits".to_owned()),
        }
    }

    /// Numbers in parentheses, if there are parentheses.
    fn numbers(&mut self) -> Result<Vec<u32>, String> {
        let mut numbers = Vec::new();
        if !self.take_mark('(') {
            return Ok(numbers);
        }
        loop {
            match self.take() {
                Some(Token::Word(word)) => {
                    numbers.push(word.parse().map_err(|_| format!("'{word}' is not a number"))?);
                }
                _ => return Err("a number is expected in the parentheses".to_owned()),
            }
            if !self.take_mark(',') {
                self.expect_mark(')')?;
                return Ok(numbers);
            }
        }
    }
}
