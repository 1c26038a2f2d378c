//! The functions of SQL: which there are (`known.rs`), and table functions over datasets.
//!
//! `to_table('d')` gives the state that the events of a dataset add up to, `at('d', point)`
//! its events as of a point in its past, `to_table('d', point)` the state as of then. A point is a system time, the offset
//! of the last row, or the hash of a block.

mod hash;
mod known;
mod nullable;
mod point;
mod present;
mod state;
mod suggest;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DFSchema, DataFusionError, TableReference, plan_datafusion_err};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{
    Expr as AstExpr, ExprWithAlias, FunctionArg, FunctionArgExpr, Statement as Ast, TableFactor, Visit, Visitor,
};

pub(crate) use self::known::{Section, meant, meant_table, set_up};
pub(crate) use self::point::Bound;
use self::point::Point;
pub(crate) use self::present::presentable;
pub(crate) use self::suggest::nearest;
use crate::summary::DatasetSummary;
use crate::table::DatasetTable;
use crate::{Result, TableName};

const TO_TABLE: &str = "to_table";
const AT: &str = "at";

/// A call of one of the functions with all that it says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    wants_state: bool,
    dataset: String,
    pub(crate) point: Option<Point>,
}

impl Call {
    fn new(function: &str, arguments: &[Expr]) -> Result<Self, DataFusionError> {
        let usage = || match function {
            TO_TABLE => plan_datafusion_err!(
                "to_table takes the name of a dataset as text, and a point in its past: a system time, an offset or a block hash"
            ),
            _ => plan_datafusion_err!(
                "at takes the name of a dataset as text, and a point in its past: a system time, an offset or a block hash"
            ),
        };
        let (dataset, point) = match arguments {
            [dataset] if function == TO_TABLE => (dataset, None),
            [dataset, point] => (dataset, Some(Point::new(point).ok_or_else(usage)?)),
            _ => return Err(usage()),
        };
        let dataset = dataset.as_literal().and_then(|value| value.try_as_str().flatten());
        Ok(Self {
            wants_state: function == TO_TABLE,
            dataset: dataset.ok_or_else(usage)?.to_owned(),
            point,
        })
    }

    /// What the name may mean, the likelier meaning first: names of datasets have dots in them, and a dot stands between
    /// account and name as well.
    pub(crate) fn names(&self) -> Vec<Result<TableName>> {
        let whole = TableName::parse(None, None, &self.dataset);
        let reference = TableReference::parse_str(&self.dataset);
        let parts = TableName::parse(reference.catalog(), reference.schema(), reference.table());
        if self.dataset.contains('"') {
            vec![parts]
        } else if reference.schema().is_some() {
            vec![whole, parts]
        } else {
            vec![whole]
        }
    }

    /// The result as a table.
    pub(crate) fn table(
        &self,
        table: DatasetTable,
        summary: &DatasetSummary,
        bound: Option<Bound>,
    ) -> Result<Arc<dyn TableProvider>> {
        let mut plan = LogicalPlanBuilder::scan(self.dataset.as_str(), provider_as_source(Arc::new(table)), None)?;
        if let Some(bound) = bound {
            plan = plan.filter(bound.filter(summary.state.vocabulary()))?;
        }
        if self.wants_state {
            plan = state::project(plan, summary)?;
        }
        Ok(Arc::new(ViewTable::new(plan.build()?, None)))
    }
}

/// All calls in a statement, each once.
pub(crate) fn calls(session: &SessionState, statement: &SqlStatement) -> Result<Vec<Call>> {
    let mut found = Finder {
        session,
        calls: Vec::new(),
    };
    let ast = match statement {
        SqlStatement::Explain(explain) => return calls(session, &explain.statement),
        SqlStatement::Statement(ast) => ast,
        _ => return Ok(Vec::new()),
    };
    match Ast::visit(ast, &mut found) {
        ControlFlow::Continue(()) => Ok(found.calls),
        ControlFlow::Break(error) => Err(error.into()),
    }
}

struct Finder<'a> {
    session: &'a SessionState,
    calls: Vec<Call>,
}

impl Visitor for Finder<'_> {
    type Break = DataFusionError;

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<DataFusionError> {
        let TableFactor::Table {
            name, args: Some(args), ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let function = name.to_string().to_lowercase();
        if ![TO_TABLE, AT].contains(&function.as_str()) {
            return ControlFlow::Continue(());
        }
        let arguments = args.args.iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => constant(self.session, expr),
            other => Err(plan_datafusion_err!("{function} does not take {other}")),
        });
        match arguments
            .collect::<Result<Vec<_>, _>>()
            .and_then(|arguments| Call::new(&function, &arguments))
        {
            Ok(call) if self.calls.contains(&call) => {}
            Ok(call) => self.calls.push(call),
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// An argument as DataFusion will give it to the function.
fn constant(session: &SessionState, expr: &AstExpr) -> Result<Expr, DataFusionError> {
    let schema = DFSchema::empty();
    let expr = ExprWithAlias {
        expr: expr.clone(),
        alias: None,
    };
    let expr = session.create_logical_expr_from_sql_expr(expr, &schema)?;
    let context = SimplifyContext::builder()
        .with_config_options(Arc::clone(session.config_options()))
        .with_query_execution_start_time(session.execution_props().query_execution_start_time)
        .build();
    let simplifier = ExprSimplifier::new(context);
    simplifier.simplify(simplifier.coerce(expr, &schema)?)
}

/// Makes the functions known to a session with the tables that they give there.
pub(crate) fn register(session: &mut SessionState, tables: HashMap<Call, Arc<dyn TableProvider>>) {
    let tables = Arc::new(tables);
    for function in [TO_TABLE, AT] {
        // The names of functions are not folded to lower case before they are looked up.
        for name in [function.to_owned(), function.to_uppercase()] {
            let tables = Arc::clone(&tables);
            session.register_udtf(&name, Arc::new(Resolved { function, tables }));
        }
    }
}

/// A function whose results are there already, since finding datasets takes requests to storage.
#[derive(Debug)]
struct Resolved {
    function: &'static str,
    tables: Arc<HashMap<Call, Arc<dyn TableProvider>>>,
}

impl TableFunctionImpl for Resolved {
    fn call_with_args(&self, arguments: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let call = Call::new(self.function, arguments.exprs())?;
        let found = self.tables.get(&call).map(Arc::clone);
        found.ok_or_else(|| plan_datafusion_err!("{} cannot be called here", self.function))
    }
}
