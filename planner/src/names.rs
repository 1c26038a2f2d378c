//! Results whose columns share a name, such as `SELECT a, b, a`. DataFusion wants every name once, so repeated ones are
//! planned under names of ours, and results get back those that were asked for.

use std::collections::HashSet;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{Expr as AstExpr, Ident, Query, Select, SelectItem, SetExpr, Statement as Ast};

use crate::Result;

/// What the names of ours begin with.
const PREFIX: &str = "__jetway_column_";

/// Whether planning failed because names are repeated.
pub(crate) fn are_repeated(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::Plan(message) => message.contains("unique expression names"),
        DataFusionError::SchemaError(error, _) => matches!(
            error.as_ref(),
            SchemaError::DuplicateQualifiedField { .. } | SchemaError::DuplicateUnqualifiedField { .. }
        ),
        _ => false,
    }
}

/// Gives the columns of the outermost SELECT that repeat a name other names; gives the aliases that were asked for, by column
/// of the list.
pub(crate) fn make_unique(statement: &mut SqlStatement) -> Vec<Option<String>> {
    let mut aliases = Vec::new();
    if let SqlStatement::Statement(ast) = statement
        && let Ast::Query(query) = ast.as_mut()
    {
        rewrite_query(query, &mut aliases);
    }
    aliases
}

fn rewrite_query(query: &mut Query, aliases: &mut Vec<Option<String>>) {
    rewrite_body(&mut query.body, aliases);
}

fn rewrite_body(body: &mut SetExpr, aliases: &mut Vec<Option<String>>) {
    match body {
        SetExpr::Select(select) => rewrite_select(select, aliases),
        SetExpr::Query(query) => rewrite_query(query, aliases),
        SetExpr::SetOperation { left, right, .. } => {
            rewrite_body(left, aliases);
            // The names of the first one count.
            rewrite_body(right, &mut Vec::new());
        }
        _ => {}
    }
}

fn rewrite_select(select: &mut Select, aliases: &mut Vec<Option<String>>) {
    let mut seen = HashSet::new();
    let mut expands = false;
    for (index, item) in select.projection.iter_mut().enumerate() {
        let (name, expr, alias) = match item {
            SelectItem::UnnamedExpr(expr) => (name_of(expr), expr.clone(), None),
            SelectItem::ExprWithAlias { expr, alias } => (
                alias.value.to_lowercase(),
                expr.clone(),
                Some(match alias.quote_style {
                    Some(_) => alias.value.clone(),
                    None => alias.value.to_lowercase(),
                }),
            ),
            // What a star stands for is not known yet.
            _ => {
                expands = true;
                aliases.push(None);
                continue;
            }
        };
        // Names of expressions leave out casts, so that other texts may have the same one.
        let is_computed = !matches!(expr, AstExpr::Identifier(_) | AstExpr::CompoundIdentifier(_)) && alias.is_none();
        if !seen.insert(name) || expands || is_computed {
            *item = SelectItem::ExprWithAlias {
                expr,
                alias: Ident::with_quote('"', format!("{PREFIX}{index}")),
            };
        }
        aliases.push(alias);
    }
}

/// About the name that the column gets: expressions with different ones are no trouble.
fn name_of(expr: &AstExpr) -> String {
    match expr {
        AstExpr::Identifier(name) => name.value.to_lowercase(),
        AstExpr::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, |name| name.value.to_lowercase()),
        other => other.to_string().to_lowercase(),
    }
}

/// The names that were asked for, of all columns of a plan for the rewritten statement.
pub(crate) fn wanted(plan: &LogicalPlan, aliases: &[Option<String>]) -> Result<Vec<String>> {
    let names = plan.schema().fields().iter().map(|field| {
        let Some(index) = field.name().strip_prefix(PREFIX).and_then(|index| index.parse().ok()) else {
            return Ok(field.name().clone());
        };
        match aliases.get::<usize>(index) {
            Some(Some(alias)) => Ok(alias.clone()),
            _ => Ok(planned_name(plan, field.name())?.unwrap_or_else(|| field.name().clone())),
        }
    });
    names.collect()
}

/// The name that an expression would have without the one of ours.
fn planned_name(plan: &LogicalPlan, ours: &str) -> Result<Option<String>> {
    let mut found = None;
    plan.apply(|node| {
        if let LogicalPlan::Projection(projection) = node {
            for expr in &projection.expr {
                if let Expr::Alias(alias) = expr
                    && alias.name == ours
                {
                    found = Some(match alias.expr.as_ref() {
                        Expr::Column(column) => column.name.clone(),
                        expr => expr.schema_name().to_string(),
                    });
                    return Ok(TreeNodeRecursion::Stop);
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// The schema with other names, in the order of its columns.
pub(crate) fn rename(schema: &Schema, names: &[String]) -> SchemaRef {
    let fields = schema.fields().iter().zip(names);
    let fields = fields.map(|(field, name)| field.as_ref().clone().with_name(name));
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()).into()
}
