//! SQL that the engine does not read as the standard says: rewritten where another text says the same, refused where the answer
//! would be wrong without a word.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Fetch, JoinConstraint, JoinOperator, LimitClause, Offset, Query, Select, SetExpr, Statement,
    TableFactor, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::{Error, ErrorKind, Result};

/// A query around another one, under a name that nothing else has.
const NAMED: &str = "SELECT * FROM (SELECT 1) AS __jetway_compared";

/// Rewrites a statement in place.
///
/// # Errors
/// `Unsupported` for what has no other text.
pub(crate) fn standardize(statement: &mut SqlStatement) -> Result<()> {
    match statement {
        SqlStatement::Explain(explain) => standardize(&mut explain.statement),
        SqlStatement::Statement(statement) => match Statement::visit(statement, &mut Standard) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        },
        _ => Ok(()),
    }
}

struct Standard;

impl VisitorMut for Standard {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        if let Some(fetch) = query.fetch.take() {
            match limit(fetch, query.limit_clause.take()) {
                Ok(limit) => query.limit_clause = Some(limit),
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        let joins = select.from.iter().flat_map(|table| &table.joins);
        for join in joins {
            let (JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)) = &join.join_operator
            else {
                continue;
            };
            if matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural) {
                return ControlFlow::Break(Error::new(
                    ErrorKind::Unsupported,
                    "USING and NATURAL are not possible in a RIGHT or FULL JOIN, where they would give NULL for rows without a \
                     partner: write ON a.key = b.key, and COALESCE(a.key, b.key) in the place of the key",
                ));
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        bind_tighter(expr);
        // A column of the subquery that is called like one outside would be taken for that one.
        if let Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } = expr
            && let Expr::Subquery(query) = right.as_mut()
        {
            match named(query) {
                Ok(named) => *query = named,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

/// `a -> b = c` is read as `a -> (b = c)`: the operators of JSON bind tighter than comparisons.
fn bind_tighter(expr: &mut Expr) {
    use BinaryOperator::{Arrow, HashArrow, HashLongArrow, LongArrow};
    let Expr::BinaryOp { op, right, .. } = expr else { return };
    if !matches!(op, Arrow | LongArrow | HashArrow | HashLongArrow) || leftmost(right).is_none() {
        return;
    }
    let nothing = || Expr::Value(Value::Null.into());
    let Expr::BinaryOp { left, op, mut right } = std::mem::replace(expr, nothing()) else {
        return;
    };
    let mut operand = right.as_mut();
    while leftmost(operand).is_some() {
        let Some(next) = leftmost(operand) else { return };
        operand = next;
    }
    let key = std::mem::replace(operand, nothing());
    *operand = Expr::BinaryOp {
        left,
        op,
        right: Box::new(key),
    };
    *expr = *right;
}

/// The first operand of an operator that binds less than those of JSON do.
fn leftmost(expr: &mut Expr) -> Option<&mut Expr> {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq, StringConcat};
    match expr {
        Expr::BinaryOp {
            left,
            op: Eq | NotEq | Lt | LtEq | Gt | GtEq | StringConcat,
            ..
        } => Some(left),
        Expr::IsNull(expr)
        | Expr::IsNotNull(expr)
        | Expr::IsTrue(expr)
        | Expr::IsNotTrue(expr)
        | Expr::IsFalse(expr)
        | Expr::IsNotFalse(expr)
        | Expr::IsUnknown(expr)
        | Expr::IsNotUnknown(expr)
        | Expr::IsDistinctFrom(expr, _)
        | Expr::IsNotDistinctFrom(expr, _)
        | Expr::InList { expr, .. }
        | Expr::InSubquery { expr, .. }
        | Expr::Between { expr, .. }
        | Expr::Like { expr, .. }
        | Expr::ILike { expr, .. }
        | Expr::SimilarTo { expr, .. } => Some(expr),
        Expr::AnyOp { left, .. } | Expr::AllOp { left, .. } => Some(left),
        _ => None,
    }
}

/// FETCH FIRST as a limit.
fn limit(fetch: Fetch, clause: Option<LimitClause>) -> Result<LimitClause> {
    let refused = |what: &str| {
        let message = format!("{what} is not possible here; write FETCH FIRST n ROWS ONLY, or LIMIT n");
        Err(Error::new(ErrorKind::Unsupported, message))
    };
    if fetch.percent || fetch.with_ties {
        return refused("FETCH with PERCENT or WITH TIES");
    }
    let offset: Option<Offset> = match clause {
        None => None,
        Some(LimitClause::LimitOffset {
            limit: None,
            offset,
            limit_by,
        }) if limit_by.is_empty() => offset,
        Some(_) => return refused("FETCH together with LIMIT"),
    };
    Ok(LimitClause::LimitOffset {
        // Without a number it means one row.
        limit: Some(
            fetch
                .quantity
                .unwrap_or_else(|| Expr::Value(Value::Number("1".to_owned(), false).into())),
        ),
        offset,
        limit_by: Vec::new(),
    })
}

/// The same query under a name.
fn named(query: &Query) -> Result<Box<Query>> {
    let parsed = Parser::new(&GenericDialect {})
        .try_with_sql(NAMED)
        .and_then(|mut parser| parser.parse_query());
    let mut outer =
        parsed.map_err(|error| Error::new(ErrorKind::Internal, "a query of ours does not parse").with_source(error))?;
    if let SetExpr::Select(select) = outer.body.as_mut()
        && let Some(table) = select.from.first_mut()
        && let TableFactor::Derived { subquery, .. } = &mut table.relation
    {
        **subquery = query.clone();
    }
    Ok(outer)
}
