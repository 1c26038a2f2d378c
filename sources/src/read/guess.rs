//! Types of columns from some of their values.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::Value;

use super::moment::Formats;
use crate::{Error, ErrorKind, Result};

/// Whole numbers up to here are exact as floating-point numbers.
const EXACT_IN_FLOAT: u64 = 1 << 53;

/// Columns, or members of a struct, that may be guessed: far above what people use, and names of values are soon beyond it.
const MAX_MEMBERS: usize = 10_000;

/// What is known of a column's values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Guess {
    /// There was none.
    #[default]
    Nothing,
    Bool,
    /// Whole numbers that floating-point numbers can hold.
    Int,
    /// Larger whole numbers.
    BigInt,
    Float,
    Date,
    /// With so many digits of a second.
    Timestamp(TimeUnit),
    Text,
    List(Box<Guess>),
    Struct(Members),
    /// Values that have no type in common.
    Mixed,
}

/// Members of a struct, or columns, in the order in which they appeared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Members(Vec<(String, Guess)>);

impl Guess {
    /// A text of a format that has only texts. Numbers with leading zeros are texts, which they would not be again.
    pub(super) fn of_text(text: &str, formats: &Formats) -> Self {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let numeric = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
        if numeric && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return match text.parse::<i64>() {
                Ok(_) if digits.len() > 1 && digits.starts_with('0') => Self::Text,
                Ok(number) if number.unsigned_abs() <= EXACT_IN_FLOAT => Self::Int,
                Ok(_) => Self::BigInt,
                Err(_) => Self::Text,
            };
        }
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            return Self::Bool;
        }
        let leading_zero = digits.starts_with('0') && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        if numeric && !leading_zero && text.parse::<f64>().is_ok() || matches!(text, "NaN" | "nan" | "inf" | "-inf") {
            return Self::Float;
        }
        if formats.date.date(text).is_some() {
            return Self::Date;
        }
        [TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond]
            .into_iter()
            .find(|unit| formats.timestamp.is_timestamp(text, *unit))
            .map_or(Self::Text, Self::Timestamp)
    }

    /// A JSON value. Texts stay texts, whatever they look like. Errors: those of [`Members::add`].
    pub(super) fn of_json(value: &Value) -> Result<Self> {
        Ok(match value {
            Value::Null => Self::Nothing,
            Value::Bool(_) => Self::Bool,
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) if number.unsigned_abs() <= EXACT_IN_FLOAT => Self::Int,
                (Some(_), _) => Self::BigInt,
                (None, Some(_)) => Self::Text,
                (None, None) => Self::Float,
            },
            Value::String(_) => Self::Text,
            Value::Array(items) => {
                let mut item = Self::Nothing;
                for value in items {
                    item.merge(Self::of_json(value)?)?;
                }
                Self::List(Box::new(item))
            }
            Value::Object(object) => {
                let mut members = Members::default();
                for (name, value) in object {
                    members.add(name, Self::of_json(value)?)?;
                }
                Self::Struct(members)
            }
        })
    }

    /// Takes in what other values say. Errors: those of [`Members::add`].
    pub(super) fn merge(&mut self, other: Self) -> Result<()> {
        *self = match (std::mem::take(self), other) {
            (one, other) if one == other => one,
            (one, Self::Nothing) => one,
            (Self::Nothing, other) => other,
            (Self::Int, Self::BigInt) | (Self::BigInt, Self::Int) => Self::BigInt,
            (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
            (Self::Timestamp(one), Self::Timestamp(other)) => Self::Timestamp(one.max(other)),
            (Self::Date, moment @ Self::Timestamp(_)) | (moment @ Self::Timestamp(_), Self::Date) => moment,
            (Self::List(mut item), Self::List(other)) => {
                item.merge(*other)?;
                Self::List(item)
            }
            (Self::Struct(mut members), Self::Struct(others)) => {
                members.merge(others)?;
                Self::Struct(members)
            }
            (Self::List(_) | Self::Struct(_) | Self::Mixed, _) | (_, Self::List(_) | Self::Struct(_) | Self::Mixed) => {
                Self::Mixed
            }
            _ => Self::Text,
        };
        Ok(())
    }

    fn data_type(self) -> Option<DataType> {
        Some(match self {
            Self::Nothing | Self::Text => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Int | Self::BigInt => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Date => DataType::Date32,
            Self::Timestamp(unit) => DataType::Timestamp(unit, Some("UTC".into())),
            Self::List(item) => DataType::List(Arc::new(Field::new("item", item.data_type()?, true))),
            // Nothing can be kept of objects that are all empty.
            Self::Struct(members) if members.0.is_empty() => return None,
            Self::Struct(members) => DataType::Struct(members.into_fields().ok()?.into()),
            Self::Mixed => return None,
        })
    }
}

impl Members {
    /// Takes in the value of a member of one more object.
    ///
    /// # Errors
    /// `BadData` if there are too many members for a schema that nobody has declared.
    pub(super) fn add(&mut self, name: &str, guess: Guess) -> Result<()> {
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| known == name) {
            return known.merge(guess);
        }
        if self.0.len() >= MAX_MEMBERS {
            return Err(Error::new(
                ErrorKind::BadData,
                format!("the rows have more than {MAX_MEMBERS} different columns, or members of one; declare a schema"),
            )
            .with_context("column", name));
        }
        self.0.push((name.to_owned(), guess));
        Ok(())
    }

    /// Takes in what another file says. Errors: those of [`Self::add`].
    pub(super) fn merge(&mut self, other: Self) -> Result<()> {
        for (name, guess) in other.0 {
            self.add(&name, guess)?;
        }
        Ok(())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The columns; those without any value are texts.
    pub(super) fn into_schema(self) -> Result<SchemaRef> {
        if self.0.is_empty() {
            return Err(Error::new(
                ErrorKind::BadData,
                "there are no columns, because there are no values; declare a schema",
            ));
        }
        Ok(Arc::new(Schema::new(self.into_fields()?)))
    }

    fn into_fields(self) -> Result<Vec<Field>> {
        let field = |(name, guess): (String, Guess)| match guess.data_type() {
            Some(data_type) => Ok(Field::new(name, data_type, true)),
            None => Err(Error::new(
                ErrorKind::BadData,
                "the values of a column have no type in common; declare a schema",
            )
            .with_context("column", name)),
        };
        self.0.into_iter().map(field).collect()
    }
}
