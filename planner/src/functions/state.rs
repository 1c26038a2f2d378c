//! What the events of a dataset add up to.

use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{Expr, ExprFunctionExt, LogicalPlanBuilder, cast, ident, lit, when};
use datafusion::prelude::in_list;
use jetway_odf::chain::ChainState;
use jetway_odf::metadata::MergeStrategy;

use arrow::datatypes::DataType;

use crate::merge::{APPEND, CORRECT_TO, RETRACT};
use crate::summary::DatasetSummary;
use crate::{Error, ErrorKind, Result};

/// Names of helping columns; ODF columns cannot be told to have them by accident.
const NTH: &str = "__jetway_nth";
const NET: &str = "__jetway_net";

/// The state after the events of `events`, with all columns.
///
/// With a primary key: of each key the newest event, unless it is a retraction. Without one: every row as often as it was
/// added more than it was taken away, the newest of them. Both sort, which spills.
pub(super) fn project(events: LogicalPlanBuilder, summary: &DatasetSummary) -> Result<LogicalPlanBuilder> {
    let columns: Vec<Expr> = summary
        .schema
        .fields()
        .iter()
        .map(|field| ident(field.name()))
        .collect();
    let operation = &summary.state.vocabulary().operation_type;
    let has_operations = summary.schema.column_with_name(operation).is_some();
    let key = primary_key(&summary.state)?;
    if columns.is_empty() || key.is_empty() && (summary.only_appends || !has_operations) {
        return Ok(events);
    }
    let numbered = if key.is_empty() {
        by_rows(events, summary)?
    } else {
        by_key(events, summary, key, has_operations)?
    };
    Ok(numbered.project(columns)?)
}

fn by_key(
    events: LogicalPlanBuilder,
    summary: &DatasetSummary,
    key: &[String],
    has_operations: bool,
) -> Result<LogicalPlanBuilder> {
    let vocabulary = summary.state.vocabulary();
    let nth = row_number()
        .partition_by(key.iter().map(ident).collect())
        .order_by(vec![ident(&vocabulary.offset).sort(false, false)])
        .build()?
        .alias(NTH);
    let mut newest = ident(NTH).eq(lit(1_u64));
    if has_operations {
        let operation = cast(ident(&vocabulary.operation_type), DataType::Int32);
        newest = newest.and(operation.not_eq(lit(RETRACT)));
    }
    Ok(events.window([nth])?.filter(newest)?)
}

fn by_rows(events: LogicalPlanBuilder, summary: &DatasetSummary) -> Result<LogicalPlanBuilder> {
    let vocabulary = summary.state.vocabulary();
    let system = [&vocabulary.offset, &vocabulary.operation_type, &vocabulary.system_time];
    let names = summary.schema.fields().iter().map(|field| field.name());
    let content: Vec<Expr> = names.filter(|name| !system.contains(name)).map(ident).collect();
    let operation = cast(ident(&vocabulary.operation_type), DataType::Int32);
    let adds = in_list(operation, vec![lit(APPEND), lit(CORRECT_TO)], false);
    let change = when(adds.clone(), lit(1_i64)).otherwise(lit(-1_i64))?;
    let net = Expr::from(WindowFunction::new(sum_udaf(), vec![change]))
        .partition_by(content.clone())
        .build()?
        .alias(NET);
    let nth = row_number()
        .partition_by(content.into_iter().chain([adds.clone()]).collect())
        .order_by(vec![ident(&vocabulary.offset).sort(false, false)])
        .build()?
        .alias(NTH);
    let numbered = events.window([nth])?.window([net])?;
    Ok(numbered.filter(adds.and(cast(ident(NTH), DataType::Int64).lt_eq(ident(NET))))?)
}

/// The columns that tell which events are about the same thing; none if rows are only added, or say all that there is to say.
pub(crate) fn primary_key(state: &ChainState) -> Result<&[String]> {
    let push = state.push_sources().values().map(|source| &source.merge);
    let polling = state.polling_source().map(|source| &source.merge);
    let mut keys = push.chain(polling).map(key_of);
    let Some(first) = keys.next() else { return Ok(&[]) };
    if keys.all(|key| key == first) {
        return Ok(first);
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        "the sources of the dataset have different primary keys, so that its events add up to no one state; select the events",
    ))
}

fn key_of(strategy: &MergeStrategy) -> &[String] {
    match strategy {
        MergeStrategy::Append {} => &[],
        MergeStrategy::Ledger { primary_key }
        | MergeStrategy::Snapshot { primary_key, .. }
        | MergeStrategy::ChangelogStream { primary_key }
        | MergeStrategy::UpsertStream { primary_key } => primary_key,
    }
}

#[cfg(test)]
mod tests;
