//! The rules, as functions of the state so far and the next event. They change nothing.

pub(super) mod data;
pub(super) mod link;
pub(super) mod schema;
pub(super) mod source;
pub(super) mod transform;

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::chain::apply::Strictness;
use crate::chain::rule::Rule;
use crate::chain::state::ChainState;
use crate::error::Result;
use crate::metadata::DatasetKind;

/// K1: the event belongs to datasets of `kind`.
fn check_kind(state: &ChainState, event: &str, kind: DatasetKind, strictness: Strictness) -> Result<()> {
    if state.kind == kind || strictness == Strictness::Read {
        return Ok(());
    }
    Err(Rule::K1.broken(format!(
        "{event} belongs to a dataset of kind {kind:?}, but this one is {:?}",
        state.kind
    )))
}

/// A value, or `none`.
fn shown(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

/// A moment as it stands in manifests, or `none`.
fn shown_time(value: Option<DateTime<Utc>>) -> String {
    shown(value.map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}
