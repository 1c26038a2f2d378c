//! A planned statement: its schema and the heads that it reads, ready to run.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin as StdPin;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use jetway_odf::identity::{DatasetId, Multihash};
use serde::{Deserialize, Serialize};

use crate::budget::{Budget, Usage};
use crate::compute::Compute;
use crate::parameters::Repeated;
use crate::system::is_light;
use crate::{Error, ErrorKind, Result, explain};

mod guard;
mod in_order;
mod parts;
mod repeatable;

use guard::guarded;
pub use parts::Part;
pub(crate) use repeatable::is_repeatable;

/// A dataset at one block: what a statement read, or is to read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The dataset.
    pub dataset: DatasetId,
    /// Its newest block, as the statement sees it.
    pub head: Multihash,
}

/// Batches of a running statement, with their schema. Dropping it stops the work.
pub struct BatchStream {
    schema: SchemaRef,
    batches: StdPin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>,
}

impl BatchStream {
    /// Batches that all have the given schema.
    pub fn new(schema: SchemaRef, batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static) -> Self {
        Self {
            schema,
            batches: Box::pin(batches),
        }
    }

    /// Schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

impl Stream for BatchStream {
    type Item = Result<RecordBatch>;

    fn poll_next(
        mut self: StdPin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.batches.as_mut().poll_next(context)
    }
}

impl fmt::Debug for BatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchStream")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// A planned statement: parsed, resolved and typed, but not run.
#[derive(Clone)]
pub struct Statement {
    session: Arc<SessionState>,
    plan: Arc<LogicalPlan>,
    schema: SchemaRef,
    pins: Vec<Pin>,
    repeatable: bool,
    views: Option<Multihash>,
    compute: Compute,
    /// For a statement that runs for other than a single row of parameters; then `plan` is not run.
    repeated: Option<Arc<Repeated>>,
}

impl Statement {
    pub(crate) fn new(
        session: impl Into<Arc<SessionState>>,
        plan: LogicalPlan,
        pins: Vec<Pin>,
        compute: Compute,
    ) -> Self {
        let schema = Arc::new(plan.schema().as_arrow().clone());
        Self {
            session: session.into(),
            plan: Arc::new(plan),
            schema,
            pins,
            repeatable: false,
            views: None,
            compute,
            repeated: None,
        }
    }

    /// The same statement, which gives the same rows whenever it runs at the same heads, or does not.
    pub(crate) fn repeatable(mut self, repeatable: bool) -> Self {
        self.repeatable = repeatable;
        self
    }

    /// The same statement with a schema that may have more nulls than the plan.
    pub(crate) fn declared(mut self, schema: SchemaRef) -> Self {
        self.schema = schema;
        self
    }

    /// The same statement, which reads views whose definitions have a digest.
    pub(crate) fn over_views(mut self, views: Option<Multihash>) -> Self {
        self.views = views;
        self
    }

    /// A statement that runs for rows of parameters, one after the other. Its schema is the same for all values.
    pub(crate) fn repeated(
        session: impl Into<Arc<SessionState>>,
        repeated: Repeated,
        pins: Vec<Pin>,
        compute: Compute,
    ) -> Result<Self> {
        let session = session.into();
        let plan = repeated.plan(&session, 0)?;
        let mut statement = Self::new(session, plan, pins, compute);
        // With this value, a column may hold no nulls, with another it may.
        statement.schema = repeated.named(Arc::new(with_nulls_of(&statement.schema, &repeated.schema())));
        if repeated.rows() != 1 {
            statement.repeated = Some(Arc::new(repeated));
        }
        Ok(statement)
    }

    /// Schema of the result, exactly as [`Self::execute`] streams it.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// The datasets that it reads, each at the block that was its head when the statement was planned.
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// A digest of the definitions of all views that it reads.
    pub fn views(&self) -> Option<Multihash> {
        self.views
    }

    /// Whether it gives the same rows whenever it runs at the same heads: it calls no function such as `now()` or `random()`,
    /// and reads datasets only, not what the node tells about itself.
    pub fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// Whether its rows come in an order that the statement asks for.
    pub fn is_ordered(&self) -> bool {
        let mut plan = self.plan.as_ref();
        if self.repeated.is_some() {
            return false;
        }
        loop {
            plan = match plan {
                LogicalPlan::Sort(_) => return true,
                LogicalPlan::Projection(node) => &node.input,
                LogicalPlan::SubqueryAlias(node) => &node.input,
                LogicalPlan::Limit(node) => &node.input,
                _ => return false,
            }
        }
    }

    /// The same statement, whose rows come in the same order whenever it runs at the same heads, because one thread makes them.
    pub(crate) fn in_order(mut self) -> Self {
        let mut session = SessionState::clone(&self.session);
        let settings = session.config_mut().options_mut();
        settings.execution.target_partitions = 1;
        // Streams that are interleaved come as they are ready.
        settings.optimizer.prefer_existing_union = true;
        // What is known about sizes may be more the next time.
        settings.optimizer.join_reordering = false;
        self.session = Arc::new(session);
        self
    }

