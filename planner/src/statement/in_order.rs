//! Rows in the same order at every run.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::{StreamExt, TryStreamExt, future, stream};

/// The same plan, in which streams that become one come one after the other, where they would come as they are ready.
pub(super) fn in_order(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = plan.transform_up(|node| {
        let any: &dyn Any = node.as_ref();
        if let Some(merge) = any.downcast_ref::<CoalescePartitionsExec>() {
            let queue = Queue::new(Arc::clone(merge.input()), merge.fetch());
            return Ok(Transformed::yes(Arc::new(queue) as Arc<dyn ExecutionPlan>));
        }
        if let Some(merge) = any.downcast_ref::<SortPreservingMergeExec>() {
            let merge = merge.clone().with_round_robin_repartition(false);
            return Ok(Transformed::yes(Arc::new(merge) as Arc<dyn ExecutionPlan>));
        }
        if let Some(merge) = any.downcast_ref::<RepartitionExec>()
            && merge.partitioning().partition_count() == 1
        {
            let queue = Queue::new(Arc::clone(merge.input()), None);
            return Ok(Transformed::yes(Arc::new(queue) as Arc<dyn ExecutionPlan>));
        }
        Ok(Transformed::no(node))
    });
    let plan = plan.data()?;
    Ok(if plan.output_partitioning().partition_count() > 1 {
        Arc::new(Queue::new(plan, None))
    } else {
        plan
    })
}

/// All rows of the first stream, then all of the second, and so on.
#[derive(Debug)]
struct Queue {
    input: Arc<dyn ExecutionPlan>,
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
}

impl Queue {
    fn new(input: Arc<dyn ExecutionPlan>, fetch: Option<usize>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            input,
            fetch,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for Queue {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

impl ExecutionPlan for Queue {
    fn name(&self) -> &'static str {
        "Queue"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let mut children = children.into_iter();
        Ok(match children.next() {
            Some(input) => Arc::new(Self::new(input, self.fetch)),
            None => self,
        })
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = Arc::clone(&self.input);
        let partitions = stream::iter(0..input.output_partitioning().partition_count());
        // Each one starts when the one before has ended.
        let rows = partitions
            .map(move |partition| input.execute(partition, Arc::clone(&context)))
            .try_flatten();
        let mut left = self.fetch;
        let rows = rows.map_ok(move |batch| match &mut left {
            Some(left) => {
                let batch = batch.slice(0, batch.num_rows().min(*left));
                *left -= batch.num_rows();
                (batch, *left == 0)
            }
            None => (batch, false),
        });
        let mut ended = false;
        let rows = rows.try_take_while(move |(_, is_last)| future::ready(Ok(!std::mem::replace(&mut ended, *is_last))));
        let rows = rows.map_ok(|(batch, _)| batch);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
