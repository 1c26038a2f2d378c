//! The functions of SQL: which there are (`known.rs`), and table functions over datasets.
//!
//! `to_table('d')` gives the state that the events of a dataset add up to, `at('d', point)`
//! its events as of a point in its past, `to_table('d', point)` the state as of then, and `changes('d', from, to)` the events
//! between two points. A point is a system time, the offset of the last row, or the hash of a block.

mod hash;
mod known;
mod nullable;
mod point;
mod present;
mod state;
mod suggest;
mod wkt;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DFSchema, DataFusionError, TableReference, plan_datafusion_err};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ident};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{
    Expr as AstExpr, ExprWithAlias, FunctionArg, FunctionArgExpr, Statement as Ast, TableFactor, Visit, Visitor,
};
use jetway_odf::chain::ChainState;

pub(crate) use self::known::{Section, meant, meant_table, set_up};
pub(crate) use self::point::{Moments, Point};
pub(crate) use self::present::presentable;
pub(crate) use self::state::primary_key;
pub(crate) use self::suggest::nearest;
use crate::summary::DatasetSummary;
use crate::table::DatasetTable;
use crate::{Error, ErrorKind, Result, TableName};

/// Which function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Function {
    ToTable,
    At,
    Changes,
}

impl Function {
    const ALL: [Self; 3] = [Self::ToTable, Self::At, Self::Changes];

    fn name(self) -> &'static str {
        match self {
            Self::ToTable => "to_table",
            Self::At => "at",
            Self::Changes => "changes",
        }
    }

    fn usage(self) -> DataFusionError {
        let takes = match self {
            Self::ToTable => "the name of a dataset as text, and a point in its past if it is not to be the present",
            Self::At => "the name of a dataset as text, and a point in its past",
            Self::Changes => {
                "the name of a dataset as text, a point in its past behind which changes begin (or NULL for its beginning), and \
                 one with which they end if it is not to be the present"
            }
        };
        plan_datafusion_err!(
            "{} takes {takes}: a system time, an offset or a block hash",
            self.name()
        )
    }
}

/// A call of one of the functions with all that it says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    function: Function,
    dataset: String,
    /// Events up to here count, and this one does not.
    pub(crate) from: Option<Point>,
    /// The last moment that counts; the present unless given.
    pub(crate) to: Option<Point>,
}

impl Call {
    fn new(function: Function, arguments: &[Expr]) -> Result<Self, DataFusionError> {
        let point = |expr: &Expr| Point::new(expr).ok_or_else(|| function.usage());
        let is_null = |expr: &Expr| expr.as_literal().is_some_and(|value| value.is_null());
        let (dataset, from, to) = match (function, arguments) {
            (Function::ToTable, [dataset]) => (dataset, None, None),
            (Function::ToTable | Function::At, [dataset, to]) => (dataset, None, Some(point(to)?)),
            (Function::Changes, [dataset, from]) if is_null(from) => (dataset, None, None),
            (Function::Changes, [dataset, from]) => (dataset, Some(point(from)?), None),
            (Function::Changes, [dataset, from, to]) if is_null(from) => (dataset, None, Some(point(to)?)),
            (Function::Changes, [dataset, from, to]) => (dataset, Some(point(from)?), Some(point(to)?)),
            _ => return Err(function.usage()),
        };
        let dataset = dataset.as_literal().and_then(|value| value.try_as_str().flatten());
        Ok(Self {
            function,
            dataset: dataset.ok_or_else(|| function.usage())?.to_owned(),
            from,
            to,
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

    /// The result, of the events up to its last moment. `began` is the state of the chain at a block where changes begin.
    pub(crate) fn table(&self, events: &Events, began: Option<&ChainState>) -> Result<Arc<dyn TableProvider>> {
        let mut plan = events.plan.clone();
        if let Some(from) = self.from {
            self.check_order(events, began)?;
            let vocabulary = events.summary.state.vocabulary();
            let wanted = match (from, began.and_then(ChainState::last_offset)) {
                (Point::SystemTime(time), _) => Some(point::after_time(vocabulary, time)),
                (Point::Offset(offset), _) | (Point::Block(_), Some(offset)) => Some(point::behind(vocabulary, offset)),
                (Point::Block(_), None) => None,
            };
            if let Some(wanted) = wanted.filter(|_| events.has_rows()) {
                plan = plan.filter(wanted)?;
            }
        }
        if self.function == Function::ToTable {
            plan = state::project(plan, &events.summary)?;
        }
        Ok(Arc::new(ViewTable::new(plan.build()?, None)))
    }

    fn check_order(&self, events: &Events, began: Option<&ChainState>) -> Result<()> {
        let is_after = match (self.from, self.to) {
            (Some(from), Some(to)) => from.is_after(to),
            _ => false,
        };
        let ended = events.summary.state.sequence_number();
        if is_after || began.is_some_and(|began| began.sequence_number() > ended) {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "changes begin behind the point with which they end; write the earlier point first",
            ));
        }
        Ok(())
    }
}

/// The events of a dataset up to some moment.
pub(crate) struct Events {
    plan: LogicalPlanBuilder,
    /// The dataset at that moment.
    summary: Arc<DatasetSummary>,
}

impl Events {
    /// All rows of a table; `summary` is that of the table.
    pub(crate) fn all(name: &str, table: DatasetTable, summary: Arc<DatasetSummary>) -> Result<Self> {
        let plan = LogicalPlanBuilder::scan(TableReference::bare(name), provider_as_source(Arc::new(table)), None)?;
        Ok(Self { plan, summary })
    }

