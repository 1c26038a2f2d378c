//! Which blocks of a history stay, and what events are merged.

use chrono::{DateTime, Utc};
use jetway_odf::codec::EncodedBlock;
use jetway_odf::identity::Multihash;
use jetway_odf::metadata::{AddData, ExtraAttributes, MetadataEvent};
use jetway_odf::storage::DatasetStorage;
use serde_json::Value;

use crate::rewrite::Rewrite;
use crate::{Error, ErrorKind, Result};

/// An attribute with counts.
const LINKED_OBJECTS: &str = "opendatafabric.org/linkedObjects";

/// Of a list, such as that of idempotency keys, the newest so many are kept: a block must not grow without limit.
const MAX_ITEMS: usize = 4096;

/// One or several blocks of the old history that become one of the new.
#[derive(Debug)]
pub(super) enum Step {
    /// The event stays as it is; the block too, if the one before it does.
    Keep(Box<EncodedBlock>),
    /// Events that add rows, with their system times, become one.
    Merge {
        rows: Vec<(AddData, DateTime<Utc>)>,
        /// That of the last of them.
        system_time: DateTime<Utc>,
    },
}

/// What is to be done with the blocks up to `head`, oldest first.
pub(super) async fn plan(storage: &DatasetStorage, head: Multihash, rewrite: Rewrite) -> Result<Vec<Step>> {
    let mut planner = StepPlanner {
        rewrite,
        steps: Vec::new(),
        group: Vec::new(),
        bytes: 0,
        rows: 0,
    };
    jetway_odf::chain::load(storage, head, |block| planner.add(block)).await?;
    planner.end_group();
    Ok(planner.steps)
}

struct StepPlanner {
    rewrite: Rewrite,
    steps: Vec<Step>,
    /// Neighbors that add rows.
    group: Vec<EncodedBlock>,
    bytes: u64,
    rows: u64,
}

impl StepPlanner {
    fn add(&mut self, block: &EncodedBlock) {
        let (max_bytes, max_rows) = match (self.rewrite, &block.block.event) {
            (Rewrite::MetadataOnly, MetadataEvent::AddData(_) | MetadataEvent::ExecuteTransform(_)) => return,
            (Rewrite::Slices { max_bytes, max_rows }, MetadataEvent::AddData(_)) => (max_bytes, max_rows),
            _ => {
                self.end_group();
                self.steps.push(Step::Keep(Box::new(block.clone())));
                return;
            }
        };
        let (bytes, rows) = size_of(block);
        let is_full = self.bytes.saturating_add(bytes) > max_bytes || self.rows.saturating_add(rows) > max_rows;
        if is_full {
            self.end_group();
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.rows = self.rows.saturating_add(rows);
        self.group.push(block.clone());
    }

    fn end_group(&mut self) {
        let slices = self.group.iter().filter(|block| size_of(block).1 > 0).count();
        let group = std::mem::take(&mut self.group);
        (self.bytes, self.rows) = (0, 0);
        match group.last().map(|block| block.block.system_time) {
            Some(system_time) if slices > 1 => {
                let rows = group.into_iter().filter_map(|block| match block.block.event {
                    MetadataEvent::AddData(event) => Some((event, block.block.system_time)),
                    _ => None,
                });
                self.steps.push(Step::Merge {
                    rows: rows.collect(),
                    system_time,
                });
            }
            // Without slices to merge there is no reason to touch the blocks.
            _ => self
                .steps
                .extend(group.into_iter().map(|block| Step::Keep(Box::new(block)))),
        }
    }
}

/// Bytes and rows of the slice that a block adds.
fn size_of(block: &EncodedBlock) -> (u64, u64) {
    match &block.block.event {
        MetadataEvent::AddData(AddData {
            new_data: Some(slice), ..
        }) => {
            let interval = slice.offset_interval;
            (
                slice.size,
                interval.end.saturating_sub(interval.start).saturating_add(1),
            )
        }
        _ => (0, 0),
    }
}

/// One event that leaves the dataset as several do. Its slice is the first of theirs and has to be replaced.
pub(super) fn merge(events: impl Iterator<Item = AddData>) -> Result<AddData> {
    let merged = events.reduce(|first, next| AddData {
        prev_checkpoint: first.prev_checkpoint,
        prev_offset: first.prev_offset,
        new_data: first.new_data.or(next.new_data),
        new_checkpoint: next.new_checkpoint,
        new_watermark: next.new_watermark,
        new_source_state: next.new_source_state,
        extra: merge_attributes(first.extra, next.extra),
    });
    merged.ok_or_else(|| Error::new(ErrorKind::Internal, "there are no events to merge"))
}

fn merge_attributes(first: Option<ExtraAttributes>, next: Option<ExtraAttributes>) -> Option<ExtraAttributes> {
    let (Some(mut first), Some(next)) = (first.clone(), next.clone()) else {
        return first.or(next);
    };
    for (name, value) in next.0 {
        let is_count = name == LINKED_OBJECTS;
        let merged = match first.0.remove(&name) {
            Some(earlier) => merge_values(earlier, value, is_count),
            None => value,
        };
        first.0.insert(name, merged);
    }
    Some(first)
}

/// Lists grow, counts add up; of everything else the later value counts.
fn merge_values(first: Value, next: Value, is_count: bool) -> Value {
    match (first, next) {
        (Value::Array(mut first), Value::Array(next)) => {
            first.extend(next);
            first.drain(..first.len().saturating_sub(MAX_ITEMS));
            Value::Array(first)
        }
        (Value::Object(mut first), Value::Object(next)) => {
            for (name, value) in next {
                let merged = match first.remove(&name) {
                    Some(earlier) => merge_values(earlier, value, is_count),
                    None => value,
                };
                first.insert(name, merged);
            }
            Value::Object(first)
        }
        (Value::Number(first), Value::Number(next)) if is_count => {
            let sum = first.as_u64().zip(next.as_u64());
            sum.map_or(Value::Number(next), |(first, next)| {
                Value::from(first.saturating_add(next))
            })
        }
        (_, next) => next,
    }
}

#[cfg(test)]
mod tests;
