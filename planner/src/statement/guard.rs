//! What is put around parts of a plan so that it harms nobody: joins give way however few rows come out of them, can be joined
//! within the memory that there is, and what DataFusion keeps without counting it is counted.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, JoinType, ScalarValue};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::WindowFrameBound;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, SlidingAggregateWindowExpr};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{Stream, StreamExt};

use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// How long a plan computes before others may, and before it notices that it was stopped.
const TURN: Duration = Duration::from_millis(10);

/// A join gets so many rows of its second side at first, and more as long as it is done with them in time.
const FIRST_ROWS: usize = 64;

/// The same plan with guards in it. Comes after all that optimizes, which knows nothing of them.
pub(super) fn guarded(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|node| {
        let any: &dyn Any = node.as_ref();
        let guarded = if let Some(join) = any.downcast_ref::<NestedLoopJoinExec>() {
            let first = GuardExec::around(join.left(), Guard::Again(can_be_divided(join), AtomicBool::new(false)));
            let second = GuardExec::around(join.right(), Guard::Divide);
            GuardExec::around(&with_children(&node, vec![first, second])?, Guard::Pace)
        } else if let Some(join) = any.downcast_ref::<HashJoinExec>() {
            let second = GuardExec::around(join.right(), Guard::Divide);
            let children = vec![Arc::clone(join.left()), second];
            GuardExec::around(&with_children(&node, children)?, Guard::Pace)
        } else if matches!(node.name(), "CrossJoinExec" | "SortMergeJoinExec" | "UnnestExec") {
            GuardExec::around(&node, Guard::Pace)
        } else if any.is::<WindowAggExec>() || any.downcast_ref().is_some_and(keeps_all) {
            let children = node.children().into_iter();
            let counted = children.map(|child| GuardExec::around(child, Guard::Count)).collect();
            with_children(&node, counted)?
        } else {
            return Ok(Transformed::no(node));
        };
        Ok(Transformed::yes(guarded))
    });
    Ok(plan.data()?)
}

fn with_children(
    node: &Arc<dyn ExecutionPlan>,
    children: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    // Guards have the properties of what they guard.
    Arc::clone(node).replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep))
}

/// Whether DataFusion joins right if the first side comes in pieces because it does not fit into memory. Every part of the
/// second side then says for itself which rows of the first one it has no match for, so there must be one part only when such
/// rows are wanted.
fn can_be_divided(join: &NestedLoopJoinExec) -> bool {
    let wants_unmatched = matches!(
        join.join_type(),
        JoinType::Left | JoinType::Full | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
    );
    !wants_unmatched || join.right().output_partitioning().partition_count() == 1
}

/// Whether rows are kept that a window over all rows may still look back to.
fn keeps_all(windows: &BoundedWindowAggExec) -> bool {
    windows.window_expr().iter().any(|window| {
        let looks_back = window.as_any().is::<PlainAggregateWindowExpr>()
            || window.as_any().is::<SlidingAggregateWindowExpr>() && looks_far(&window.get_window_frame().start_bound);
        looks_back && window.partition_by().is_empty()
    })
}

fn looks_far(start: &WindowFrameBound) -> bool {
    const FAR: u64 = 1_000_000;
    match start {
        WindowFrameBound::Preceding(ScalarValue::UInt64(rows)) => rows.is_none_or(|rows| rows > FAR),
        _ => false,
    }
}

/// What is done to the rows that pass.
#[derive(Debug)]
enum Guard {
    /// Others get their turn now and then.
    Pace,
    /// The same; and batches are divided so that the join above, which works on one until it is done, gives way as well.
    Divide,
    /// The plan below may run a second time, if the flag says so: most plans can only run once. The other flag says whether it did.
    Again(bool, AtomicBool),
    /// Memory of the rows is reserved until the plan above is done with all of them.
    Count,
}

impl Guard {
    fn afresh(&self) -> Self {
        match self {
            Self::Pace => Self::Pace,
            Self::Divide => Self::Divide,
            Self::Again(allowed, _) => Self::Again(*allowed, AtomicBool::new(false)),
            Self::Count => Self::Count,
        }
    }
}

#[derive(Debug)]
struct GuardExec {
    input: Arc<dyn ExecutionPlan>,
    guard: Guard,
}

impl GuardExec {
    fn around(input: &Arc<dyn ExecutionPlan>, guard: Guard) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self {
            input: Arc::clone(input),
            guard,
        })
    }
}

