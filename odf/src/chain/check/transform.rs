//! Rules of SetTransform, ExecuteTransform, and of all SQL in a chain.

use std::collections::BTreeSet;

use crate::chain::apply::Strictness;
use crate::chain::check::data::{DataEvent, check_data};
use crate::chain::check::{check_kind, shown};
use crate::chain::rule::Rule;
use crate::chain::state::ChainState;
use crate::error::{Error, Result};
use crate::identity::DatasetId;
use crate::metadata::{DatasetKind, ExecuteTransform, ExecuteTransformInput, SetTransform, Transform};

/// All rules of SetTransform.
pub(in crate::chain) fn check_set(state: &ChainState, event: &SetTransform, strictness: Strictness) -> Result<()> {
    check_kind(state, "SetTransform", DatasetKind::Derivative, strictness)?;
    let ids = input_ids(event)?;
    check_normalized(&event.transform)?;

    // The reference compares the runs before and after such a change position by position, whatever the inputs are: a
    // chain that goes on would be a different one for every implementation.
    if let (Strictness::Append, Some(last)) = (strictness, &state.last_execute) {
        let consumed: Vec<_> = last.inputs.iter().map(|input| input.dataset_id).collect();
        if ids != consumed {
            return Err(Rule::T5.broken(format!(
                "the inputs of a transform that already ran cannot change from {} to {}; \
                 reset the dataset to before its first run, then set the transform",
                listed(&consumed),
                listed(&ids),
            )));
        }
    }
    Ok(())
}

/// All rules of ExecuteTransform.
pub(in crate::chain) fn check_execute(
    state: &ChainState,
    event: &ExecuteTransform,
    strictness: Strictness,
) -> Result<()> {
    check_kind(state, "ExecuteTransform", DatasetKind::Derivative, strictness)?;
    let Some(transform) = &state.transform else {
        return Err(Rule::T1
            .broken("ExecuteTransform needs a transform: a SetTransform must come before it, but there is none"));
    };
    let expected = input_ids(transform)?;
    let found: Vec<_> = event.query_inputs.iter().map(|input| input.dataset_id).collect();
    if expected != found {
        return Err(Rule::T2.broken(format!(
            "the inputs must be those of the transform, {}, but are {}",
            listed(&expected),
            listed(&found)
        )));
    }

    let last = state.last_execute.as_deref();
    for (index, input) in event.query_inputs.iter().enumerate() {
        match last
            .and_then(|last| last.inputs.get(index))
            .filter(|last| last.dataset_id == input.dataset_id)
        {
            Some(last) => check_continues(input, last)?,
            None if strictness == Strictness::Append => check_begins(input)?,
            None => {}
        }
        check_input(input)?;
    }

    let data = DataEvent::from(event);
    check_data(state, &data, last.and_then(|last| last.checkpoint.as_ref()), strictness)?;

    let keeps_watermark = event.new_watermark == last.and_then(|last| last.watermark);
    let keeps_inputs = event.query_inputs.iter().all(|input| input.new_block_hash.is_none());
    if data.new_data.is_none() && data.keeps_checkpoint() && keeps_watermark && keeps_inputs {
        return Err(Rule::T4.broken(
            "ExecuteTransform must change something, but has no data and no new block of any input, \
             and its checkpoint and watermark are those of the previous one",
        ));
    }
    Ok(())
}

/// T6: a transform in a block, of a dataset or of a source, is a list of steps of which all but the last are named.
pub(in crate::chain) fn check_normalized(transform: &Transform) -> Result<()> {
    let Transform::Sql(sql) = transform;
    if sql.query.is_some() {
        return Err(Rule::T6.broken("a transform in a block must have `queries`, but has the short form `query`"));
    }
    let Some((last, others)) = sql.queries.as_deref().and_then(<[_]>::split_last) else {
        return Err(Rule::T6.broken("a transform must have at least one query, but has none"));
    };
    if let Some(alias) = &last.alias {
        return Err(Rule::T6.broken(format!(
            "the last query is the output and must have no alias, but is called \"{alias}\""
        )));
    }
    if let Some(index) = others.iter().position(|step| step.alias.is_none()) {
        return Err(Rule::T6.broken(format!(
            "all queries but the last must have an alias, but number {} of {} has none",
            index + 1,
            others.len() + 1
        )));
    }
    Ok(())
}