    /// Those that were there at a point. The columns are those that the dataset had then, which `then` tells.
    ///
    /// Rows may be older than their block, so that a time is looked for in the rows.
    pub(crate) fn until(self, point: Point, then: Arc<DatasetSummary>) -> Result<Self> {
        let vocabulary = self.summary.state.vocabulary();
        let plan = match point {
            Point::Block(_) => self.plan,
            _ if !self.has_rows() => self.plan,
            Point::Offset(offset) => self.plan.filter(point::up_to(vocabulary, offset))?,
            Point::SystemTime(time) => {
                let columns: Vec<Expr> = then.schema.fields().iter().map(|field| ident(field.name())).collect();
                self.plan.filter(point::by_time(vocabulary, time))?.project(columns)?
            }
        };
        Ok(Self { plan, summary: then })
    }

    /// The same as a table.
    pub(crate) fn table(self) -> Result<Arc<dyn TableProvider>> {
        Ok(Arc::new(ViewTable::new(self.plan.build()?, None)))
    }

    /// Whether there is a schema: before it there are no rows.
    fn has_rows(&self) -> bool {
        !self.summary.schema.fields().is_empty()
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
        let name = name.to_string();
        let Some(function) = Function::ALL
            .into_iter()
            .find(|function| function.name().eq_ignore_ascii_case(&name))
        else {
            return ControlFlow::Continue(());
        };
        let arguments = args.args.iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => constant(self.session, expr),
            other => Err(plan_datafusion_err!("{} does not take {other}", function.name())),
        });
        match arguments
            .collect::<Result<Vec<_>, _>>()
            .and_then(|arguments| Call::new(function, &arguments))
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
    for function in Function::ALL {
        // The names of functions are not folded to lower case before they are looked up.
        for name in [function.name().to_owned(), function.name().to_uppercase()] {
            let tables = Arc::clone(&tables);
            session.register_udtf(&name, Arc::new(Resolved { function, tables }));
        }
    }
}

/// A function whose results are there already, since finding datasets takes requests to storage.
#[derive(Debug)]
struct Resolved {
    function: Function,
    tables: Arc<HashMap<Call, Arc<dyn TableProvider>>>,
}

impl TableFunctionImpl for Resolved {
    fn call_with_args(&self, arguments: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>, DataFusionError> {
        let call = Call::new(self.function, arguments.exprs())?;
        let found = self.tables.get(&call).map(Arc::clone);
        found.ok_or_else(|| plan_datafusion_err!("{} cannot be called here", self.function.name()))
    }
}
