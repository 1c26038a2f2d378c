//! Sorting streams that may be larger than memory: DataFusion's sort, which spills into the shared folder.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, take_record_batch};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{StreamExt, TryStreamExt};

use crate::merge::Batches;
use crate::merge::columns::{KEY, lost};
use crate::preprocess::input::{Input, carried};
use crate::session::{BATCH_ROWS, Engine};
use crate::{BatchStream, Error, Result};

/// Batches of wide rows have fewer of them, so that they have about so many bytes at most.
const BATCH_BYTES: u64 = 32 << 20;

/// How many of some rows make a batch, by the bytes of all of them.
pub(super) fn batch_rows(bytes: u64, rows: u64) -> usize {
    let width = bytes.checked_div(rows).unwrap_or_default().max(1);
    usize::try_from(BATCH_BYTES / width).map_or(BATCH_ROWS, |rows| rows.clamp(1, BATCH_ROWS))
}

/// Sorts rows by columns, ascending, nulls first.
pub(super) fn sort(engine: &Engine, schema: &SchemaRef, rows: Batches, by: &[usize]) -> Result<Batches> {
    sort_in(&context(engine, BATCH_ROWS), schema, rows, by)
}

/// The same in a context, which says how large batches are.
pub(super) fn sort_in(context: &Arc<TaskContext>, schema: &SchemaRef, rows: Batches, by: &[usize]) -> Result<Batches> {
    let input = Arc::new(Input::new(BatchStream::new(Arc::clone(schema), rows)));
    let scan = StreamingTableExec::try_new(
        Arc::clone(schema),
        vec![input as Arc<dyn PartitionStream>],
        None,
        [],
        false,
        None,
    )?;
    let plan: Arc<dyn ExecutionPlan> = Arc::new(SortExec::new(ordering(schema, by)?, Arc::new(scan)));
    Ok(own(execute_stream(plan, Arc::clone(context))?))
}

/// Merges streams that are each sorted by key; of equal keys, those of earlier streams come first.
pub(super) fn merge_by_key(
    engine: &Engine,
    schema: &SchemaRef,
    mut streams: Vec<Batches>,
    batch_rows: usize,
) -> Result<Batches> {
    if streams.len() == 1
        && let Some(only) = streams.pop()
    {
        return Ok(only);
    }
    let metrics = BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
    let reservation = MemoryConsumer::new("merging sorted runs").register(&engine.runtime().memory_pool);
    let ordering = ordering(schema, &[KEY])?;
    let streams = streams.into_iter().map(|rows| foreign(schema, rows)).collect();
    let merged = StreamingMergeBuilder::new()
        .with_streams(streams)
        .with_schema(Arc::clone(schema))
        .with_expressions(&ordering)
        .with_metrics(metrics)
        .with_batch_size(batch_rows)
        .with_reservation(reservation)
        .with_round_robin_tie_breaker(false)
        .build()?;
    Ok(own(merged))
}

/// A large batch in pieces of moderate size, each with memory of its own: the sort counts what its batches hold on to.
pub(super) fn small_batches(batch: &RecordBatch) -> impl Iterator<Item = Result<RecordBatch>> + use<> {
    let is_small = batch.num_rows() <= 2 * BATCH_ROWS;
    let whole = is_small.then(|| Ok(batch.clone()));
    let copies = (!is_small).then(|| pieces(batch)).into_iter().flatten().map(|piece| {
        let rows = UInt32Array::from_iter_values(0..piece.num_rows() as u32);
        Ok(take_record_batch(&piece, &rows)?)
    });
    whole.into_iter().chain(copies)
}

/// A batch in pieces of moderate size.
pub(super) fn pieces(batch: &RecordBatch) -> impl Iterator<Item = RecordBatch> + use<> {
    let batch = batch.clone();
    (0..batch.num_rows())
        .step_by(BATCH_ROWS)
        .map(move |start| batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start)))
}

/// What plans of merges run with.
pub(super) fn context(engine: &Engine, batch_rows: usize) -> Arc<TaskContext> {
    session(engine, batch_rows).task_ctx()
}

/// A session with batches of a size.
pub(super) fn session(engine: &Engine, batch_rows: usize) -> SessionState {
    let mut session = engine.isolated_session("merge");
    *session.config_mut() = session.config().clone().with_batch_size(batch_rows);
    session
}

/// Batches of a plan with our errors.
pub(super) fn own(rows: SendableRecordBatchStream) -> Batches {
    rows.map_err(Error::from).boxed()
}

fn foreign(schema: &SchemaRef, rows: Batches) -> SendableRecordBatchStream {
    Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), rows.map_err(carried)))
}

fn ordering(schema: &Schema, by: &[usize]) -> Result<LexOrdering> {
    let expressions = by.iter().map(|index| {
        let name = schema.fields().get(*index).map_or("", |field| field.name());
        PhysicalSortExpr::new(Arc::new(Column::new(name, *index)), SortOptions::default())
    });
    LexOrdering::new(expressions).ok_or_else(lost)
}
