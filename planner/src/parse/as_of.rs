//! `FROM d FOR SYSTEM_TIME AS OF point`. The parser knows it in dialects that are not ours, so it becomes `FROM at('d', point)`
//! before parsing.

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, TableAlias, TableFactor, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use crate::{Error, ErrorKind, Result, failure};

/// What may stand between FOR and AS OF; all mean the same.
const WORDS: [&str; 4] = ["SYSTEM_TIME", "SYSTEM_VERSION", "TIMESTAMP", "VERSION"];

/// The function that stands there between the two steps.
const MARK: &str = "__jetway_as_of";

/// Replaces every such clause by a call. True if there was one.
///
/// # Errors
/// `InvalidSql` when there is no name before it or no expression behind it.
pub(super) fn replace(tokens: &mut Vec<TokenWithSpan>, dialect: &dyn Dialect, sql: &str) -> Result<bool> {
    let mut found = false;
    let mut from = 0;
    while let Some((start, end)) = clause(tokens, from) {
        let (first, name) = name_before(tokens, start)?;
        let behind = tokens.get(end..).unwrap_or_default();
        let mut parser = Parser::new(dialect).with_tokens_with_locations(behind.to_vec());
        parser
            .parse_expr()
            .map_err(|error| failure::parse_error(error.into(), sql))?;
        let point: Vec<TokenWithSpan> = behind.iter().take(parser.index()).cloned().collect();
        let Some(place) = tokens.get(first).map(|token| token.span) else {
            break;
        };
        let at = |token| TokenWithSpan::new(token, place);
        let mut call = vec![
            at(Token::make_word(MARK, None)),
            at(Token::LParen),
            at(Token::SingleQuotedString(name)),
            at(Token::Comma),
        ];
        let length = point.len();
        call.extend(point);
        call.push(at(Token::RParen));
        // The next one may stand right behind.
        from = first + call.len();
        tokens.splice(first..end + length, call);
        found = true;
    }
    Ok(found)
}

/// The next clause: where FOR stands, and what follows AS OF.
fn clause(tokens: &[TokenWithSpan], from: usize) -> Option<(usize, usize)> {
    let words = |at: usize| {
        let rest = tokens.iter().enumerate().skip(at);
        rest.filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)))
    };
    words(from).find_map(|(start, token)| {
        if !is_word(&token.token, &["FOR"]) {
            return None;
        }
        let mut next = words(start + 1);
        let expected: [&[&str]; 3] = [&WORDS, &["AS"], &["OF"]];
        let mut end = start;
        for wanted in expected {
            let (at, token) = next.next()?;
            if !is_word(&token.token, wanted) {
                return None;
            }
            end = at + 1;
        }
        Some((start, end))
    })
}

fn is_word(token: &Token, wanted: &[&str]) -> bool {
    let Token::Word(word) = token else { return false };
    word.quote_style.is_none() && wanted.iter().any(|wanted| word.value.eq_ignore_ascii_case(wanted))
}

/// The name that ends before a position: where it begins, and what it says, every part in quotes.
fn name_before(tokens: &[TokenWithSpan], end: usize) -> Result<(usize, String)> {
    let mut parts: Vec<String> = Vec::new();
    let before = tokens.iter().enumerate().take(end).rev();
    let mut before = before.filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)));
    let mut first = end;
    while let Some((at, token)) = before.next() {
        let Token::Word(word) = &token.token else { break };
        parts.push(quoted(word));
        first = at;
        if !matches!(before.next(), Some((_, token)) if token.token == Token::Period) {
            break;
        }
    }
    if parts.is_empty() {
        let place = tokens.get(end).map(|token| token.span.start);
        let place = place.map(|place| format!(" at Line: {}, Column: {}", place.line, place.column));
        return Err(Error::new(
            ErrorKind::InvalidSql,
            format!(
                "FOR SYSTEM_TIME AS OF stands behind the name of a dataset; write to_table('name', point) for the state at a point{}",
                place.unwrap_or_default()
            ),
        ));
    }
    parts.reverse();
    Ok((first, parts.join(".")))
}

fn quoted(word: &Word) -> String {
    let name = match word.quote_style {
        Some(_) => word.value.clone(),
        None => word.value.to_ascii_lowercase(),
    };
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Gives the calls their real name, and the alias that columns are known by.
pub(super) fn finish(statement: &mut SqlStatement) {
    match statement {
        SqlStatement::Statement(ast) => {
            let ControlFlow::Continue(()) = VisitMut::visit(ast.as_mut(), &mut Finish);
        }
        SqlStatement::Explain(explain) => finish(&mut explain.statement),
        _ => {}
    }
}

struct Finish;

impl VisitorMut for Finish {
    type Break = std::convert::Infallible;

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        let TableFactor::Table {
            name,
            alias,
            args: Some(args),
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        if name.to_string() != MARK {
            return ControlFlow::Continue(());
        }
        *name = ObjectName::from(Ident::new("at"));
        if let (None, Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(dataset))))) =
            (&alias, args.args.first())
            && let Value::SingleQuotedString(dataset) = &dataset.value
        {
            *alias = Some(TableAlias {
                explicit: true,
                name: Ident::with_quote('"', TableReference::parse_str(dataset).table()),
                columns: Vec::new(),
                at: None,
            });
        }
        ControlFlow::Continue(())
    }
}
