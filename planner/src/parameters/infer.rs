//! Types of parameters from the places where they stand.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::logical_expr::expr::{Case, Placeholder};
use datafusion::logical_expr::type_coercion::functions::{UDFCoercionExt, fields_with_udf};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, WindowFunctionDefinition,
};
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{Expr as AstExpr, Value, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use crate::parse::MAX_PARAMETERS;
use crate::{Error, ErrorKind, Result};

/// The types of all parameters of a plan where they are known, and the plan with these types in it.
pub(super) fn types(plan: LogicalPlan, count: usize) -> Result<(LogicalPlan, Vec<Option<DataType>>)> {
    let names = plan.get_parameter_names()?;
    if let Some(name) = names.iter().find(|name| !name.starts_with('$')) {
        return Err(Error::new(
            ErrorKind::InvalidSql,
            format!("parameters have no names: write ? or $1 instead of {name}"),
        ));
    }
    if count == 0 {
        return Ok((plan, Vec::new()));
    }
    let plan = plan
        .transform_up_with_subqueries(|node| Ok(Transformed::yes(without_casts(node))))
        .data()?;
    let mut found = Found::new(count);
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        look_at_node(node, &mut found);
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                look_at(expr, &schema, &mut found);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let types = found.types();
    Ok((set_types(plan, &types)?, types))
}

/// The types that placeholders of a foreign plan say, by number.
pub(super) fn declared(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>> {
    let mut declared: Vec<Option<DataType>> = Vec::new();
    let mut wrong = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                let Expr::Placeholder(placeholder) = expr else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                match number(placeholder) {
                    Some(number @ 1..=MAX_PARAMETERS) => {
                        if declared.len() < number {
                            declared.resize(number, None);
                        }
                        let data_type = placeholder.field.as_ref().map(|field| field.data_type().clone());
                        if let (Some(place), Some(data_type)) = (declared.get_mut(number - 1), data_type) {
                            *place = Some(data_type);
                        }
                    }
                    _ => wrong = Some(placeholder.id.clone()),
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    match wrong {
        None => Ok(declared),
        Some(name) => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("the parameter {name} is not one of the {MAX_PARAMETERS} that there may be"),
        )),
    }
}

/// Rows of `VALUES` in which parameters stand as they were written. DataFusion casts them to what the other rows of the column
/// have, which would cut values that only what is bound can tell the type of.
fn without_casts(node: LogicalPlan) -> LogicalPlan {
    let LogicalPlan::Values(mut values) = node else {
        return node;
    };
    if values.values.len() > 1 {
        for row in &mut values.values {
            for expr in row {
                if let Expr::Cast(cast) = expr
                    && let Expr::Placeholder(placeholder) = cast.expr.as_ref()
                {
                    *expr = Expr::Placeholder(placeholder.clone());
                }
            }
        }
    }
    LogicalPlan::Values(values)
}

/// What the places say, by number.
struct Found(Vec<Place>);

#[derive(Clone, PartialEq)]
enum Place {
    Unknown,
    Is(DataType),
    /// Places say different things, or nothing that could be relied on.
    Anything,
}

impl Found {
    fn new(count: usize) -> Self {
        Self(vec![Place::Unknown; count])
    }

    fn types(self) -> Vec<Option<DataType>> {
        let types = self.0.into_iter().map(|place| match place {
            Place::Is(data_type) => Some(data_type),
            Place::Unknown | Place::Anything => None,
        });
        types.collect()
    }

    fn place(&mut self, expr: &Expr) -> Option<&mut Place> {
        let Expr::Placeholder(placeholder) = expr else {
            return None;
        };
        self.0.get_mut(number(placeholder)?.checked_sub(1)?)
    }

    /// A place that wants a type.
    fn is(&mut self, expr: &Expr, data_type: &DataType) {
        if data_type.is_null() {
            return;
        }
        if let Some(place) = self.place(expr) {
            *place = match place {
                Place::Unknown => Place::Is(plain(data_type)),
                Place::Is(known) if *known == plain(data_type) => return,
                Place::Is(_) | Place::Anything => Place::Anything,
            };
        }
    }

    fn anything(&mut self, expr: &Expr) {
        if let Some(place) = self.place(expr) {
            *place = Place::Anything;
        }
    }
}

/// The type in the form in which clients send values.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Dictionary(_, values) => plain(values),
        other => other.clone(),
    }
}

fn number(placeholder: &Placeholder) -> Option<usize> {
    placeholder.id.strip_prefix('$')?.parse().ok()
}

