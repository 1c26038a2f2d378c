//! The options of a session: their names, their values, and what they mean.
//!
//! An option is set with SetSessionOptions, or for one call with a header `jetway-<option>`. Values are texts here; numbers
//! and booleans of the protocol become texts first.

use std::str::FromStr;
use std::time::Duration;

use arrow::array::timezone::Tz;
use jetway_planner::{CATALOG, SessionOptions, TableName};

use crate::wire::{Compression, Preset, ProfileChoice};

/// Longest value of an option, in bytes, so that a session fits into a cookie.
const MAX_VALUE: usize = 200;
/// Most endpoints that a client may ask for.
const MAX_ENDPOINTS: u32 = 256;

/// What a client chose. Whatever is absent has the node's own value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The account in which names without one are looked up.
    pub(crate) schema: Option<String>,
    /// The time zone of `now()`, `current_date` and of texts that become times.
    pub(crate) time_zone: Option<String>,
    /// The point in their past at which datasets are read.
    pub(crate) as_of: Option<String>,
    /// How rows look on the wire.
    pub(crate) profile: ProfileChoice,
    /// Into how many endpoints a result is divided at most.
    pub(crate) endpoints: Option<Endpoints>,
    /// Whether results are kept by the node until they are fetched.
    pub(crate) spool: Option<bool>,
    /// How long a statement may run. Zero means as long as the node allows.
    pub(crate) statement_timeout: Option<Duration>,
}

/// Into how many endpoints an answer is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoints {
    /// As many as suit this node, also when the answer is small.
    Auto,
    /// About so many.
    Count(u32),
}

impl Endpoints {
    fn name(self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Count(number) => number.to_string(),
        }
    }
}

/// Why an option was not set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such option.
    Name,
    /// It does not take this value; says which ones it takes.
    Value(&'static str),
}

/// Names of all options, in the order in which they are listed.
pub(crate) const NAMES: [&str; 14] = [
    "catalog",
    "schema",
    "time_zone",
    "as_of",
    "profile",
    "string_views",
    "dictionaries",
    "compression",
    "unsigned",
    "exotic",
    "zones",
    "endpoints",
    "spool",
    "statement_timeout",
];

impl Options {
    /// Sets an option, or unsets it when there is no value.
    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Result<(), Refusal> {
        let value = value.map(str::trim);
        if value.is_some_and(|value| value.len() > MAX_VALUE) {
            return Err(Refusal::Value("of at most 200 characters"));
        }
        let profile = &mut self.profile;
        match name {
            "catalog" => match value {
                Some(catalog) if !catalog.eq_ignore_ascii_case(CATALOG) => Err(Refusal::Value("jetway")),
                _ => Ok(()),
            },
            "schema" => put(&mut self.schema, value.filter(|value| !value.is_empty()), schema),
            "time_zone" => put(&mut self.time_zone, value, time_zone),
            "as_of" => put(&mut self.as_of, value.filter(|value| !value.is_empty()), as_of),
            "profile" => put(&mut profile.preset, value, |value| match value {
                "plain" => Ok(Preset::Plain),
                "jdbc" => Ok(Preset::Jdbc),
                "rich" => Ok(Preset::Rich),
                _ => Err("plain, jdbc or rich"),
            }),
            "string_views" => put(&mut profile.string_views, value, |value| {
                choice(value, "keep", "expand", "expand or keep")
            }),
            "dictionaries" => put(&mut profile.dictionaries, value, |value| {
                choice(value, "keep", "hydrate", "hydrate or keep")
            }),
            "compression" => put(&mut profile.compression, value, |value| match value {
                "" | "none" => Ok(None),
                "lz4" => Ok(Some(Compression::Lz4)),
                "zstd" => Ok(Some(Compression::Zstd)),
                _ => Err("none, lz4 or zstd"),
            }),
            "unsigned" => put(&mut profile.unsigned, value, |value| {
                choice(value, "keep", "widen", "keep or widen")
            }),
            "exotic" => put(&mut profile.exotic, value, |value| {
                choice(value, "keep", "cast", "cast or keep")
            }),
            "zones" => put(&mut profile.zones, value, |value| {
                choice(value, "keep", "utc", "keep or utc")
            }),
            "endpoints" => put(&mut self.endpoints, value, |value| {
                if value == "auto" {
                    return Ok(Endpoints::Auto);
                }
                let number = value.parse().ok().filter(|number| (1..=MAX_ENDPOINTS).contains(number));
                number.map(Endpoints::Count).ok_or("auto or a number from 1 to 256")
            }),
            "spool" => put(
                &mut self.spool,
                value.filter(|value| *value != "auto"),
                |value| match value {
                    "on" | "true" | "always" => Ok(true),
                    "off" | "false" | "never" => Ok(false),
                    _ => Err("auto, on (always) or off (never)"),
                },
            ),
            "statement_timeout" => put(&mut self.statement_timeout, value, duration),
            _ => Err(Refusal::Name),
        }
    }

