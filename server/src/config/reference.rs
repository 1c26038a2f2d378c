//! The reference of all options, as a configuration file with comments.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Accounts, Azure, Config, Flight, Gcs, Http, Node, Query, S3, Shutdown, Storage, Telemetry, Tls};

type Fields = &'static [(&'static str, &'static [&'static str])];

/// Every area: its key, what it is about, and its fields.
const AREAS: [(&str, &[&str], Fields); 12] = [
    ("http", Http::ABOUT, Http::FIELDS),
    ("flight", Flight::ABOUT, Flight::FIELDS),
    ("tls", Tls::ABOUT, Tls::FIELDS),
    ("storage", Storage::ABOUT, Storage::FIELDS),
    ("s3", S3::ABOUT, S3::FIELDS),
    ("azure", Azure::ABOUT, Azure::FIELDS),
    ("gcs", Gcs::ABOUT, Gcs::FIELDS),
    ("accounts", Accounts::ABOUT, Accounts::FIELDS),
    ("node", Node::ABOUT, Node::FIELDS),
    ("query", Query::ABOUT, Query::FIELDS),
    ("telemetry", Telemetry::ABOUT, Telemetry::FIELDS),
    ("shutdown", Shutdown::ABOUT, Shutdown::FIELDS),
];

/// All options with their defaults and meanings, as YAML that can be used as a configuration file.
///
/// # Errors
/// When the defaults cannot be encoded.
pub fn reference() -> Result<String> {
    let defaults = serde_json::to_value(Config::default())?;
    let mut text = String::from(
        "# Configuration of a Jetway node: all options with their defaults. A key without a value is not set.\n\
         #\n\
         # Each of these goes over the one before:\n\
         #   1. this file, given by --config or JETWAY_CONFIG\n\
         #   2. the environment: JETWAY_<AREA>__<KEY>, such as JETWAY_HTTP__ADDRESS=0.0.0.0:8080\n\
         #   3. flags, such as --http-address\n\
         \n\
         # Folder of the node's own state: accounts, tokens, the node key, and datasets unless they are elsewhere.\n\
         # Also JETWAY_DATA_DIR and --data-dir.\n",
    );
    writeln!(text, "data_dir: {}", value(defaults.get("data_dir")))?;
    for (area, about, fields) in AREAS {
        text.push('\n');
        for line in about {
            writeln!(text, "#{line}")?;
        }
        writeln!(text, "{area}:")?;
        for (field, meaning) in fields {
            for line in *meaning {
                writeln!(text, "  #{line}")?;
            }
            let default = defaults.get(area).and_then(|area| area.get(field));
            writeln!(text, "  {}", format!("{field}: {}", value(default)).trim_end())?;
        }
    }
    Ok(text)
}

/// A default as YAML. JSON texts are YAML too; plain words need no quotes.
fn value(default: Option<&serde_json::Value>) -> String {
    match default {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) if is_plain(text) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn is_plain(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/'))
        && !matches!(text, "true" | "false" | "null" | "yes" | "no" | "on" | "off")
}
