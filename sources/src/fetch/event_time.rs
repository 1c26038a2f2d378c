//! The event time that a source says for a whole file.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use jetway_odf::metadata::EventTimeSource;
use regex::Regex;

use crate::{Error, ErrorKind, Result};

/// Format of a date in a path when the source names none.
const DEFAULT_FORMAT: &str = "%Y-%m-%d";

/// Event time of a file. `FromSystemTime` has none here: that is the caller's clock.
pub(super) fn of(
    source: Option<&EventTimeSource>,
    path: &str,
    modified: Option<DateTime<Utc>>,
) -> Result<Option<DateTime<Utc>>> {
    match source {
        None | Some(EventTimeSource::FromSystemTime) => Ok(None),
        Some(EventTimeSource::FromMetadata) => Ok(modified),
        Some(EventTimeSource::FromPath {
            pattern,
            timestamp_format,
        }) => from_path(pattern, timestamp_format.as_deref().unwrap_or(DEFAULT_FORMAT), path).map(Some),
    }
}

fn from_path(pattern: &str, format: &str, path: &str) -> Result<DateTime<Utc>> {
    let invalid = |message| Error::new(ErrorKind::InvalidSource, message).with_context("pattern", pattern);
    let text = Regex::new(pattern)
        .map_err(|error| invalid("the pattern of the event time is not a regular expression").with_source(error))?
        .captures(path)
        .and_then(|groups| groups.get(1))
        .ok_or_else(|| invalid("the pattern of the event time does not match the path with its first group"))?;
    parse(text.as_str(), format).ok_or_else(|| {
        invalid("the event time in the path does not have the format of the source").with_context("format", format)
    })
}

fn parse(text: &str, format: &str) -> Option<DateTime<Utc>> {
    if format == "rfc3339" {
        return Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc());
    }
    DateTime::parse_from_str(text, format)
        .map(|moment| moment.to_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, format).map(|moment| moment.and_utc()))
        .or_else(|_| NaiveDate::parse_from_str(text, format).map(|date| date.and_time(NaiveTime::MIN).and_utc()))
        .ok()
}
