//! Literals of conditions as parameters: texts that differ in them only have one plan.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Statements with more of them are not asked for each value.
const MAX_LITERALS: usize = 16;

/// A text whose literals are parameters, and their values.
#[derive(Debug)]
pub(crate) struct Lifted {
    /// The text with parameters.
    pub(crate) tokens: Vec<TokenWithSpan>,
    /// The same without spaces and comments.
    pub(crate) key: Vec<Token>,
    /// A row with the literals.
    pub(crate) values: RecordBatch,
}

/// Makes parameters of the literals that are compared with something in the WHERE of a single SELECT: `column = 7 AND ...`. There
/// a literal is a value and nothing else; elsewhere it may name a column, choose a function or tell a type. None if there are none.
pub(crate) fn lift(tokens: &[TokenWithSpan]) -> Option<Lifted> {
    let words: Vec<usize> = (0..tokens.len())
        .filter(|index| tokens.get(*index).is_some_and(|token| !is_space(&token.token)))
        .collect();
    let at = |position: usize| {
        words
            .get(position)
            .and_then(|index| tokens.get(*index))
            .map(|token| &token.token)
    };
    let condition = condition(&words, tokens)?;
    let mut tokens_with_parameters = tokens.to_vec();
    let mut values: Vec<ArrayRef> = Vec::new();
    // Whether each open parenthesis holds arguments.
    let mut open: Vec<bool> = Vec::new();
    for position in condition {
        match at(position)? {
            Token::LParen => open.push(!at(position - 1).is_some_and(groups)),
            Token::RParen => {
                open.pop()?;
            }
            token if !open.contains(&true) => {
                let Some(value) = value(token) else { continue };
                if !at(position - 1).is_some_and(compares) || !at(position + 1).is_none_or(ends) {
                    continue;
                }
                values.push(value);
                if values.len() > MAX_LITERALS {
                    return None;
                }
                let index = words.get(position)?;
                tokens_with_parameters.get_mut(*index)?.token = Token::Placeholder(format!("${}", values.len()));
            }
            _ => {}
        }
    }
    let columns = values.into_iter().zip(1..);
    let columns = columns.map(|(value, number)| (format!("${number}"), value, true));
    let values = RecordBatch::try_from_iter_with_nullable(columns).ok()?;
    let key = tokens_with_parameters.iter().map(|token| &token.token);
    Some(Lifted {
        key: key.filter(|token| !is_space(token)).cloned().collect(),
        tokens: tokens_with_parameters,
        values,
    })
}

/// Whether a literal of a type is a value of the other one, whatever it is compared with.
pub(crate) fn fits(literal: &DataType, place: &DataType) -> bool {
    match literal {
        DataType::Int64 => place.is_integer() || place.is_floating() || place.is_decimal(),
        other => other == place,
    }
}

/// Positions of the condition in a text that is a single SELECT.
fn condition(words: &[usize], tokens: &[TokenWithSpan]) -> Option<std::ops::Range<usize>> {
    let mut start = None;
    let mut end = words.len();
    for (position, index) in words.iter().enumerate() {
        let token = &tokens.get(*index)?.token;
        if matches!(token, Token::Placeholder(_)) {
            return None;
        }
        match (keyword(token), position) {
            (Some(Keyword::SELECT), 0) => {}
            (_, 0) | (Some(Keyword::SELECT | Keyword::WITH | Keyword::CASE | Keyword::INTO), _) => return None,
            (Some(Keyword::WHERE), _) if start.is_some() => return None,
            (Some(Keyword::WHERE), _) => start = Some(position + 1),
            (Some(Keyword::GROUP | Keyword::ORDER | Keyword::LIMIT | Keyword::OFFSET), _) if start.is_some() => {
                end = end.min(position);
            }
            _ => {}
        }
    }
    Some(start?..end)
}

fn value(token: &Token) -> Option<ArrayRef> {
    match token {
        Token::Number(digits, false) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let number: i64 = digits.parse().ok()?;
            Some(Arc::new(Int64Array::from(vec![number])))
        }
        Token::SingleQuotedString(text) => Some(Arc::new(StringArray::from(vec![text.as_str()]))),
        _ => None,
    }
}

fn compares(token: &Token) -> bool {
    matches!(
        token,
        Token::Eq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq
    )
}

/// Whether what is compared ends before the token.
fn ends(token: &Token) -> bool {
    matches!(token, Token::RParen | Token::SemiColon)
        || matches!(
            keyword(token),
            Some(Keyword::AND | Keyword::OR | Keyword::GROUP | Keyword::ORDER | Keyword::LIMIT | Keyword::OFFSET)
        )
}

/// Whether a parenthesis behind the token holds conditions.
fn groups(token: &Token) -> bool {
    matches!(token, Token::LParen)
        || matches!(
            keyword(token),
            Some(Keyword::WHERE | Keyword::AND | Keyword::OR | Keyword::NOT)
        )
}

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

fn is_space(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_))
}