    /// All options that are set, with their values as texts that [`Self::set`] takes.
    pub(crate) fn entries(&self) -> Vec<(&'static str, String)> {
        let profile = &self.profile;
        let kept =
            |value: Option<bool>, otherwise: &str| value.map(|kept| (if kept { "keep" } else { otherwise }).to_owned());
        let entries = [
            ("schema", self.schema.clone()),
            ("time_zone", self.time_zone.clone()),
            ("as_of", self.as_of.clone()),
            ("profile", profile.preset.map(|preset| preset.name().to_owned())),
            ("string_views", kept(profile.string_views, "expand")),
            ("dictionaries", kept(profile.dictionaries, "hydrate")),
            (
                "compression",
                profile.compression.map(|kind| Compression::name(kind).to_owned()),
            ),
            ("unsigned", kept(profile.unsigned, "widen")),
            ("exotic", kept(profile.exotic, "cast")),
            ("zones", kept(profile.zones, "utc")),
            ("endpoints", self.endpoints.map(Endpoints::name)),
            ("spool", self.spool.map(|on| (if on { "on" } else { "off" }).to_owned())),
            (
                "statement_timeout",
                self.statement_timeout.map(|time| format!("{}ms", time.as_millis())),
            ),
        ];
        let entries = entries.into_iter();
        entries
            .filter_map(|(name, value)| value.map(|value| (name, value)))
            .collect()
    }

    /// What changes the meaning of statements.
    pub(crate) fn planning(&self) -> SessionOptions {
        SessionOptions {
            schema: self.schema.clone(),
            time_zone: self.time_zone.clone(),
            as_of: self.as_of.clone(),
        }
    }
}

fn put<T>(
    option: &mut Option<T>,
    value: Option<&str>,
    read: impl FnOnce(&str) -> Result<T, &'static str>,
) -> Result<(), Refusal> {
    *option = value.map(read).transpose().map_err(Refusal::Value)?;
    Ok(())
}

fn choice(value: &str, yes: &str, no: &str, allowed: &'static str) -> Result<bool, &'static str> {
    match value {
        _ if value == yes => Ok(true),
        _ if value == no => Ok(false),
        _ => Err(allowed),
    }
}

/// A schema is an account, or one of the schemas that describe the node.
fn schema(value: &str) -> Result<String, &'static str> {
    let described = ["information_schema", "system"].contains(&value);
    // A name of a table in it is legal exactly if the account's name is.
    if described || TableName::parse(None, Some(value), "table").is_ok() {
        Ok(value.to_owned())
    } else {
        Err("the name of an account")
    }
}

fn time_zone(value: &str) -> Result<String, &'static str> {
    match Tz::from_str(value) {
        Ok(_) => Ok(value.to_owned()),
        Err(_) => Err("a name of the time zone database, such as Europe/Berlin, or an offset, such as +02:00"),
    }
}

fn as_of(value: &str) -> Result<String, &'static str> {
    if SessionOptions::is_point(value) {
        Ok(value.to_owned())
    } else {
        Err("a system time, such as 2026-01-31T12:00:00Z, the hash of a block, or an offset")
    }
}

/// A number of seconds, or one with a unit.
fn duration(value: &str) -> Result<Duration, &'static str> {
    let wrong = "a number of seconds, or one with a unit: 500ms, 30s, 5m, 1h";
    let digits = value
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(value.len());
    let (number, unit) = value.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong)?;
    let millis = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        _ => return Err(wrong),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or(wrong)
}
