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

/// Files that may hold rows for which all filters are true.
pub(super) fn matching(
    session: &dyn Session,
    summary: &DatasetSummary,
    pieces: &[Piece],
    filters: &[Expr],
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
    let keep = pruning.prune(&PieceStatistics { summary, pieces })?;
    let kept = pieces.iter().zip(keep).filter(|(_, keep)| *keep);
    Ok(kept.map(|(piece, _)| piece.clone()).collect())
}

struct PieceStatistics<'a> {
    summary: &'a DatasetSummary,
    pieces: &'a [Piece],
}

impl PieceStatistics<'_> {
    fn bounds(
        &self,
        column: &Column,
        offset: impl Fn(&Piece) -> u64,
        system_time: impl Fn(&Piece) -> DateTime<Utc>,
    ) -> Option<ArrayRef> {
        let vocabulary = self.summary.state.vocabulary();
        let data_type = self.summary.schema.field_with_name(&column.name).ok()?.data_type();
        let pieces = self.pieces.iter();
        let values: Int64Array = if column.name == vocabulary.offset {
            pieces.map(|piece| i64::try_from(offset(piece)).ok()).collect()
        } else if column.name == vocabulary.system_time && is_millis(data_type) {
            pieces
                .map(|piece| Some(system_time(piece).timestamp_millis()))
                .collect()
        } else {
            return None;
        };
        cast(&values, data_type).ok()
    }
}

fn is_millis(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(TimeUnit::Millisecond, _))
}

impl PruningStatistics for PieceStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Piece::first_offset, Piece::first_system_time)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, Piece::last_offset, Piece::last_system_time)
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
