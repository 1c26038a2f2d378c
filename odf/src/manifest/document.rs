//! Documents of a YAML text, and where things stand in them.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, Serialize};
use serde_yaml_ng::Value;

use crate::error::{Error, Result};
use crate::manifest::blame::{self, Blame};

/// Longest text that is read, in bytes. A block has at most half of that.
const MAX_TEXT: usize = 16 << 20;

/// How many brackets may be open. The parser's time for each word grows with them, and it takes no more than 128 anyway;
/// the rest is for brackets within texts.
const MAX_OPEN: usize = 512;

/// One document that is not empty.
#[derive(Debug)]
pub(super) struct Document<'a> {
    text: &'a str,
    /// From 0, empty ones included.
    index: usize,
    tree: Value,
}

/// One step from a value to what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Item(usize),
}

/// Where to point: at a value, or at a key of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: Vec<Step>,
    pub(super) key: Option<String>,
}

/// Reads all documents that are not empty.
pub(super) fn read(text: &str) -> Result<Vec<Document<'_>>> {
    if text.len() > MAX_TEXT {
        return Err(Error::unsupported("the text is too long for manifests; split it")
            .with_context("size", text.len())
            .with_context("limit", MAX_TEXT));
    }
    check_brackets(text)?;
    let mut documents = Vec::new();
    for (index, deserializer) in serde_yaml_ng::Deserializer::from_str(text).enumerate() {
        let tree = Value::deserialize(deserializer).map_err(|error| syntax_error(index, error))?;
        if tree.is_null() {
            continue;
        }
        let document = Document { text, index, tree };
        if let Some((place, message)) = blame::unknown_to_json(&document.tree) {
            return Err(document.locate(&place, Error::malformed(message)));
        }
        documents.push(document);
    }
    Ok(documents)
}

impl Document<'_> {
    pub(super) fn tree(&self) -> &Value {
        &self.tree
    }

    /// Reads the value under `path`, which is there.
    pub(super) fn parse<T: DeserializeOwned + Serialize>(&self, path: &[&str]) -> Result<T> {
        let place = Place::of(path);
        let value = place.path.iter().try_fold(&self.tree, |value, step| step.follow(value));
        blame::parse(value.unwrap_or(&Value::Null)).map_err(|Blame { place: below, message }| {
            let place = Place {
                path: place.path.into_iter().chain(below.path).collect(),
                key: below.key,
            };
            self.locate(&place, Error::malformed(message))
        })
    }

    /// Adds to an error that it is about the value under `path`.
    pub(super) fn at(&self, path: &[&str], error: Error) -> Error {
        self.locate(&Place::of(path), error)
    }

    /// Adds to an error that it is about an item of the list under `path`.
    pub(super) fn at_item(&self, path: &[&str], index: usize, error: Error) -> Error {
        let mut place = Place::of(path);
        place.path.push(Step::Item(index));
        self.locate(&place, error)
    }

    fn locate(&self, place: &Place, error: Error) -> Error {
        let mut error = error.with_context("document", self.index + 1);
        if let Some((line, column)) = self.position(place) {
            error = error.with_context("line", line).with_context("column", column);
        }
        let path = place.to_string();
        if path.is_empty() {
            error
        } else {
            error.with_context("path", path)
        }
    }

    /// Line and column of a place, both from 1. The parser tells where it is only when it fails, so it is made to fail there.
    fn position(&self, place: &Place) -> Option<(usize, usize)> {
        let deserializer = serde_yaml_ng::Deserializer::from_str(self.text).nth(self.index)?;
        let seek = Seek {
            steps: &place.path,
            key: place.key.as_deref(),
        };
        let location = seek.deserialize(deserializer).err()?.location()?;
        Some((location.line(), location.column()))
    }
}

fn check_brackets(text: &str) -> Result<()> {
    let mut open = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if open > MAX_OPEN {
            let message = "too many brackets are open; use indentation in place of some";
            return Err(Error::unsupported(message).with_context("limit", MAX_OPEN));
        }
    }
    Ok(())
}

fn syntax_error(index: usize, error: serde_yaml_ng::Error) -> Error {
    let located = Error::malformed("the text is not YAML").with_context("document", index + 1);
    let located = match error.location() {
        Some(location) => located
            .with_context("line", location.line())
            .with_context("column", location.column()),
        None => located,
    };
    located.with_source(error)
}

impl Place {
    fn of(path: &[&str]) -> Self {
        Self {
            path: path.iter().map(|key| Step::Key((*key).to_owned())).collect(),
            key: None,
        }
    }
}

impl Step {
    pub(super) fn follow<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Key(key) => value.get(key.as_str()),
            Self::Item(index) => value.get(*index),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for step in &self.path {
            match step {
                Step::Key(key) => write!(f, "{separator}{key}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
            separator = ".";
        }
        match &self.key {
            Some(key) => write!(f, "{separator}{key}"),
            None => Ok(()),
        }
    }
}

/// Goes to a place and fails there.
#[derive(Debug, Clone, Copy)]
struct Seek<'p> {
    steps: &'p [Step],
    key: Option<&'p str>,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.steps.is_empty() && self.key.is_none() {
            deserializer.deserialize_any(Here)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the place")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (wanted, rest) = match self.steps.split_first() {
            Some((Step::Key(key), rest)) => (Some(key), rest),
            Some((Step::Item(_), rest)) => (None, rest),
            None => (None, self.steps),
        };
        let stop = if self.steps.is_empty() { self.key } else { None };
        while let Some(key) = map.next_key_seed(Key { stop })? {
            if wanted == Some(&key) {
                map.next_value_seed(Seek {
                    steps: rest,
                    key: self.key,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((Step::Item(wanted), rest)) = self.steps.split_first() else {
            return Err(A::Error::custom("the place"));
        };
        for _ in 0..*wanted {
            seq.next_element::<IgnoredAny>()?;
        }
        seq.next_element_seed(Seek {
            steps: rest,
            key: self.key,
        })?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// A key of a map; fails at the one to stop at.
struct Key<'p> {
    stop: Option<&'p str>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        if Some(key) == self.stop {
            return Err(E::custom("the place"));
        }
        Ok(key.to_owned())
    }
}

/// Expects nothing, so that it fails at whatever is there.
struct Here;

impl Visitor<'_> for Here {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}
