//! From relations to a plan: the catalog's tables, and nothing that reaches out of it.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DFSchema, DataFusionError, TableReference};
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion_substrait::extensions::Extensions;
use datafusion_substrait::logical_plan::consumer::{
    DefaultSubstraitLambdaConsumer, SubstraitConsumer, from_read_rel, from_substrait_rel,
};
use datafusion_substrait::substrait::proto::expression::MaskExpression;
use datafusion_substrait::substrait::proto::read_rel::ReadType;
use datafusion_substrait::substrait::proto::rel::RelType;
use datafusion_substrait::substrait::proto::{ReadRel, Rel, Type};
use tokio::sync::Mutex;

use super::limits::{self, Columns};
use super::malformed;
use crate::resolve::{Pins, Resolved, Resolver};
use crate::{Error, ErrorKind};

type DfResult<T> = Result<T, DataFusionError>;

/// Makes one plan.
pub(super) struct Consumer<'a> {
    extensions: &'a Extensions,
    session: &'a SessionState,
    resolver: &'a Resolver<'a>,
    found: Mutex<Found>,
    columns: Columns,
    outer: RwLock<Vec<Arc<DFSchema>>>,
    lambdas: DefaultSubstraitLambdaConsumer,
}

/// The tables that were looked up.
#[derive(Default)]
struct Found {
    tables: HashMap<TableReference, Arc<dyn TableProvider>>,
    pins: Pins,
}

impl<'a> Consumer<'a> {
    pub(super) fn new(extensions: &'a Extensions, session: &'a SessionState, resolver: &'a Resolver<'a>) -> Self {
        Self {
            extensions,
            session,
            resolver,
            found: Mutex::default(),
            columns: Columns::default(),
            outer: RwLock::default(),
            lambdas: DefaultSubstraitLambdaConsumer::new(),
        }
    }

    /// What the plan reads.
    pub(super) fn resolved(self) -> Resolved {
        self.found.into_inner().pins.finish()
    }
}

