//! What the optimizer estimates with: about which values the columns of a scan have.

use datafusion::common::Statistics;

use super::exact;
use crate::read_index::Piece;
use crate::statistics::KnownStatistics;
use crate::summary::{DatasetSummary, SliceEntry};

/// For how many slices what is known of each is put together. Estimates of joins matter less to what reads more.
const MAX_SLICES: usize = 64;

/// Adds the bounds of columns that the footers of all files tell, if they were seen. How many rows a join gives is estimated from
/// them, and so which side of it is kept. `columns` are those that are read; all of them when absent.
pub(super) fn add_bounds(
    statistics: &mut Statistics,
    summary: &DatasetSummary,
    pieces: &[Piece],
    columns: Option<&Vec<usize>>,
    known: &KnownStatistics,
) {
    let Some(slices) = slices(summary, pieces) else {
        return;
    };
    let Some(found) = known.union(slices.iter().map(|slice| &slice.physical_hash)) else {
        return;
    };
    for (index, field) in summary.schema.fields().iter().enumerate() {
        if columns.is_some_and(|columns| !columns.contains(&index)) {
            continue;
        }
        let column = statistics.column_statistics.get_mut(index);
        let column = column.filter(|column| column.min_value.get_value().is_none());
        if let (Some(column), Some(bounds)) = (column, found.column(field.name())) {
            *column = exact::exact(bounds, field.data_type()).to_inexact();
        }
    }
}

/// The slices of some files, unless they are many.
fn slices(summary: &DatasetSummary, pieces: &[Piece]) -> Option<Vec<SliceEntry>> {
    let mut slices = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Slice(slice) => slices.push(*slice),
            Piece::Merged(_, range) if range.len() > MAX_SLICES => return None,
            Piece::Merged(_, range) => slices.extend(summary.slices.range(range.clone()).copied()),
        }
        if slices.len() > MAX_SLICES {
            return None;
        }
    }
    Some(slices)
}
