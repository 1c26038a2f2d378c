//! Leaves out slices by what the chain says about them: offsets and system time.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::logical_expr::{Expr, utils::conjunction};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

use crate::summary::{DatasetSummary, SliceEntry};
use crate::table::DfResult;

/// Slices that may hold rows for which all filters are true.
pub(super) fn matching(session: &dyn Session, summary: &DatasetSummary, filters: &[Expr]) -> DfResult<Vec<SliceEntry>> {
    let slices: Vec<SliceEntry> = summary.slices.iter().copied().collect();
    let Some(filter) = conjunction(filters.iter().cloned()) else {
        return Ok(slices);
    };
    let schema = DFSchema::try_from(summary.schema.as_ref().clone())?;
    let predicate = session.create_physical_expr(filter, &schema)?;
    let pruning = PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(&summary.schema))
        .build(predicate);
    // Not every expression says something about minimum and maximum.
    let Some(pruning) = pruning else { return Ok(slices) };
    let keep = pruning.prune(&SliceStatistics {
        summary,
        slices: &slices,
    })?;
    Ok(slices
        .into_iter()
        .zip(keep)
        .filter_map(|(slice, keep)| keep.then_some(slice))
        .collect())
}

struct SliceStatistics<'a> {
    summary: &'a DatasetSummary,
    slices: &'a [SliceEntry],
}

impl SliceStatistics<'_> {
    fn bounds(&self, column: &Column, offset: impl Fn(&SliceEntry) -> u64) -> Option<ArrayRef> {
        let vocabulary = self.summary.state.vocabulary();
        let data_type = self.summary.schema.field_with_name(&column.name).ok()?.data_type();
        let values: Int64Array = if column.name == vocabulary.offset {
            self.slices
                .iter()
                .map(|slice| i64::try_from(offset(slice)).ok())
                .collect()
        } else if column.name == vocabulary.system_time && is_millis(data_type) {
            self.slices
                .iter()
                .map(|slice| Some(slice.system_time.timestamp_millis()))
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

impl PruningStatistics for SliceStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |slice| slice.first_offset)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |slice| slice.last_offset)
    }

    fn num_containers(&self) -> usize {
        self.slices.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(
            self.slices
                .iter()
                .map(|slice| Some(slice.rows()))
                .collect::<UInt64Array>(),
        ))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
