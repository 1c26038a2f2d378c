//! Rules of AddData and ExecuteTransform.

use chrono::{DateTime, Utc};

use crate::chain::apply::Strictness;
use crate::chain::check::{check_kind, shown, shown_time};
use crate::chain::rule::Rule;
use crate::chain::state::ChainState;
use crate::error::Result;
use crate::identity::Multihash;
use crate::metadata::{AddData, Checkpoint, DataSlice, DatasetKind, ExecuteTransform};

/// What AddData and ExecuteTransform have in common.
#[derive(Debug, Clone, Copy)]
pub(in crate::chain) struct DataEvent<'a> {
    name: &'static str,
    pub(in crate::chain) prev_offset: Option<u64>,
    pub(in crate::chain) new_data: Option<&'a DataSlice>,
    pub(in crate::chain) prev_checkpoint: Option<Multihash>,
    pub(in crate::chain) new_checkpoint: Option<&'a Checkpoint>,
    pub(in crate::chain) new_watermark: Option<DateTime<Utc>>,
    has_source_state: bool,
}

impl DataEvent<'_> {
    /// Whether the checkpoint after the event is the one before it.
    pub(super) fn keeps_checkpoint(&self) -> bool {
        self.new_checkpoint.map(|checkpoint| checkpoint.physical_hash) == self.prev_checkpoint
    }
}

impl<'a> From<&'a AddData> for DataEvent<'a> {
    fn from(event: &'a AddData) -> Self {
        Self {
            name: "AddData",
            prev_offset: event.prev_offset,
            new_data: event.new_data.as_ref(),
            prev_checkpoint: event.prev_checkpoint,
            new_checkpoint: event.new_checkpoint.as_ref(),
            new_watermark: event.new_watermark,
            has_source_state: event.new_source_state.is_some(),
        }
    }
}

impl<'a> From<&'a ExecuteTransform> for DataEvent<'a> {
    fn from(event: &'a ExecuteTransform) -> Self {
        Self {
            name: "ExecuteTransform",
            prev_offset: event.prev_offset,
            new_data: event.new_data.as_ref(),
            prev_checkpoint: event.prev_checkpoint,
            new_checkpoint: event.new_checkpoint.as_ref(),
            new_watermark: event.new_watermark,
            has_source_state: false,
        }
    }
}

/// All rules of AddData.
pub(in crate::chain) fn check_add(state: &ChainState, event: &AddData, strictness: Strictness) -> Result<()> {
    check_kind(state, "AddData", DatasetKind::Root, strictness)?;
    let last = state.last_add.as_deref();
    let data = DataEvent::from(event);
    check_data(state, &data, last.and_then(|last| last.checkpoint.as_ref()), strictness)?;

    let keeps_watermark = event.new_watermark == last.and_then(|last| last.watermark);
    let keeps_source_state = event.new_source_state.as_ref() == last.and_then(|last| last.source_state.as_ref());
    if data.new_data.is_none() && data.keeps_checkpoint() && keeps_watermark && keeps_source_state {
        return Err(Rule::D7.broken(
            "AddData must change something, but has no data, \
             and its checkpoint, watermark and source state are those of the previous one",
        ));
    }
    Ok(())
}

/// The rules that AddData and ExecuteTransform share, D1 to D6. `last_checkpoint` is that of the last event of the
/// same type.
pub(super) fn check_data(
    state: &ChainState,
    event: &DataEvent<'_>,
    last_checkpoint: Option<&Checkpoint>,
    strictness: Strictness,
) -> Result<()> {
    check_not_empty(event)?;
    check_offsets(state, event, strictness)?;
    check_watermark(state, event)?;
    if event.new_data.is_some() && state.schema.is_none() {
        return Err(Rule::D5.broken("data needs a schema: a SetDataSchema must come before it, but there is none"));
    }
    let expected = last_checkpoint.map(|checkpoint| checkpoint.physical_hash);
    if event.prev_checkpoint != expected {
        return Err(Rule::D6.broken(format!(
            "the previous checkpoint must be that of the previous {}, {}, but is {}",
            event.name,
            shown(expected),
            shown(event.prev_checkpoint),
        )));
    }
    Ok(())
}

fn check_not_empty(event: &DataEvent<'_>) -> Result<()> {
    if event.new_data.is_some()
        || event.new_checkpoint.is_some()
        || event.new_watermark.is_some()
        || event.has_source_state
    {
        return Ok(());
    }
    let or_source_state = if event.name == "AddData" {
        ", a source state"
    } else {
        ""
    };
    Err(Rule::D4.broken(format!(
        "{} must have new data, a new checkpoint{or_source_state} or a watermark, but has none of them",
        event.name
    )))
}

fn check_offsets(state: &ChainState, event: &DataEvent<'_>, strictness: Strictness) -> Result<()> {
    let is_first = state.last_data_at.is_none();
    let may_start_anywhere = is_first && strictness == Strictness::Read;
    if event.prev_offset != state.last_offset && !may_start_anywhere {
        return Err(Rule::D2.broken(format!(
            "the previous offset must be that of the last data block, {}, but is {}",
            shown(state.last_offset),
            shown(event.prev_offset),
        )));
    }
    let Some(slice) = event.new_data else { return Ok(()) };
    let interval = slice.offset_interval;
    let expected = match event.prev_offset {
        Some(offset) => offset.checked_add(1),
        None => Some(0),
    };
    if expected != Some(interval.start) {
        return Err(Rule::D1.broken(format!(
            "the slice must start right after the last offset, at {}, but starts at {}",
            shown(expected),
            interval.start
        )));
    }
    if interval.end < interval.start {
        return Err(Rule::D1.broken(format!(
            "the slice must end at {} or later, but ends at {}",
            interval.start, interval.end
        )));
    }
    Ok(())
}

fn check_watermark(state: &ChainState, event: &DataEvent<'_>) -> Result<()> {
    // None is less than any moment, so this also says that a watermark cannot be dropped.
    if event.new_watermark >= state.watermark {
        return Ok(());
    }
    Err(Rule::D3.broken(format!(
        "the watermark must be carried on or grow from {}, but is {}",
        shown_time(state.watermark),
        shown_time(event.new_watermark),
    )))
}
