//! Leaves out files by what the chain says about their rows: offsets and system time.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Utc};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::{Expr, utils::conjunction};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use crate::read_index::Piece;
use crate::summary::DatasetSummary;
use crate::table::DfResult;

/// Files that may hold rows for which all filters are true. `times_are_blocks` says that the rows of a slice have the system
/// time of its block, or at least none from before the block of the slice before.
pub(super) fn matching(
    session: &dyn Session,
    summary: &DatasetSummary,
    pieces: &[Piece],
    filters: &[Expr],
    times_are_blocks: bool,
) -> DfResult<Vec<Piece>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else {
        return Ok(pieces.to_vec());
    };
    let schema = DFSchema::try_from(summary.schema.as_ref().clone())?;
    let predicate = session.create_physical_expr(filter, &schema)?;
    let pruning = PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(&summary.schema))
        .build(predicate);
    // Not every expression says something about minimum and maximum.
    let Some(pruning) = pruning else {
        return Ok(pieces.to_vec());
    };
    let keep = pruning.prune(&PieceStatistics {
        summary,
        pieces,
        times_are_blocks,
    })?;
    let kept = pieces.iter().zip(keep).filter(|(_, keep)| *keep);
    Ok(kept.map(|(piece, _)| piece.clone()).collect())
}

struct PieceStatistics<'a> {
    summary: &'a DatasetSummary,
    pieces: &'a [Piece],
    times_are_blocks: bool,
}

impl PieceStatistics<'_> {
    /// The values of a column that the chain knows, made of offsets or of system times.
    fn bounds(
        &self,
        column: &Column,
        offset: impl Fn(&Piece) -> u64,
        system_times: impl Fn() -> Vec<Option<DateTime<Utc>>>,
    ) -> Option<ArrayRef> {
        let vocabulary = self.summary.state.vocabulary();
        let data_type = self.summary.schema.field_with_name(&column.name).ok()?.data_type();
        let values: Int64Array = if column.name == vocabulary.offset {
            let offsets = self.pieces.iter().map(|piece| i64::try_from(offset(piece)).ok());
            offsets.collect()
        } else if column.name == vocabulary.system_time && is_millis(data_type) {
            let millis = |time: DateTime<Utc>| time.timestamp_millis();
            system_times().into_iter().map(|time| time.map(millis)).collect()
        } else {
            return None;
        };
        cast(&values, data_type).ok()
    }

    /// Rows come in the order of their system times.
    fn earliest_times(&self) -> Vec<Option<DateTime<Utc>>> {
        let before = self.pieces.iter().map(Piece::last_system_time);
        let before = self
            .pieces
            .first()
            .map(Piece::last_system_time)
            .into_iter()
            .chain(before);
        let earliest = self.pieces.iter().zip(before).map(|(piece, before)| {
            let before = Some(before).filter(|_| self.times_are_blocks);
            piece.first_system_time().or(before)
        });
        earliest.collect()
    }

    fn latest_times(&self) -> Vec<Option<DateTime<Utc>>> {
        self.pieces.iter().map(|piece| Some(piece.last_system_time())).collect()
    }
}

fn is_millis(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Millisecond, _))
}

impl PruningStatistics for PieceStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Piece::first_offset, || self.earliest_times())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Piece::last_offset, || self.latest_times())
    }

    fn num_containers(&self) -> usize {
        self.pieces.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = self.pieces.iter().map(|piece| Some(piece.rows()));
        Some(Arc::new(rows.collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