impl DisplayAs for GuardExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for GuardExec {
    fn name(&self) -> &'static str {
        match self.guard {
            Guard::Pace => "PaceExec",
            Guard::Divide => "DivideExec",
            Guard::Again(..) => "AgainExec",
            Guard::Count => "CountMemoryExec",
        }
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion, DataFusionError>,
    ) -> Result<TreeNodeRecursion, DataFusionError> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let input = children.first().unwrap_or(&self.input);
        Ok(Self::around(input, self.guard.afresh()))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream, DataFusionError> {
        let start = |plan: &Arc<dyn ExecutionPlan>| plan.execute(partition, Arc::clone(&context));
        Ok(match &self.guard {
            Guard::Pace => Box::pin(Paced::new(start(&self.input)?, None)),
            Guard::Divide => Box::pin(Paced::new(start(&self.input)?, Some(Division::new(&context)))),
            Guard::Count => Box::pin(Counted {
                memory: MemoryConsumer::new(format!("rows of a window[{partition}]")).register(context.memory_pool()),
                rows: start(&self.input)?,
            }),
            Guard::Again(allowed, ran) => {
                if !ran.swap(true, Ordering::Relaxed) {
                    start(&self.input)?
                } else if *allowed {
                    start(&reset_plan_states(Arc::clone(&self.input))?)?
                } else {
                    return Err(DataFusionError::External(Box::new(too_much_to_join())));
                }
            }
        })
    }
}

fn too_much_to_join() -> Error {
    Error::new(
        ErrorKind::ResourceExhausted,
        "the join needs more memory than the statement may have: join on equal columns, filter the rows before, or read fewer \
         columns",
    )
}

/// Rows that come at a pace.
struct Paced {
    rows: SendableRecordBatchStream,
    /// Since when it computes without a break.
    since: Option<Instant>,
    division: Option<Division>,
}

/// How batches are divided.
struct Division {
    /// How many rows at once.
    rows: usize,
    most: usize,
    rest: Option<RecordBatch>,
    /// When the last piece was given out.
    given: Option<Instant>,
}

impl Division {
    fn new(context: &TaskContext) -> Self {
        let most = context.session_config().batch_size();
        Self {
            rows: FIRST_ROWS.min(most),
            most,
            rest: None,
            given: None,
        }
    }

    /// Looks how long the last piece took.
    fn adapt(&mut self) {
        match self.given.take().map(|given| given.elapsed()) {
            Some(took) if took > TURN => self.rows = (self.rows / 2).max(1),
            Some(took) if took < TURN / 4 => self.rows = (self.rows * 2).min(self.most),
            _ => {}
        }
    }

    /// The first piece of a batch. The others come later.
    fn first(&mut self, batch: RecordBatch) -> RecordBatch {
        self.given = Some(Instant::now());
        if batch.num_rows() <= self.rows {
            return batch;
        }
        self.rest = Some(batch.slice(self.rows, batch.num_rows() - self.rows));
        batch.slice(0, self.rows)
    }
}

impl Paced {
    fn new(rows: SendableRecordBatchStream, division: Option<Division>) -> Self {
        Self {
            rows,
            since: None,
            division,
        }
    }
}

impl Stream for Paced {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.since.get_or_insert_with(Instant::now).elapsed() >= TURN {
            this.since = None;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(division) = &mut this.division {
            division.adapt();
            if let Some(rest) = division.rest.take() {
                return Poll::Ready(Some(Ok(division.first(rest))));
            }
        }
        let next = this.rows.poll_next_unpin(context);
        if next.is_pending() {
            this.since = None;
        }
        next.map_ok(|batch| match &mut this.division {
            Some(division) => division.first(batch),
            None => batch,
        })
    }
}

impl RecordBatchStream for Paced {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

/// Rows whose memory is reserved as long as the stream is there.
struct Counted {
    rows: SendableRecordBatchStream,
    memory: MemoryReservation,
}

impl Stream for Counted {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.rows.poll_next_unpin(context));
        Poll::Ready(next.map(|batch| {
            let batch = batch?;
            self.memory.try_grow(size(&batch))?;
            Ok(batch)
        }))
    }
}

/// Bytes of the rows alone, without those of buffers that they share with others.
fn size(batch: &RecordBatch) -> usize {
    let columns = batch.columns().iter();
    columns
        .map(|column| column.to_data().get_slice_memory_size().unwrap_or(0))
        .sum()
}

impl RecordBatchStream for Counted {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}