    /// The same statement without its first `skip` rows, and with `fetch` rows after those.
    pub(crate) fn limited(mut self, skip: u64, fetch: Option<u64>) -> Result<Self> {
        let is_query = !matches!(
            self.plan.as_ref(),
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
        );
        if is_query && (skip > 0 || fetch.is_some()) {
            let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
            let plan = LogicalPlanBuilder::from(LogicalPlan::clone(&self.plan));
            let plan = plan.limit(count(skip), fetch.map(count))?.build()?;
            self.plan = Arc::new(self.session.optimize(&plan)?);
        }
        Ok(self)
    }

    pub(crate) fn compute(&self) -> &Compute {
        &self.compute
    }

    /// Starts running. The plan works a few batches ahead of the stream's reader, and stops when the stream is dropped.
    ///
    /// # Errors
    /// Here and in the stream: whatever the kinds of [`Error`] say.
    pub async fn execute(&self) -> Result<BatchStream> {
        self.execute_as(&Usage::default()).await
    }

    /// Whether running it takes next to nothing, so that it need not wait until others are done.
    pub fn is_light(&self) -> bool {
        self.repeated.is_none() && is_light(&self.plan)
    }

    /// Starts running, as [`Self::execute`] does, and counts what it uses.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub async fn execute_as(&self, usage: &Usage) -> Result<BatchStream> {
        let Some(repeated) = self.repeated.clone() else {
            return self.run(Arc::clone(&self.plan), usage).await;
        };
        let (session, usage) = (Arc::clone(&self.session), usage.clone());
        let (schema, declared) = (self.schema(), self.schema());
        let runs = stream::iter(0..repeated.rows()).then(move |row| {
            let (session, usage, repeated) = (Arc::clone(&session), usage.clone(), Arc::clone(&repeated));
            async move {
                let batches = start(&session, &repeated.plan(&session, row)?, &usage).await?;
                Ok::<_, Error>(batches.map_err(Error::from))
            }
        });
        let batches = runs.try_flatten().map(move |batch| declare(batch?, &declared));
        Ok(BatchStream::new(schema, self.compute.run_ahead(batches)))
    }

    async fn run(&self, plan: Arc<LogicalPlan>, usage: &Usage) -> Result<BatchStream> {
        let (session, usage) = (Arc::clone(&self.session), usage.clone());
        let (schema, declared) = (self.schema(), self.schema());
        // Planning opens no slice, but it computes; and what a plan spawns has to run where it was started.
        let compute = match self.is_light() {
            true => self.compute.express(),
            false => self.compute.clone(),
        };
        let started = compute.spawn(async move { start(&session, &plan, &usage).await });
        let batches = started.join().await??;
        let batches = batches.map(move |batch| declare(batch?, &declared));
        Ok(BatchStream::new(schema, compute.run_ahead(batches)))
    }
}

/// Starts an optimized plan; the session's own entrance would optimize it once more.
async fn start(session: &SessionState, plan: &LogicalPlan, usage: &Usage) -> Result<SendableRecordBatchStream> {
    let inner = match plan {
        LogicalPlan::Explain(told) if told.logical_optimization_succeeded => &told.plan,
        LogicalPlan::Analyze(told) => &told.input,
        other => other,
    };
    let physical = session.query_planner().create_physical_plan(inner, session).await?;
    if let (LogicalPlan::Explain(told), true) = (plan, !std::ptr::eq(plan, inner)) {
        return explain::explain(session, told, physical).await;
    }
    let mut physical = guarded(physical)?;
    if session.config().target_partitions() == 1 {
        physical = in_order::in_order(physical)?;
    }
    usage.follow(&physical);
    let runtime = match session.config().get_extension::<Budget>() {
        Some(budget) => budget.runtime(session.runtime_env(), usage)?,
        None => Arc::clone(session.runtime_env()),
    };
    let (id, config) = (session.session_id().to_owned(), session.config().clone());
    // Functions are looked up by name in plans that come from elsewhere only, and information_schema lists them.
    let none = (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
    let context = match lists_functions(plan)? {
        true => TaskContext::from(session).with_runtime(runtime),
        false => TaskContext::new(None, id, config, none.0, none.1, none.2, none.3, runtime),
    };
    let context = Arc::new(context);
    if let LogicalPlan::Analyze(told) = plan {
        return explain::analyze(session, told, physical, context).await;
    }
    Ok(execute_stream(physical, context)?)
}

/// Whether a plan reads a table of information_schema.
fn lists_functions(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found |= scan.table_name.schema() == Some("information_schema");
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// A schema with nulls where the other one has them as well.
pub(crate) fn with_nulls_of(schema: &Schema, other: &Schema) -> Schema {
    let fields = schema.fields().iter().enumerate().map(|(index, field)| {
        let nullable = other.fields().get(index).is_some_and(|other| other.is_nullable());
        field.as_ref().clone().with_nullable(field.is_nullable() || nullable)
    });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement")
            .field("schema", &self.schema)
            .field("pins", &self.pins)
            .finish_non_exhaustive()
    }
}

/// Gives a batch the schema that was declared before running. The optimizer may know more about a column than the
/// statement says (that it holds no nulls, or its metadata); the types must be the same.
pub(crate) fn declare(batch: RecordBatch, declared: &SchemaRef) -> Result<RecordBatch> {
    if batch.schema_ref() == declared {
        return Ok(batch);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(SchemaRef::clone(declared), batch.columns().to_vec(), &options).map_err(|error| {
        Error::new(
            ErrorKind::Internal,
            "the result does not have the schema that was announced",
        )
        .with_source(error)
    })
}
