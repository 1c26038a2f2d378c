//! Statements that run for many rows of parameters.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ident};
use futures::StreamExt;

use super::Bound;
use super::values::check_columns;
use crate::preprocess::input::Input;
use crate::statement::declare;
use crate::{BatchStream, Result, names};

/// A plan with typed placeholders, and rows of values that it runs for, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Repeated {
    plan: LogicalPlan,
    bound: Bound,
    /// The names of the columns where they are not those of the plan.
    names: Option<Vec<String>>,
}

impl Repeated {
    pub(super) fn new(names: Option<Vec<String>>, plan: LogicalPlan, bound: Bound) -> Self {
        Self { plan, bound, names }
    }

    /// The same with other columns.
    pub(crate) fn project(mut self, project: impl FnOnce(LogicalPlan) -> Result<LogicalPlan>) -> Result<Self> {
        self.plan = project(self.plan)?;
        self.names = None;
        Ok(self)
    }

    /// The plan with placeholders.
    pub(crate) fn unbound_plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// A schema with the names that the statement asks for.
    pub(crate) fn named(&self, schema: SchemaRef) -> SchemaRef {
        match &self.names {
            Some(names) => names::rename(&schema, names),
            None => schema,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.bound.rows()
    }

    /// Schema of what it gives for any row, before it is optimized.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.named(Arc::new(self.plan.schema().as_arrow().clone()))
    }

    /// The optimized plan for a row.
    pub(crate) fn plan(&self, session: &SessionState, row: usize) -> Result<LogicalPlan> {
        Ok(session.optimize(&self.bound.bind(self.plan.clone(), row)?)?)
    }
}

/// `VALUES (...)` with a single row of expressions over parameters.
#[derive(Debug, Clone)]
pub(crate) struct ValuesRow {
    row: Vec<Expr>,
    parameters: usize,
}

impl ValuesRow {
    pub(super) fn of(plan: &LogicalPlan, parameters: usize) -> Option<Self> {
        match plan {
            LogicalPlan::Values(values) => match values.values.as_slice() {
                [row] => Some(Self {
                    row: row.clone(),
                    parameters,
                }),
                _ => None,
            },
            _ => None,
        }
    }

    /// The plan that computes the row for each row of parameters, which it reads while they arrive.
    pub(crate) fn over(self, rows: BatchStream) -> Result<LogicalPlan> {
        check_columns(&rows.schema(), self.parameters)?;
        let rows = rename(rows);
        let table = Arc::new(Input::new(rows)).table()?;
        let scan = LogicalPlanBuilder::scan("parameters", provider_as_source(table), None)?;
        let row = self.row.into_iter().zip(1..).map(|(expr, column)| {
            let expr = expr.transform_up(|expr| match expr {
                Expr::Placeholder(Placeholder { id, .. }) => Ok(Transformed::yes(ident(id))),
                expr => Ok(Transformed::no(expr)),
            });
            Ok(expr.data()?.alias(format!("column{column}")))
        });
        Ok(scan.project(row.collect::<Result<Vec<_>>>()?)?.build()?)
    }
}

/// The rows with columns named `$1`, `$2` and so on, whatever the client calls them.
fn rename(rows: BatchStream) -> BatchStream {
    let fields = rows.schema();
    let fields = fields.fields().iter().zip(1..);
    let fields = fields.map(|(field, number)| Field::new(format!("${number}"), field.data_type().clone(), true));
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let declared = Arc::clone(&schema);
    let rows = rows.map(move |batch| declare(batch?, &declared));
    BatchStream::new(schema, rows)
}
