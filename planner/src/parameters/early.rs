//! Plans that are optimized before their values are known.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::Unbound;
use super::values::Bound;
use crate::Result;
use crate::statement::with_nulls_of;

/// An optimized plan whose parameters stand in filters only, so that its schema and its shape are the same for all values. Most
/// statements that are asked again and again are of this kind.
#[derive(Debug)]
pub(crate) struct Early {
    plan: LogicalPlan,
    types: Vec<Option<DataType>>,
    schema: SchemaRef,
}

impl Early {
    /// None if the plan depends on the values.
    ///
    /// # Errors
    /// When the plan cannot be optimized.
    pub(crate) fn new(session: &SessionState, unbound: &Unbound) -> Result<Option<Self>> {
        let Some(plan) = &unbound.plan else { return Ok(None) };
        if unbound.aliases.is_some() || unbound.types.is_empty() || unbound.types.iter().any(Option::is_none) {
            return Ok(None);
        }
        let unoptimized = plan.schema().as_arrow().clone();
        let plan = session.optimize(plan)?;
        if !filters_only(&plan)? {
            return Ok(None);
        }
        let schema = with_nulls_of(plan.schema().as_arrow(), &unoptimized);
        Ok(Some(Self {
            plan,
            types: unbound.types.clone(),
            schema: Arc::new(schema),
        }))
    }

    /// Schema of the result, as it is when the plan is optimized for values.
    pub(crate) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// The plan for a single row of values; none if there are several, or they are not of the types of their places.
    ///
    /// # Errors
    /// Those of [`Bound::new`].
    pub(crate) fn bind(&self, values: &RecordBatch) -> Result<Option<LogicalPlan>> {
        if values.num_rows() != 1 || values.num_columns() != self.types.len() {
            return Ok(None);
        }
        let bound = Bound::new(values, &self.types)?;
        if !bound
            .types()
            .zip(&self.types)
            .all(|(given, wanted)| Some(&given) == wanted.as_ref())
        {
            return Ok(None);
        }
        bound.bind(self.plan.clone(), 0).map(Some)
    }
}

/// Whether all parameters stand in filters of a plan that makes its rows out of one table.
fn filters_only(plan: &LogicalPlan) -> Result<bool> {
    let mut only = true;
    plan.apply(|node| {
        let may_have_parameters = match node {
            LogicalPlan::Filter(_) | LogicalPlan::TableScan(_) => true,
            LogicalPlan::Projection(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_) => false,
            _ => {
                only = false;
                return Ok(TreeNodeRecursion::Stop);
            }
        };
        node.apply_expressions(|expr| {
            let varies = expr.exists(|expr| {
                Ok(match expr {
                    Expr::Placeholder(_) => !may_have_parameters,
                    Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => true,
                    _ => false,
                })
            })?;
            only &= !varies;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(only)
}
