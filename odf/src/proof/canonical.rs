//! JSON in the one form that is hashed (RFC 8785), and JSON read so that it has one meaning.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Error, Result};

/// The canonical form: no spaces, members ordered by name, numbers and texts as ECMAScript writes them.
///
/// Whole numbers keep all their digits, also those beyond 2^53, which RFC 8785 would round: no row may change without its
/// hash.
#[must_use]
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut text = Vec::new();
    write_value(value, &mut text);
    text
}

/// Reads a document that somebody else wrote. The depth is limited to 128.
///
/// # Errors
/// `Malformed` if it is not JSON, or an object has two members of one name: readers would differ about which one counts.
pub fn parse(text: &[u8]) -> Result<Value> {
    let Strict(value) = serde_json::from_slice(text)
        .map_err(|error| Error::malformed("the text is not JSON that can be proved").with_source(error))?;
    Ok(value)
}

/// Members in the order of RFC 8785: by the UTF-16 code units of their names.
pub(super) fn sort_names<T>(members: &mut [T], name: impl Fn(&T) -> &str) {
    members.sort_by(|one, other| name(one).encode_utf16().cmp(name(other).encode_utf16()));
}

pub(super) fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_text(text, out),
        Value::Array(values) => {
            out.push(b'[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(value, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            sort_names(&mut members, |(name, _)| name.as_str());
            out.push(b'{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_text(name, out);
                out.push(b':');
                write_value(value, out);
            }
            out.push(b'}');
        }
    }
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    match number.as_f64() {
        Some(float) if number.is_f64() => write_f64(float, out),
        // Digits as they are.
        _ => out.extend_from_slice(number.to_string().as_bytes()),
    }
}

/// A finite number as `Number.prototype.toString` writes it (ECMA-262, 6.1.6.1.20).
pub(super) fn write_f64(value: f64, out: &mut Vec<u8>) {
    let shortest = format!("{value:e}");
    write_digits(even_of_two(value, &shortest).as_ref().unwrap_or(&shortest), out);
}

/// The other one of two shortest texts, if the number is exactly in the middle between both and that one is even: ECMAScript
/// prefers it, and our formatter does not.
fn even_of_two(value: f64, shortest: &str) -> Option<String> {
    /// Every number of 64 bits is exact with as many digits.
    const EXACT: usize = 767;
    let (mantissa, _) = shortest.split_once('e')?;
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let is_odd = mantissa.bytes().last()?.is_ascii_digit() && mantissa.bytes().last()? % 2 == 1;
    // Shorter texts are further from each other than numbers are.
    if digits < 15 || !is_odd {
        return None;
    }
    let exact = format!("{value:.EXACT$e}");
    let (mantissa, exponent) = exact.split_once('e')?;
    let kept = mantissa.len() - EXACT + digits - 1;
    let (kept, rest) = mantissa.split_at_checked(kept)?;
    let is_middle = rest.starts_with('5') && rest.bytes().skip(1).all(|digit| digit == b'0');
    let other = format!("{kept}e{exponent}");
    (is_middle && other.parse() == Ok(value)).then_some(other)
}

/// The same with the digits that tell a number of 32 bits from its neighbours, which is how people write it.
pub(super) fn write_f32(value: f32, out: &mut Vec<u8>) {
    write_digits(&format!("{value:e}"), out);
}

/// Lays out shortest digits and their exponent, such as `-1.25e-7`.
fn write_digits(scientific: &str, out: &mut Vec<u8>) {
    let (sign, rest) = match scientific.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", scientific),
    };
    let (mantissa, exponent) = rest.split_once('e').unwrap_or((rest, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if digits.bytes().all(|digit| digit == b'0') {
        return out.push(b'0');
    }
    let exponent: i32 = exponent.parse().unwrap_or(0);
    // Where the point stands, counted from the first digit.
    let (point, count) = (exponent + 1, i32::try_from(digits.len()).unwrap_or(i32::MAX));
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let text = if count <= point && point <= 21 {
        format!("{digits}{}", zeros(point - count))
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
        format!("{whole}.{fraction}")
    } else if -6 < point && point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (first, more) = digits.split_at(1);
        let dot = if more.is_empty() { "" } else { "." };
        format!("{first}{dot}{more}e{exponent:+}")
    };
    out.extend_from_slice(sign.as_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// A text in quotes. Only what JSON forbids is escaped.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\0'..='\u{1f}' => out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes()),
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// A value in which no object has two members of one name.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Strict(value))) = items.next_entry::<String, Strict>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format!("the member \"{name}\" is there twice")));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}
