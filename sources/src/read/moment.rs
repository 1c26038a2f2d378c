//! Texts as dates and timestamps.
//!
//! A format is `rfc3339` (the default), a pattern with `%` as in C and chrono (`%d.%m.%Y`), or one with letters as in Java
//! and Spark (`dd.MM.yyyy`). `rfc3339` also takes a space instead of `T` and texts without a zone. Texts without a zone are in
//! the zone of their column, which is UTC for nearly all. A date where a timestamp is expected is its midnight.

use arrow::array::timezone::Tz;
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::TimeUnit;
use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone};

use crate::{Error, ErrorKind, Result};

/// Formats of dates and timestamps.
#[derive(Debug, Clone, Default)]
pub(super) struct Formats {
    pub(super) date: Format,
    pub(super) timestamp: Format,
}

/// How a date or a timestamp is written.
#[derive(Debug, Clone, Default)]
pub(super) enum Format {
    #[default]
    Rfc3339,
    Pattern(Vec<Item<'static>>),
}

/// A time zone by its name or offset.
pub(super) fn zone(name: &str) -> Option<Tz> {
    match name {
        "UTC" | "Z" => "+00:00".parse().ok(),
        name => name.parse().ok(),
    }
}

impl Formats {
    pub(super) fn of(date: Option<&str>, timestamp: Option<&str>) -> Result<Self> {
        Ok(Self {
            date: Format::of(date).map_err(|message| invalid("dateFormat", date, &message))?,
            timestamp: Format::of(timestamp).map_err(|message| invalid("timestampFormat", timestamp, &message))?,
        })
    }
}

impl Format {
    fn of(pattern: Option<&str>) -> Result<Self, String> {
        let pattern = match pattern {
            None => return Ok(Self::Rfc3339),
            Some(pattern) if pattern.eq_ignore_ascii_case("rfc3339") => return Ok(Self::Rfc3339),
            Some("") => return Err("the pattern is empty".to_owned()),
            Some(pattern) if pattern.contains('%') => pattern.to_owned(),
            Some(pattern) => from_java(pattern)?,
        };
        StrftimeItems::new(&pattern)
            .parse_to_owned()
            .map(Self::Pattern)
            .map_err(|_| "a specifier after % is not known".to_owned())
    }

    /// The day that a text names, if it names nothing finer.
    pub(super) fn date(&self, text: &str) -> Option<NaiveDate> {
        match self {
            // The length keeps signs and single digits out.
            Self::Rfc3339 if text.len() == 10 => NaiveDate::parse_from_str(text, "%Y-%m-%d").ok(),
            Self::Rfc3339 => None,
            Self::Pattern(items) => parsed(text, items)?.to_naive_date().ok(),
        }
    }

    /// Whether a text names a moment that is no finer than the unit.
    pub(super) fn is_timestamp(&self, text: &str, unit: TimeUnit) -> bool {
        zone("UTC").is_some_and(|zone| self.timestamp(text, zone, unit).is_ok())
    }

    /// The moment that a text names, in units since 1970.
    pub(super) fn timestamp(&self, text: &str, zone: Tz, unit: TimeUnit) -> Result<i64, &'static str> {
        let moment = match self {
            Self::Rfc3339 => {
                if digits_of_second(text) > 9 {
                    return Err("it has more than nine digits of a second");
                }
                string_to_datetime(&zone, text).map_err(|_| "")?
            }
            Self::Pattern(items) => {
                let parsed = parsed(text, items).ok_or("")?;
                if parsed.offset().is_some() {
                    parsed.to_datetime().map_err(|_| "")?.with_timezone(&zone)
                } else {
                    let local = parsed.to_naive_datetime_with_offset(0).or_else(|_| {
                        let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN);
                        parsed.to_naive_date().map(midnight)
                    });
                    zone.from_local_datetime(&local.map_err(|_| "")?)
                        .single()
                        .ok_or("its zone does not have this time, or has it twice")?
                }
            }
        };
        in_units(&moment, unit)
    }
}

fn in_units(moment: &DateTime<Tz>, unit: TimeUnit) -> Result<i64, &'static str> {
    let (per_second, nanoseconds) = match unit {
        TimeUnit::Second => (1, 1_000_000_000),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, 1),
    };
    let fraction = moment.timestamp_subsec_nanos();
    if !fraction.is_multiple_of(nanoseconds) {
        return Err("it is finer than the column; declare more digits, such as TIMESTAMP(6) or TIMESTAMP(9)");
    }
    let whole = i128::from(moment.timestamp()) * i128::from(per_second) + i128::from(fraction / nanoseconds);
    i64::try_from(whole).map_err(|_| "it is outside of what the column can hold")
}

fn parsed(text: &str, items: &[Item<'static>]) -> Option<Parsed> {
    let mut parsed = Parsed::new();
    parse(&mut parsed, text, items.iter()).ok()?;
    Some(parsed)
}

/// Digits behind the point, trailing zeros left out.
fn digits_of_second(text: &str) -> usize {
    let Some((_, tail)) = text.split_once('.') else {
        return 0;
    };
    let end = tail
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(tail.len());
    tail.get(..end).unwrap_or_default().trim_end_matches('0').len()
}

/// The letters of Java's `DateTimeFormatter` that have a counterpart.
fn from_java(pattern: &str) -> Result<String, String> {
    let mut result = String::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        let length = rest.len() - rest.trim_start_matches(letter).len();
        let (run, after) = rest.split_at(length);
        rest = after;
        if letter == '\'' {
            if length.is_multiple_of(2) {
                result.extend(std::iter::repeat_n('\'', length / 2));
                continue;
            }
            let (quoted, after) = rest.split_once('\'').ok_or("a quote is not closed")?;
            result.push_str(quoted);
            rest = after;
        } else if letter.is_ascii_alphabetic() {
            result.push_str(
                counterpart(letter, length).ok_or_else(|| format!("{run} is not a pattern that is known here"))?,
            );
        } else if "[]{}#".contains(letter) {
            return Err(format!("{letter} is not known here; quote it with '"));
        } else {
            result.push_str(run);
        }
    }
    Ok(result)
}

fn counterpart(letter: char, length: usize) -> Option<&'static str> {
    Some(match (letter, length) {
        ('y' | 'u', 2) => "%y",
        ('y' | 'u', 1 | 4) => "%Y",
        ('M' | 'L', 1) => "%-m",
        ('M' | 'L', 2) => "%m",
        ('M' | 'L', 3) => "%b",
        ('M' | 'L', 4) => "%B",
        ('d', 1) => "%-d",
        ('d', 2) => "%d",
        ('D', 1..=3) => "%j",
        ('H', 1) => "%-H",
        ('H', 2) => "%H",
        ('h', 1) => "%-I",
        ('h', 2) => "%I",
        ('m', 1) => "%-M",
        ('m', 2) => "%M",
        ('s', 1) => "%-S",
        ('s', 2) => "%S",
        ('S', 3) => "%3f",
        ('S', 6) => "%6f",
        ('S', 9) => "%9f",
        ('a', 1) => "%p",
        ('E', 1..=3) => "%a",
        ('E', 4) => "%A",
        ('X' | 'x', 1..=3) => "%#z",
        ('Z', 1..=3) => "%z",
        _ => return None,
    })
}

fn invalid(option: &str, pattern: Option<&str>, message: &str) -> Error {
    Error::new(
        ErrorKind::InvalidSource,
        format!("{option} is not understood: {message}; use rfc3339, %Y-%m-%d or yyyy-MM-dd"),
    )
    .with_context("pattern", pattern.unwrap_or_default())
}
