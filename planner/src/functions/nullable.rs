//! A subquery in the place of a value is NULL when it has no rows, even if its column holds none. The engine forgets that, so
//! that such a statement would fail where it runs.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, internal_err};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use crate::Result;

/// The plan with subqueries whose column may be NULL.
///
/// # Errors
/// None that can happen.
pub(crate) fn nullable_subqueries(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            found |=
                expr.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(subquery) if claims_a_value(subquery))))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if found {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    if !found {
        return Ok(plan);
    }
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = node.map_expressions(|expr| {
            expr.transform_up(|expr| match expr {
                Expr::ScalarSubquery(subquery) if claims_a_value(&subquery) => {
                    Ok(Transformed::yes(Expr::ScalarSubquery(loosen(subquery)?)))
                }
                other => Ok(Transformed::no(other)),
            })
        })?;
        Ok(Transformed::yes(node.data.recompute_schema()?))
    });
    Ok(plan.data()?)
}

/// Whether it says that there is no NULL, though there may be no row.
fn claims_a_value(subquery: &Subquery) -> bool {
    let plan = &subquery.subquery;
    let is_nullable = plan.schema().fields().first().is_none_or(|field| field.is_nullable());
    subquery.outer_ref_columns.is_empty() && !is_nullable && !has_a_row(plan)
}

fn has_a_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(node) => has_a_row(&node.input),
        LogicalPlan::SubqueryAlias(node) => has_a_row(&node.input),
        LogicalPlan::Aggregate(node) => node.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(node) => node.produce_one_row,
        _ => false,
    }
}

fn loosen(subquery: Subquery) -> Result<Subquery, DataFusionError> {
    let plan = subquery.subquery.as_ref().clone();
    let Some((table, field)) = plan.schema().iter().next() else {
        return Ok(subquery);
    };
    let (name, column) = (field.name().clone(), Expr::Column(Column::from((table, field))));
    let loosened = LOOSENED.call(vec![column]).alias_qualified(table.cloned(), name);
    let plan = LogicalPlanBuilder::from(plan).project([loosened])?.build()?;
    Ok(Subquery {
        subquery: Arc::new(plan),
        ..subquery
    })
}

static LOOSENED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Nullable {
        signature: Signature::any(1, Volatility::Immutable),
    }))
});

/// Gives its argument, of which it says that it may be NULL. No statement can name it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Nullable {
    signature: Signature,
}

impl ScalarUDFImpl for Nullable {
    fn name(&self) -> &str {
        "nullable"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType, DataFusionError> {
        internal_err!("nullable has a field, not only a type")
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs<'_>) -> Result<FieldRef, DataFusionError> {
        let field = arguments
            .arg_fields
            .first()
            .map(|field| Field::clone(field).with_nullable(true));
        field.map_or_else(
            || internal_err!("nullable takes one argument"),
            |field| Ok(Arc::new(field)),
        )
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue, DataFusionError> {
        let value = arguments.args.into_iter().next();
        value.map_or_else(|| internal_err!("nullable takes one argument"), Ok)
    }
}