fn look_at_node(node: &LogicalPlan, found: &mut Found) {
    match node {
        LogicalPlan::Limit(limit) => {
            for expr in [&limit.skip, &limit.fetch].into_iter().flatten() {
                found.is(expr, &DataType::Int64);
            }
        }
        LogicalPlan::Filter(filter) => found.is(&filter.predicate, &DataType::Boolean),
        LogicalPlan::Values(values) => {
            for (index, field) in values.schema.fields().iter().enumerate() {
                for expr in values.values.iter().filter_map(|row| row.get(index)) {
                    found.is(expr, field.data_type());
                }
            }
        }
        _ => {}
    }
}

fn look_at(expr: &Expr, schema: &DFSchema, found: &mut Found) {
    let type_of = |expr: &Expr| match expr {
        // What DataFusion found for a placeholder is no more than a copy of what stands beside it.
        Expr::Placeholder(_) => DataType::Null,
        expr => expr.get_type(schema).unwrap_or(DataType::Null),
    };
    match expr {
        Expr::BinaryExpr(binary) => {
            for (this, other) in [(&binary.left, &binary.right), (&binary.right, &binary.left)] {
                let other = type_of(other);
                match binary.op {
                    Operator::And | Operator::Or => found.is(this, &DataType::Boolean),
                    // The other side may be an interval or another time.
                    Operator::Plus | Operator::Minus if other.is_temporal() => found.anything(this),
                    Operator::StringConcat => found.is(this, &DataType::Utf8),
                    _ => found.is(this, &other),
                }
            }
        }
        Expr::Cast(cast) => found.is(&cast.expr, cast.field.data_type()),
        Expr::Like(like) | Expr::SimilarTo(like) => {
            found.is(&like.expr, &DataType::Utf8);
            found.is(&like.pattern, &DataType::Utf8);
        }
        Expr::Between(between) => {
            let [value, low, high] = [&between.expr, &between.low, &between.high];
            for (this, others) in [(value, [low, high]), (low, [value, high]), (high, [value, low])] {
                let known = others.map(|other| type_of(other));
                if let Some(known) = known.iter().find(|known| !known.is_null()) {
                    found.is(this, known);
                }
            }
        }
        Expr::InList(list) => {
            let value = type_of(&list.expr);
            let known = list.list.iter().map(type_of).find(|known| !known.is_null());
            let data_type = if value.is_null() {
                known.unwrap_or(DataType::Null)
            } else {
                value
            };
            for expr in std::iter::once(list.expr.as_ref()).chain(&list.list) {
                found.is(expr, &data_type);
            }
        }
        Expr::InSubquery(query) => {
            if let [field] = &query.subquery.subquery.schema().fields()[..] {
                found.is(&query.expr, field.data_type());
            }
        }
        Expr::Not(inner) | Expr::IsTrue(inner) | Expr::IsFalse(inner) => found.is(inner, &DataType::Boolean),
        Expr::Case(case) => look_at_case(case, &type_of, found),
        Expr::ScalarFunction(function) => look_at_call(function.func.as_ref(), &function.args, schema, found),
        Expr::AggregateFunction(function) => {
            look_at_call(function.func.as_ref(), &function.params.args, schema, found);
        }
        Expr::WindowFunction(function) => {
            let args = &function.params.args;
            match &function.fun {
                WindowFunctionDefinition::AggregateUDF(called) => look_at_call(called.as_ref(), args, schema, found),
                WindowFunctionDefinition::WindowUDF(called) => look_at_call(called.as_ref(), args, schema, found),
            }
        }
        _ => {}
    }
}

fn look_at_case(case: &Case, type_of: &dyn Fn(&Expr) -> DataType, found: &mut Found) {
    let first = |exprs: &[&Expr]| {
        let mut types = exprs.iter().map(|expr| type_of(expr));
        types.find(|known| !known.is_null())
    };
    let mut conditions: Vec<&Expr> = case.when_then_expr.iter().map(|(when, _)| when.as_ref()).collect();
    match &case.expr {
        Some(value) => {
            conditions.push(value);
            if let Some(known) = first(&conditions) {
                conditions.iter().for_each(|expr| found.is(expr, &known));
            }
        }
        None => conditions.iter().for_each(|expr| found.is(expr, &DataType::Boolean)),
    }
    let mut results: Vec<&Expr> = case.when_then_expr.iter().map(|(_, then)| then.as_ref()).collect();
    results.extend(case.else_expr.as_deref());
    if let Some(known) = first(&results) {
        results.iter().for_each(|expr| found.is(expr, &known));
    }
}

