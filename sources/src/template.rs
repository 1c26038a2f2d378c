//! `${{ env.NAME || 'default' }}` in the texts of a source.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::{Error, ErrorKind, Result};

/// Stands for the value of a variable in texts that people see.
const HIDDEN: &str = "***";

/// The text with its variables filled in. Alternatives are tried from left to right: `env.NAME`, a text in single or
/// double quotes, a number.
///
/// The result may hold secrets; it must not be shown. Names the variables, never their values, when none of the
/// alternatives is there.
pub(crate) fn render<'a>(text: &'a str, variables: &BTreeMap<String, String>) -> Result<Cow<'a, str>> {
    render_with(text, |name| variables.get(name).map(String::as_str))
}

/// The text with hidden values in place of variables, to be shown.
pub(crate) fn render_hidden<'a>(text: &'a str, variables: &BTreeMap<String, String>) -> Result<Cow<'a, str>> {
    render_with(text, |name| variables.get(name).map(|_| HIDDEN))
}

fn render_with<'a, 'v>(text: &'a str, value: impl Fn(&str) -> Option<&'v str>) -> Result<Cow<'a, str>> {
    let mut rest = text;
    let mut rendered = String::new();
    while let Some((before, after)) = rest.split_once("${{") {
        let (expression, after) = after
            .split_once("}}")
            .ok_or_else(|| invalid("a template is opened with `${{` but not closed with `}}`"))?;
        rendered.push_str(before);
        rendered.push_str(&evaluate(expression, &value)?);
        rest = after;
    }
    if rest.len() == text.len() {
        return Ok(Cow::Borrowed(text));
    }
    rendered.push_str(rest);
    Ok(Cow::Owned(rendered))
}

fn evaluate<'v>(expression: &str, value: &impl Fn(&str) -> Option<&'v str>) -> Result<String> {
    let mut unknown = Vec::new();
    for alternative in expression.split("||").map(str::trim) {
        if let Some(name) = alternative.strip_prefix("env.") {
            match value(name) {
                Some(found) => return Ok(found.to_owned()),
                None => unknown.push(name),
            }
        } else if let Some(literal) = literal(alternative) {
            return Ok(literal.to_owned());
        } else {
            return Err(
                invalid("a template may hold `env.NAME`, a quoted text or a number, separated by `||`")
                    .with_context("template", expression.trim()),
            );
        }
    }
    Err(invalid(
        "a variable of the source is not set; set it for the dataset or give a default: `${{ env.NAME || 'default' }}`",
    )
    .with_context("variable", unknown.join(", ")))
}

fn literal(text: &str) -> Option<&str> {
    let quoted = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    quoted('\'')
        .or_else(|| quoted('"'))
        .or_else(|| text.parse::<f64>().is_ok().then_some(text))
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidSource, message)
}

#[cfg(test)]
mod tests;
