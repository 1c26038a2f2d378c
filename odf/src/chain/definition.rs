//! From the manifest of a dataset to the events of its first blocks.

use crate::chain::check::source::check_read;
use crate::chain::check::transform::check_normalized;
use crate::chain::rule::Rule;
use crate::error::{Error, Result};
use crate::metadata::{DatasetKind, MetadataEvent, SqlQueryStep, Transform};

/// Brings the events of a manifest into the form that they have in blocks, and checks that they may define a dataset
/// of this kind: the short form `query` of a transform becomes its only step, and an input without an alias gets the
/// text of its reference as one. Call it before references are resolved to DIDs, so that the alias is what the author
/// wrote.
///
/// Events keep their order. The rules that depend on earlier events are checked by
/// [`crate::chain::ChainState::create`].
///
/// # Errors
/// `InvalidEvent` with rule S9 for an event that cannot define a dataset, K1 for one that belongs to the other kind, T6
/// for a transform and S5 for a source that is not valid; with the `event` index.
pub fn normalize_definition(events: Vec<MetadataEvent>, kind: DatasetKind) -> Result<Vec<MetadataEvent>> {
    let normalized = events
        .into_iter()
        .enumerate()
        .map(|(index, event)| normalize_event(event, kind).map_err(|error| error.with_context("event", index)));
    normalized.collect()
}

fn normalize_event(mut event: MetadataEvent, kind: DatasetKind) -> Result<MetadataEvent> {
    match &mut event {
        MetadataEvent::Seed(_) => return Err(forbidden("Seed", "the node adds it")),
        MetadataEvent::AddData(_) => return Err(forbidden("AddData", "push the data once the dataset is there")),
        MetadataEvent::ExecuteTransform(_) => {
            return Err(forbidden(
                "ExecuteTransform",
                "run the transform once the dataset is there",
            ));
        }
        MetadataEvent::DisablePushSource(_) => return Err(forbidden("DisablePushSource", "leave the source out")),
        MetadataEvent::DisablePollingSource(_) => {
            return Err(forbidden("DisablePollingSource", "leave the source out"));
        }
        MetadataEvent::SetPollingSource(source) => {
            check_kind("SetPollingSource", DatasetKind::Root, kind)?;
            check_read(&source.read)?;
            source.preprocess.as_mut().map_or(Ok(()), normalize_transform)?;
        }
        MetadataEvent::AddPushSource(source) => {
            check_kind("AddPushSource", DatasetKind::Root, kind)?;
            check_read(&source.read)?;
            source.preprocess.as_mut().map_or(Ok(()), normalize_transform)?;
        }
        MetadataEvent::SetTransform(set) => {
            check_kind("SetTransform", DatasetKind::Derivative, kind)?;
            normalize_transform(&mut set.transform)?;
            for input in &mut set.inputs {
                input.alias.get_or_insert_with(|| input.dataset_ref.clone());
            }
        }
        MetadataEvent::SetVocab(_)
        | MetadataEvent::SetAttachments(_)
        | MetadataEvent::SetInfo(_)
        | MetadataEvent::SetLicense(_)
        | MetadataEvent::SetDataSchema(_) => {}
    }
    Ok(event)
}

fn normalize_transform(transform: &mut Transform) -> Result<()> {
    let Transform::Sql(sql) = transform;
    if let Some(query) = sql.query.take() {
        if sql.queries.is_some() {
            return Err(Rule::T6.broken("a transform must have either `query` or `queries`, but has both"));
        }
        sql.queries = Some(vec![SqlQueryStep { alias: None, query }]);
    }
    check_normalized(transform)
}

fn check_kind(event: &str, expected: DatasetKind, kind: DatasetKind) -> Result<()> {
    if expected == kind {
        return Ok(());
    }
    Err(Rule::K1.broken(format!(
        "{event} belongs to a dataset of kind {expected:?}, but this one is {kind:?}"
    )))
}

fn forbidden(event: &str, instead: &str) -> Error {
    Rule::S9.broken(format!("{event} cannot define a dataset: {instead}"))
}
