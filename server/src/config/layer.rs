//! One source of configuration: a file, the environment, or flags.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use figment::error::Kind;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

/// Variables with a name of their own, and the keys that they set. All others are `JETWAY_<AREA>__<KEY>`.
const NAMED_VARIABLES: [(&str, &[&str]); 3] = [
    ("JETWAY_DATA_DIR", &["data_dir"]),
    ("JETWAY_ADMIN_PASSWORD", &["accounts", "admin_password"]),
    ("JETWAY_LOG", &["telemetry", "log"]),
];

/// Keys and values from one source.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    name: String,
    values: Dict,
}

impl Layer {
    /// An empty layer of flags.
    #[must_use]
    pub fn flags() -> Self {
        Self {
            name: "the command line".to_owned(),
            values: Dict::new(),
        }
    }

    /// Sets a key if there is a value for it.
    #[must_use]
    pub fn with(mut self, path: &[&str], value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            set(&mut self.values, path, Value::from(value.to_string()));
        }
        self
    }

    /// The keys of a YAML file. A key without a value counts as not written.
    ///
    /// # Errors
    /// When it is no YAML mapping.
    pub fn yaml(path: &Path, text: &str) -> Result<Self> {
        let bad = || format!("the configuration file {} is not valid YAML", path.display());
        let parsed: serde_yaml_ng::Value = serde_yaml_ng::from_str(text).with_context(bad)?;
        let values = match Value::serialize(&parsed).with_context(bad)? {
            Value::Dict(_, values) => without_empty(values),
            Value::Empty(..) => Dict::new(),
            _ => {
                return Err(anyhow!(
                    "the configuration file {} must consist of keys and values",
                    path.display()
                ));
            }
        };
        Ok(Self {
            name: path.display().to_string(),
            values,
        })
    }

    /// The variables that configure a node. Those that only resemble them, such as the ones that Kubernetes makes for a
    /// service called "jetway", are left alone.
    #[must_use]
    pub fn environment(variables: impl Iterator<Item = (String, String)>) -> Self {
        let mut values = Dict::new();
        for (name, text) in variables {
            if let Some((_, path)) = NAMED_VARIABLES.iter().find(|(known, _)| *known == name) {
                set(&mut values, path, Value::from(text));
            } else if let Some(keys) = name.strip_prefix("JETWAY_").filter(|keys| keys.contains("__")) {
                let keys = keys.to_ascii_lowercase();
                set(&mut values, &keys.split("__").collect::<Vec<_>>(), Value::from(text));
            }
        }
        Self {
            name: "the environment (JETWAY_*)".to_owned(),
            values,
        }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Puts a value under nested keys.
fn set(values: &mut Dict, path: &[&str], value: Value) {
    match path {
        [] => {}
        [key] => {
            values.insert((*key).to_owned(), value);
        }
        [key, rest @ ..] => {
            let mut inner = match values.remove(*key) {
                Some(Value::Dict(_, inner)) => inner,
                _ => Dict::new(),
            };
            set(&mut inner, rest, value);
            values.insert((*key).to_owned(), Value::from(inner));
        }
    }
}

fn without_empty(values: Dict) -> Dict {
    let kept = values.into_iter().filter_map(|(key, value)| match value {
        Value::Empty(..) => None,
        Value::Dict(tag, inner) => Some((key, Value::Dict(tag, without_empty(inner)))),
        other => Some((key, other)),
    });
    kept.collect()
}

/// Names the key and the source, and says what to do.
pub(super) fn explain(error: &figment::Error) -> anyhow::Error {
    let source = error
        .metadata
        .as_ref()
        .map_or_else(|| "the configuration".to_owned(), |metadata| metadata.name.to_string());
    let path = error.path.join(".");
    match &error.kind {
        Kind::UnknownField(key, known) => {
            let area = path.strip_suffix(key.as_str()).unwrap_or(&path).trim_end_matches('.');
            let name = if area.is_empty() {
                key.clone()
            } else {
                format!("{area}.{key}")
            };
            anyhow!(
                "unknown key `{name}` in {source}; known here: {}; see `jetway config`",
                known.join(", ")
            )
        }
        // The value is not repeated: it may be a secret in the wrong place.
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            anyhow!("the value of `{path}` in {source} does not fit: expected {expected}; see `jetway config`")
        }
        kind => anyhow!("the value of `{path}` in {source} does not fit: {kind}; see `jetway config`"),
    }
}
