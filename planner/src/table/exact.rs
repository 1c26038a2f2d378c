//! What is known exactly about all rows of a dataset without reading any: DataFusion answers COUNT, MIN and MAX from it.

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};

use crate::read_index::Pieces;
use crate::statistics::{Bound, ColumnStatistics as Known, FileStatistics, Kind, KnownStatistics};
use crate::summary::{DatasetSummary, SliceEntry};

/// How many rows there are, their offsets, and their event times if the footers of all slices were seen.
pub(super) fn of_all(summary: &DatasetSummary, pieces: &Pieces, known: &KnownStatistics) -> Statistics {
    let offsets = pieces.first_offset().zip(pieces.last_offset());
    let mut statistics = of_rows(summary, pieces.slices().rows(), pieces.bytes(), offsets);
    let vocabulary = summary.state.vocabulary();
    if let Ok(index) = summary.schema.index_of(&vocabulary.event_time)
        && let Some(column) = statistics.column_statistics.get_mut(index)
        && let Some(found) = column_of_all(pieces, known, &vocabulary.event_time)
    {
        *column = exact(found, summary.schema.field(index).data_type());
    }
    statistics
}

/// How many rows some files have, and the offsets of the first and the last one.
pub(super) fn of_rows(summary: &DatasetSummary, rows: u64, bytes: u64, offsets: Option<(u64, u64)>) -> Statistics {
    let schema: &SchemaRef = &summary.schema;
    let mut statistics = Statistics::new_unknown(schema);
    statistics.num_rows = usize::try_from(rows).map_or(Precision::Absent, Precision::Exact);
    statistics.total_byte_size = usize::try_from(bytes).map_or(Precision::Absent, Precision::Inexact);
    let index = schema.index_of(&summary.state.vocabulary().offset);
    if let (Ok(index), Some((first, last))) = (index, offsets)
        && let Some(column) = statistics.column_statistics.get_mut(index)
    {
        let value = |offset: u64| {
            let value = i64::try_from(offset)
                .ok()
                .map(|offset| ScalarValue::Int64(Some(offset)));
            let data_type = schema.field(index).data_type();
            value
                .and_then(|value| value.cast_to(data_type).ok())
                .map_or(Precision::Absent, Precision::Exact)
        };
        *column = ColumnStatistics {
            null_count: Precision::Exact(0),
            min_value: value(first),
            max_value: value(last),
            ..ColumnStatistics::new_unknown()
        };
    }
    statistics
}

/// What is known about a column of all slices together; none unless it is known of each.
fn column_of_all(pieces: &Pieces, known: &KnownStatistics, name: &str) -> Option<Known> {
    let slices = pieces.slices();
    let mut all: Option<Known> = None;
    let mut add = |file: &FileStatistics| {
        let found = file.column(name)?;
        match &mut all {
            Some(all) => all.merge(found),
            None => all = Some(found),
        }
        Some(())
    };
    for chunk in slices.chunks() {
        let hashes = || chunk.slices().iter().map(|slice| &slice.physical_hash);
        add(chunk.statistics(|| known.union(hashes()))?)?;
    }
    let hash = |slice: &SliceEntry| slice.physical_hash;
    let tail: Vec<_> = slices.tail().map(hash).collect();
    for file in known.get(&tail) {
        add(&file?)?;
    }
    all
}

pub(super) fn exact(known: Known, data_type: &DataType) -> ColumnStatistics {
    let mut column = ColumnStatistics::new_unknown();
    if Kind::of(data_type) != Some(known.kind) {
        return column;
    }
    let value = |bound: Option<Bound>| {
        let found = Known::array(&[bound], data_type)?;
        let value = ScalarValue::try_from_array(&found, 0).ok()?;
        (!value.is_null() || known.only_nulls).then_some(value)
    };
    let precise = |value: ScalarValue| match known.is_exact {
        true => Precision::Exact(value),
        false => Precision::Inexact(value),
    };
    column.min_value = value(known.min.clone()).map_or(Precision::Absent, precise);
    column.max_value = value(known.max.clone()).map_or(Precision::Absent, precise);
    if let Some(nulls) = known.nulls.and_then(|nulls| usize::try_from(nulls).ok()) {
        column.null_count = Precision::Exact(nulls);
    }
    column
}