/// The inputs of a transform, T5.
fn input_ids(event: &SetTransform) -> Result<Vec<DatasetId>> {
    if event.inputs.is_empty() {
        return Err(Rule::T5.broken("a transform must have at least one input, but has none"));
    }
    let mut ids: Vec<DatasetId> = Vec::with_capacity(event.inputs.len());
    let mut seen = BTreeSet::new();
    for input in &event.inputs {
        let unresolved = || {
            Rule::T5.broken(format!(
                "the inputs of a transform must be did:odf:... in a block, but one is \"{}\"",
                input.dataset_ref.escape_debug()
            ))
        };
        if !input.dataset_ref.starts_with("did:odf:") {
            return Err(unresolved());
        }
        let id = input
            .dataset_ref
            .parse()
            .map_err(|error: Error| unresolved().with_source(error))?;
        if input.alias.is_none() {
            return Err(Rule::T5.broken(format!(
                "the inputs of a transform must have an alias in a block, but {id} has none"
            )));
        }
        if !seen.insert(id) {
            return Err(Rule::T5.broken(format!(
                "the inputs of a transform must differ, but {id} is there twice"
            )));
        }
        ids.push(id);
    }
    Ok(ids)
}

/// T3 for an input that was there in the previous run.
fn check_continues(input: &ExecuteTransformInput, last: &ExecuteTransformInput) -> Result<()> {
    if input.prev_block_hash != last.last_block_hash() {
        return Err(Rule::T3.broken(format!(
            "input {} must continue after block {}, where the previous run stopped, but continues after {}",
            input.dataset_id,
            shown(last.last_block_hash()),
            shown(input.prev_block_hash),
        )));
    }
    if input.prev_offset != last.last_offset() {
        return Err(Rule::T3.broken(format!(
            "input {} must continue after offset {}, where the previous run stopped, but continues after {}",
            input.dataset_id,
            shown(last.last_offset()),
            shown(input.prev_offset),
        )));
    }
    Ok(())
}

/// T3 for an input that was not there in a previous run.
fn check_begins(input: &ExecuteTransformInput) -> Result<()> {
    if input.prev_block_hash.is_none() && input.prev_offset.is_none() {
        return Ok(());
    }
    Err(Rule::T3.broken(format!(
        "input {} was not read before and must have no previous block and offset, but has {} and {}",
        input.dataset_id,
        shown(input.prev_block_hash),
        shown(input.prev_offset),
    )))
}

/// T3 for an input by itself.
fn check_input(input: &ExecuteTransformInput) -> Result<()> {
    if let Some(hash) = input.new_block_hash.filter(|hash| Some(*hash) == input.prev_block_hash) {
        return Err(Rule::T3.broken(format!(
            "the new block of input {} must differ from the previous one or be absent, but both are {hash}",
            input.dataset_id
        )));
    }
    if let Some(offset) = input.new_offset.filter(|offset| Some(*offset) == input.prev_offset) {
        return Err(Rule::T3.broken(format!(
            "the new offset of input {} must differ from the previous one or be absent, but both are {offset}",
            input.dataset_id
        )));
    }
    if let (Some(offset), None) = (input.new_offset, input.new_block_hash) {
        return Err(Rule::T3.broken(format!(
            "input {} has a new offset, {offset}, and so must have a new block, but has none",
            input.dataset_id
        )));
    }
    Ok(())
}

fn listed(ids: &[DatasetId]) -> String {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    format!("[{}]", ids.join(", "))
}