#[async_trait]
impl SubstraitConsumer for Consumer<'_> {
    async fn resolve_table_ref(&self, name: &TableReference) -> DfResult<Option<Arc<dyn TableProvider>>> {
        let mut found = self.found.lock().await;
        if let Some(table) = found.tables.get(name) {
            return Ok(Some(Arc::clone(table)));
        }
        let registered = self
            .resolver
            .register_tables(self.session, None, vec![name.clone()], &mut found.pins);
        registered.await.map_err(external)?;
        let table = match self.session.schema_for_ref(name.clone()) {
            Ok(schema) => schema.table(name.table()).await?,
            Err(_) => None,
        };
        let Some(table) = table else {
            let message =
                format!("there is no table {name}: a plan reads tables, and calls no functions that make some");
            return Err(external(Error::new(ErrorKind::NotFound, message)));
        };
        found.tables.insert(name.clone(), Arc::clone(&table));
        Ok(Some(table))
    }

    fn get_extensions(&self) -> &Extensions {
        self.extensions
    }

    fn get_function_registry(&self) -> &impl FunctionRegistry {
        self.session
    }

    async fn consume_rel(&self, rel: &Rel) -> DfResult<LogicalPlan> {
        if let Some(rel) = &rel.rel_type {
            check(rel).map_err(external)?;
        }
        limits::check(rel).map_err(external)?;
        let plan = from_substrait_rel(self, rel).await?;
        self.columns.add(plan.schema().fields().len()).map_err(external)?;
        Ok(plan)
    }

    /// A table, the filter over it, and the columns that the mask leaves. Filters of a scan alone would be taken for hints.
    async fn consume_read(&self, rel: &ReadRel) -> DfResult<LogicalPlan> {
        check_source(rel.read_type.as_ref()).map_err(external)?;
        let whole = ReadRel {
            filter: None,
            best_effort_filter: None,
            projection: None,
            ..rel.clone()
        };
        let mut plan = from_read_rel(self, &whole).await?;
        if let Some(filter) = &rel.filter {
            let condition = self.consume_expression(filter, plan.schema()).await?;
            plan = LogicalPlanBuilder::from(plan).filter(condition)?.build()?;
        }
        match &rel.projection {
            Some(mask) => masked(plan, mask),
            None => Ok(plan),
        }
    }

    fn push_outer_schema(&self, schema: Arc<DFSchema>) {
        if let Ok(mut outer) = self.outer.write() {
            outer.push(schema);
        }
    }

    fn pop_outer_schema(&self) {
        if let Ok(mut outer) = self.outer.write() {
            outer.pop();
        }
    }

    fn get_outer_schema(&self, steps_out: usize) -> Option<Arc<DFSchema>> {
        let outer = self.outer.read().ok()?;
        outer.get(outer.len().checked_sub(steps_out)?).map(Arc::clone)
    }

    fn push_lambda_parameters(&self, parameters: &[Type], input: &DFSchema) -> DfResult<Vec<String>> {
        self.lambdas.push_lambda_parameters(self, parameters, input)
    }

    fn pop_lambda_parameters(&self) {
        self.lambdas.pop_lambda_parameters();
    }

    fn lambda_variable(&self, steps_out: usize, field: usize) -> DfResult<Expr> {
        self.lambdas.lambda_variable(steps_out, field)
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Refuses relations by their kind. Each is decided by name, as in the policy for plans.
fn check(rel: &RelType) -> crate::Result<()> {
    let refused = match rel {
        RelType::Read(_)
        | RelType::Filter(_)
        | RelType::Fetch(_)
        | RelType::Aggregate(_)
        | RelType::Sort(_)
        | RelType::Join(_)
        | RelType::Project(_)
        | RelType::Set(_)
        | RelType::Cross(_) => return Ok(()),
        RelType::Write(_) | RelType::Ddl(_) | RelType::Update(_) => {
            "plans only read here: change datasets with SQL (INSERT, CREATE TABLE, DROP TABLE) or ingest rows"
        }
        RelType::ExtensionSingle(_) | RelType::ExtensionMulti(_) | RelType::ExtensionLeaf(_) => {
            "relations that are extensions are not known here: use those of Substrait itself"
        }
        RelType::Exchange(_) => "exchange relations are not taken: leave them out, the node divides the work itself",
        RelType::HashJoin(_) | RelType::MergeJoin(_) | RelType::NestedLoopJoin(_) => {
            "physical joins are not taken: use a join relation, the node chooses how to join"
        }
        RelType::Window(_) => "window relations are not taken: use window functions in a project relation",
        RelType::Expand(_) => "expand relations are not taken: use grouping sets of an aggregate relation",
        RelType::Reference(_) => "references to other relations are not taken: repeat the relation where it is needed",
    };
    Err(Error::new(ErrorKind::Unsupported, refused))
}

/// Refuses sources other than tables of the catalog and values in the plan.
fn check_source(source: Option<&ReadType>) -> crate::Result<()> {
    match source {
        Some(ReadType::NamedTable(table)) if (1..=3).contains(&table.names.len()) => Ok(()),
        Some(ReadType::NamedTable(_)) => Err(malformed(
            "a table has one to three names: [table], [account, table] or [\"jetway\", account, table]",
        )),
        Some(ReadType::VirtualTable(table)) => limits::check_values(table),
        Some(ReadType::LocalFiles(_) | ReadType::ExtensionTable(_) | ReadType::IcebergTable(_)) => Err(Error::new(
            ErrorKind::Unsupported,
            "plans read datasets by name here, no files and no other tables: use a named table",
        )),
        None => Err(malformed("a read relation does not say what it reads")),
    }
}

/// Only the columns of a mask.
fn masked(plan: LogicalPlan, mask: &MaskExpression) -> DfResult<LogicalPlan> {
    let Some(select) = &mask.select else { return Ok(plan) };
    let schema = Arc::clone(plan.schema());
    let columns = select.struct_items.iter().map(|item| {
        if item.child.is_some() {
            return Err(external(Error::new(
                ErrorKind::Unsupported,
                "masks over fields of structs are not taken: project the fields that are needed",
            )));
        }
        let index = usize::try_from(item.field)
            .ok()
            .filter(|index| *index < schema.fields().len());
        let index = index.ok_or_else(|| external(malformed("a mask names a column that the table does not have")))?;
        Ok(Expr::Column(Column::from(schema.qualified_field(index))))
    });
    let columns = columns.collect::<DfResult<Vec<_>>>()?;
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}
