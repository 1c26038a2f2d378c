//! Whether a statement gives the same rows at every run.

use std::any::Any;
use std::ops::ControlFlow;

use datafusion::common::DataFusionError;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{Expr as AstExpr, Visit, Visitor};

use crate::Result;
use crate::table::DatasetTable;

/// `plan` is not optimized yet. What a table function is called with is in the statement alone.
pub(crate) fn is_repeatable(
    session: &SessionState,
    statement: Option<&SqlStatement>,
    plan: &LogicalPlan,
) -> Result<bool> {
    if let Some(statement) = statement {
        let SqlStatement::Statement(statement) = statement else {
            return Ok(false);
        };
        if Visit::visit(statement.as_ref(), &mut Finder(session)).is_break() {
            return Ok(false);
        }
    }
    let mut repeatable = true;
    plan.apply_with_subqueries(|node| {
        repeatable = match node {
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_) => false,
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source)?;
                match provider.get_logical_plan() {
                    // What a table function gives.
                    Some(plan) => is_repeatable(session, None, &plan)
                        .map_err(|error| DataFusionError::External(Box::new(error)))?,
                    None => {
                        let provider: &dyn Any = provider.as_ref();
                        provider.is::<DatasetTable>()
                    }
                }
            }
            _ => true,
        };
        if repeatable {
            node.apply_expressions(|expr| {
                repeatable = !expr.exists(|expr| Ok(changes(expr)))?;
                Ok(go_on(repeatable))
            })?;
        }
        Ok(go_on(repeatable))
    })?;
    Ok(repeatable)
}

fn go_on(repeatable: bool) -> TreeNodeRecursion {
    if repeatable {
        TreeNodeRecursion::Continue
    } else {
        TreeNodeRecursion::Stop
    }
}

/// Whether a function says something else at another time or in another session.
fn changes(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => call.func.signature().volatility != Volatility::Immutable,
        Expr::AggregateFunction(call) => call.func.signature().volatility != Volatility::Immutable,
        Expr::ScalarVariable(..) => true,
        _ => false,
    }
}

/// Looks for calls of functions in the text.
struct Finder<'a>(&'a SessionState);

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &AstExpr) -> ControlFlow<()> {
        let AstExpr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let name = function.name.to_string().to_lowercase();
        match self.0.scalar_functions().get(&name) {
            Some(function) if function.signature().volatility != Volatility::Immutable => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}
