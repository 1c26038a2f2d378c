//! Reading a value strictly, and finding what in it is at fault.
//!
//! The kind of a union may stand after its other properties, so unions are read into memory first, and whatever fails
//! then no longer knows where it stood. It is found by poison: a property that no type has is put into a map after each
//! of its entries in turn (and an odd number into a list). As long as all entries before the poison are right, the poison
//! is what is complained about; the entry after which it no longer is holds the fault. The same goes on within it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_yaml_ng::{Mapping, Number, Value};

use crate::manifest::document::{Place, Step};

/// A property that no type has.
const POISON_KEY: &str = "\u{1}";

/// A number that nobody writes, as the item of a list.
const POISON_ITEM: f64 = -3.078_125e-271;

const KIND: &str = "kind";

/// What is wrong, and where below the value that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Blame {
    pub(super) place: Place,
    pub(super) message: String,
}

/// Reads a value and checks that nothing of it was overlooked.
pub(super) fn parse<T: DeserializeOwned + Serialize>(value: &Value) -> Result<T, Blame> {
    let parsed: T = serde_yaml_ng::from_value(value.clone()).map_err(|error| find::<T>(value, &error.to_string()))?;
    let read = serde_yaml_ng::to_value(&parsed).map_err(|error| Blame {
        place: Place::default(),
        message: error.to_string(),
    })?;
    check_taken(value, &read, &mut Vec::new()).map(|()| parsed)
}