/// Asks a function what its arguments would be cast to.
fn look_at_call<F: UDFCoercionExt>(function: &F, args: &[Expr], schema: &DFSchema, found: &mut Found) {
    if !args.iter().any(|arg| matches!(arg, Expr::Placeholder(_))) {
        return;
    }
    for guess in [DataType::Null, DataType::Utf8, DataType::Int64, DataType::Float64] {
        let given = args.iter().map(|arg| match arg {
            Expr::Placeholder(_) => Ok(Arc::new(Field::new("argument", guess.clone(), true))),
            arg => arg.to_field(schema).map(|(_, field)| field),
        });
        let Ok(given) = given.collect::<Result<Vec<FieldRef>, DataFusionError>>() else {
            return;
        };
        let Ok(wanted) = fields_with_udf(&given, function) else {
            continue;
        };
        let mut told = false;
        for (arg, field) in args.iter().zip(&wanted) {
            if matches!(arg, Expr::Placeholder(_)) && !field.data_type().is_null() {
                found.is(arg, field.data_type());
                told = true;
            }
        }
        if told || !guess.is_null() {
            return;
        }
    }
}

/// Types that the columns which are filled give to parameters that stand alone in a column.
pub(super) fn fill(plan: &LogicalPlan, targets: &[Option<DataType>], types: &mut [Option<DataType>]) {
    let mut told = |column: usize, expr: &Expr| {
        let expr = match expr {
            Expr::Alias(alias) => alias.expr.as_ref(),
            expr => expr,
        };
        let Expr::Placeholder(placeholder) = expr else { return };
        let place = number(placeholder)
            .and_then(|number| number.checked_sub(1))
            .and_then(|index| types.get_mut(index));
        if let (Some(place), Some(Some(target))) = (place, targets.get(column)) {
            *place = Some(target.clone());
        }
    };
    match plan {
        LogicalPlan::Values(values) => {
            for row in &values.values {
                row.iter().enumerate().for_each(|(column, expr)| told(column, expr));
            }
        }
        LogicalPlan::Projection(projection) => {
            projection
                .expr
                .iter()
                .enumerate()
                .for_each(|(column, expr)| told(column, expr));
        }
        _ => {}
    }
}

/// The plan with other types of its placeholders.
pub(super) fn set_types(plan: LogicalPlan, types: &[Option<DataType>]) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|node| {
        let changed = node.map_expressions(|expr| {
            expr.transform_up(|expr| match expr {
                Expr::Placeholder(placeholder) => {
                    let data_type = number(&placeholder).and_then(|number| types.get(number.checked_sub(1)?)?.clone());
                    let field = data_type.map(|data_type| Arc::new(Field::new(&placeholder.id, data_type, true)));
                    let typed = Placeholder::new_with_field(placeholder.id, field);
                    Ok(Transformed::yes(Expr::Placeholder(typed)))
                }
                expr => Ok(Transformed::no(expr)),
            })
        })?;
        changed.map_data(|node| match node {
            LogicalPlan::Values(values) => LogicalPlanBuilder::values(values.values)?.build(),
            node => node.recompute_schema(),
        })
    });
    Ok(plan.data()?)
}

/// The statement with `arrow_cast($1, 'type')` for each parameter.
pub(super) fn cast_parameters(statement: SqlStatement, types: &[DataType]) -> Result<SqlStatement> {
    match statement {
        SqlStatement::Statement(mut ast) => match VisitMut::visit(ast.as_mut(), &mut CastParameters(types)) {
            ControlFlow::Continue(()) => Ok(SqlStatement::Statement(ast)),
            ControlFlow::Break(error) => Err(DataFusionError::from(error).into()),
        },
        SqlStatement::Explain(mut explain) => {
            *explain.statement = cast_parameters(*explain.statement, types)?;
            Ok(SqlStatement::Explain(explain))
        }
        other => Ok(other),
    }
}

struct CastParameters<'a>(&'a [DataType]);

impl VisitorMut for CastParameters<'_> {
    type Break = ParserError;

    fn post_visit_expr(&mut self, expr: &mut AstExpr) -> ControlFlow<ParserError> {
        let AstExpr::Value(value) = expr else {
            return ControlFlow::Continue(());
        };
        let Value::Placeholder(name) = &value.value else {
            return ControlFlow::Continue(());
        };
        let number = name.get(1..).and_then(|number| number.parse::<usize>().ok());
        let data_type = number.and_then(|number| self.0.get(number.checked_sub(1)?));
        let Some(data_type) = data_type.filter(|data_type| !data_type.is_null()) else {
            return ControlFlow::Continue(());
        };
        let text = format!("arrow_cast({name}, '{}')", data_type.to_string().replace('\'', "''"));
        let parsed = Parser::new(&GenericDialect {}).try_with_sql(&text);
        match parsed.and_then(|mut parser| parser.parse_expr()) {
            Ok(cast) => {
                *expr = cast;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}
