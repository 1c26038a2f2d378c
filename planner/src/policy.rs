//! What SQL may do here. Every kind of plan is decided by name, so that one that a later version of DataFusion adds does
//! not compile before somebody has looked whether it opens a door to files, settings or the network.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::Statement as Ast;

use crate::{Error, ErrorKind, Result};

/// Refuses a statement that does more than read by its kind alone, before its names are looked up.
pub(crate) fn check_kind(statement: &SqlStatement) -> Result<()> {
    match statement {
        SqlStatement::Explain(explain) => check_kind(&explain.statement),
        SqlStatement::Statement(ast) => match ast.as_ref() {
            Ast::Query(_)
            | Ast::Explain { .. }
            | Ast::ExplainTable { .. }
            | Ast::ShowTables { .. }
            | Ast::ShowColumns { .. }
            | Ast::ShowFunctions { .. }
            | Ast::ShowVariable { .. } => Ok(()),
            other => Err(refusal_of(&first_words(&other.to_string()))),
        },
        other => Err(refusal_of(&first_words(&other.to_string()))),
    }
}

/// What people call the statement, such as `CREATE TABLE`.
fn first_words(statement: &str) -> String {
    let words = statement
        .split_whitespace()
        .take_while(|word| word.chars().all(|letter| letter.is_ascii_uppercase()));
    words.take(3).collect::<Vec<_>>().join(" ")
}

/// Refuses a plan with a node, at any depth, that does more than read.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        refused = refusal(node);
        Ok(if refused.is_some() {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    })?;
    match refused {
        Some(what) => Err(refusal_of(&what)),
        None => Ok(()),
    }
}

fn refusal_of(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "{what} is not possible here; statements may read (SELECT, EXPLAIN, SHOW), add rows (INSERT, sent as \
             an update), and rows come in by ingest"
        ),
    )
}

fn refusal(node: &LogicalPlan) -> Option<String> {
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::DescribeTable(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_) => None,
        LogicalPlan::Dml(dml) => Some(format!("{}", dml.op)),
        LogicalPlan::Ddl(ddl) => Some(ddl.name().to_owned()),
        LogicalPlan::Copy(_) => Some("COPY".to_owned()),
        LogicalPlan::Statement(statement) => Some(statement.name().to_owned()),
        LogicalPlan::Extension(extension) => Some(extension.node.name().to_owned()),
    }
}