/// What YAML can say but manifests cannot: keys that are not text, and tags.
pub(super) fn unknown_to_json(tree: &Value) -> Option<(Place, String)> {
    fn walk(value: &Value, path: &mut Vec<Step>) -> Option<String> {
        let mut below = |step: Step, value: &Value| {
            path.push(step);
            let found = walk(value, path);
            if found.is_none() {
                path.pop();
            }
            found
        };
        match value {
            Value::Mapping(entries) => entries.iter().find_map(|(key, value)| match key.as_str() {
                Some(key) => below(Step::Key(key.to_owned()), value),
                None => Some("names of properties must be text; put them in quotes".to_owned()),
            }),
            Value::Sequence(items) => {
                let mut items = items.iter().enumerate();
                items.find_map(|(index, item)| below(Step::Item(index), item))
            }
            Value::Tagged(tagged) => Some(format!(
                "YAML tags such as {} have no meaning here; leave it out",
                tagged.tag
            )),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }
    let mut path = Vec::new();
    let message = walk(tree, &mut path)?;
    Some((Place { path, key: None }, message))
}

/// Some variants have no properties and do not look at what is there, and lists are taken for objects: so what was read
/// must have all that was given.
fn check_taken(given: &Value, read: &Value, path: &mut Vec<Step>) -> Result<(), Blame> {
    match (given, read) {
        (Value::Mapping(given), Value::Mapping(read)) => {
            for (key, value) in given.iter().filter_map(|(key, value)| Some((key.as_str()?, value))) {
                match read.get(key) {
                    Some(read) => {
                        path.push(Step::Key(key.to_owned()));
                        check_taken(value, read, path)?;
                        path.pop();
                    }
                    None if value.is_null() => {}
                    None => {
                        return Err(Blame {
                            place: Place {
                                path: path.clone(),
                                key: Some(key.to_owned()),
                            },
                            message: format!("unknown property `{key}`; there are none beside `{KIND}`"),
                        });
                    }
                }
            }
            Ok(())
        }
        (Value::Sequence(given), Value::Sequence(read)) => {
            for (index, (given, read)) in given.iter().zip(read).enumerate() {
                path.push(Step::Item(index));
                check_taken(given, read, path)?;
                path.pop();
            }
            Ok(())
        }
        (Value::Sequence(_), Value::Mapping(_)) => Err(Blame {
            place: Place {
                path: path.clone(),
                key: None,
            },
            message: "a list stands where an object with named properties is expected".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Finds what made `root` fail with `message`.
fn find<T: DeserializeOwned>(root: &Value, message: &str) -> Blame {
    let mut path = Vec::new();
    let mut key = None;
    while let Some(node) = path.iter().try_fold(root, |value, step: &Step| step.follow(value)) {
        let length = match node {
            Value::Mapping(entries) => entries.len(),
            Value::Sequence(items) => items.len(),
            _ => break,
        };
        let still_fails = |position: usize| {
            let mut poisoned = root.clone();
            poison(&mut poisoned, &path, position);
            failure::<T>(poisoned).as_deref() == Some(message)
        };
        if still_fails(0) {
            // Its kind, or that it is a list or an object at all.
            let has_kind = node.get(KIND).is_some() && message.starts_with("unknown variant");
            path.extend(has_kind.then(|| Step::Key(KIND.to_owned())));
            break;
        }
        if !still_fails(length) {
            // All that is there is right; something is missing.
            break;
        }
        let (mut right, mut wrong) = (0, length);
        while wrong - right > 1 {
            let middle = usize::midpoint(right, wrong);
            if still_fails(middle) {
                wrong = middle
            } else {
                right = middle
            }
        }
        match node {
            Value::Mapping(entries) => {
                let name = entries
                    .keys()
                    .nth(right)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned();
                if quoted(message, "unknown field ") == Some(name.as_str()) {
                    key = Some(name);
                    break;
                }
                path.push(Step::Key(name));
            }
            _ => path.push(Step::Item(right)),
        }
    }
    let message = explain::<T>(root, &path, message);
    Blame {
        place: Place { path, key },
        message,
    }
}

fn failure<T: DeserializeOwned>(value: Value) -> Option<String> {
    serde_yaml_ng::from_value::<T>(value)
        .err()
        .map(|error| error.to_string())
}

/// Puts poison into the map or list under `path`, after so many of its entries.
fn poison(root: &mut Value, path: &[Step], position: usize) {
    match node_mut(root, path) {
        Some(Value::Mapping(entries)) => {
            let mut poisoned: Mapping = entries
                .iter()
                .take(position)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            poisoned.insert(POISON_KEY.into(), Value::Null);
            poisoned.extend(entries.iter().skip(position).map(|(k, v)| (k.clone(), v.clone())));
            *entries = poisoned;
        }
        Some(Value::Sequence(items)) => {
            items.insert(position.min(items.len()), Value::Number(Number::from(POISON_ITEM)));
        }
        _ => {}
    }
}

fn node_mut<'v>(root: &'v mut Value, path: &[Step]) -> Option<&'v mut Value> {
    path.iter().try_fold(root, |value, step| match step {
        Step::Key(key) => value.get_mut(key.as_str()),
        Step::Item(index) => value.get_mut(*index),
    })
}

/// The message in the words of manifests, with what is allowed.
fn explain<T: DeserializeOwned>(root: &Value, path: &[Step], message: &str) -> String {
    let mut in_schema = path.windows(2);
    let hint = if in_schema.any(|steps| matches!(steps, [Step::Key(key), Step::Item(_)] if key == "schema")) {
        "; columns written as SQL belong into `ddlSchema`"
    } else {
        ""
    };
    if let Some(name) = quoted(message, "unknown field ") {
        return match allowed(message) {
            Some(allowed) => format!("unknown property `{name}`; allowed: {allowed}"),
            None => format!("unknown property `{name}`; there are none here"),
        };
    }
    if let Some(name) = quoted(message, "unknown variant ") {
        let noun = if path.last() == Some(&Step::Key(KIND.to_owned())) {
            "kind"
        } else {
            "value"
        };
        return format!(
            "unknown {noun} `{name}`; allowed: {}",
            allowed(message).unwrap_or_default()
        );
    }
    match quoted(message, "missing field ") {
        Some(KIND) => match kinds::<T>(root, path) {
            Some(allowed) => format!("the property `{KIND}` is missing; allowed: {allowed}"),
            None => format!("the property `{KIND}` is missing"),
        },
        Some(name) => format!("the property `{name}` is missing"),
        None => format!("{message}{hint}"),
    }
}

/// The kinds that the object under `path` may have: those that are named when it has one that nothing has.
fn kinds<T: DeserializeOwned>(root: &Value, path: &[Step]) -> Option<String> {
    let mut root = root.clone();
    if let Some(Value::Mapping(entries)) = node_mut(&mut root, path) {
        entries.insert(KIND.into(), POISON_KEY.into());
    }
    failure::<T>(root).as_deref().and_then(allowed)
}

/// What stands in backquotes after `before` at the start of a message.
fn quoted<'m>(message: &'m str, before: &str) -> Option<&'m str> {
    message.strip_prefix(before)?.strip_prefix('`')?.split('`').next()
}

/// The names that a message says were expected. Of the spellings of a kind it takes the canonical one.
fn allowed(message: &str) -> Option<String> {
    let (_, expected) = message.rsplit_once(", expected ")?;
    let names: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let is_canonical = |name: &&str| name.starts_with(|first: char| first.is_ascii_uppercase());
    let canonical: Vec<&str> = names.iter().copied().filter(is_canonical).collect();
    let names = if canonical.is_empty() { names } else { canonical };
    (!names.is_empty()).then(|| names.join(", "))
}
