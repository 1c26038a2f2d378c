//! The SQL of a source, between its reader and the merge: rows in under the name `input`, rows out.
//!
//! ```text
//!  rows ─► input ─► step 1 ─► ... ─► last step ─► rows
//!            └──────────┴── each step is a view that later ones may read
//! ```
//!
//! The steps see their input and each other, and no dataset. They run in one partition, so that rows come out in the
//! order in which they went in as far as the SQL does not say otherwise: merge strategies look at it, and the same file
//! has to give the same slice on every machine.

pub(crate) mod input;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream_partitioned;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::Statement as Ast;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use jetway_odf::metadata::{SqlQueryStep, Transform, TransformSql};

use crate::preprocess::input::Input;
use crate::session::Engine;
use crate::statement::declare;
use crate::{BatchStream, CATALOG, Error, ErrorKind, Result, policy};

/// Name of the table that the first step reads.
const INPUT: &str = "input";

/// The schema that input and steps are in; nobody has to write it.
const SCHEMA: &str = "source";

/// The engine that runs inside the node; the only one that sources may name.
const ENGINE: &str = "datafusion";

/// Runs a source's SQL over its rows. The result streams; the input is kept on disk only if the SQL reads it more than
/// once.
///
/// # Errors
/// `InvalidSql` naming the step, `Unsupported` for other engines and for what does more than read; in the stream, what
/// the values or the input fail with.
pub(crate) fn run<'a>(
    transform: &'a Transform,
    rows: BatchStream,
    engine: &'a Engine,
) -> BoxFuture<'a, Result<BatchStream>> {
    let Transform::Sql(sql) = transform;
    async move {
        let session = engine.isolated_session(SCHEMA);
        let tables = tables(&session)?;
        let input = Arc::new(Input::new(rows));
        tables.register_table(INPUT.to_owned(), input.table()?)?;
        let plan = plan(&session, &tables, sql).await?;
        let plan = session.optimize(&plan)?;
        if may_read_again(&plan)? {
            input.spool(engine).await?;
        }
        start(engine, session, plan).await
    }
    .boxed()
}

/// The one schema of a session that has nothing else.
fn tables(session: &SessionState) -> Result<Arc<MemorySchemaProvider>> {
    let tables = Arc::new(MemorySchemaProvider::new());
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::clone(&tables) as Arc<dyn SchemaProvider>)?;
    session
        .catalog_list()
        .register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Ok(tables)
}

/// Plans every step as a view over those before it; gives the last one.
async fn plan(session: &SessionState, tables: &MemorySchemaProvider, sql: &TransformSql) -> Result<LogicalPlan> {
    check(sql)?;
    let mut steps = steps(sql)?.into_iter().enumerate().peekable();
    while let Some((index, step)) = steps.next() {
        let plan = plan_step(session, step.query)
            .await
            .map_err(|error| error.with_context("preprocess", name_of(index, step.alias)))?;
        if steps.peek().is_none() {
            return Ok(plan);
        }
        let alias = step.alias.ok_or_else(|| {
            invalid(format!(
                "step {} of the source's SQL has no alias, so no later step can read it; only the last one may do without",
                index + 1
            ))
        })?;
        if tables.table_exist(alias) {
            return Err(invalid(format!(
                "two steps of the source's SQL are called `{alias}`; give each a name of its own, other than `{INPUT}`"
            )));
        }
        tables.register_table(alias.to_owned(), Arc::new(ViewTable::new(plan, None)))?;
    }
    Err(invalid(
        "the source's SQL has no steps; give a query, or leave `preprocess` out",
    ))
}

/// Plans one query. It may read and nothing else.
async fn plan_step(session: &SessionState, query: &str) -> Result<LogicalPlan> {
    let dialect = session.config_options().sql_parser.dialect;
    let statement = session.sql_to_statement(query, &dialect)?;
    if !matches!(&statement, SqlStatement::Statement(ast) if matches!(ast.as_ref(), Ast::Query(_))) {
        return Err(invalid(
            "a step of a source's SQL has to be a query, such as `SELECT * FROM input`",
        ));
    }
    let plan = session.statement_to_plan(statement).await?;
    policy::check(&plan)?;
    Ok(plan)
}

fn check(sql: &TransformSql) -> Result<()> {
    if !sql.engine.eq_ignore_ascii_case(ENGINE) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the SQL of a source runs in the engine `{ENGINE}`, not in `{}`; rewrite the source's `preprocess`",
                sql.engine
            ),
        ));
    }
    if sql.temporal_tables.as_ref().is_some_and(|tables| !tables.is_empty()) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the SQL of a source has no temporal tables; join in a derivative dataset instead",
        ));
    }
    Ok(())
}

/// A step in either form that manifests allow.
#[derive(Debug, Clone, Copy)]
struct Step<'a> {
    alias: Option<&'a str>,
    query: &'a str,
}

impl<'a> From<&'a SqlQueryStep> for Step<'a> {
    fn from(step: &'a SqlQueryStep) -> Self {
        Self {
            alias: step.alias.as_deref(),
            query: &step.query,
        }
    }
}

fn steps(sql: &TransformSql) -> Result<Vec<Step<'_>>> {
    match (sql.query.as_deref(), sql.queries.as_deref()) {
        (Some(query), None) => Ok(vec![Step { alias: None, query }]),
        (None, Some(queries)) => Ok(queries.iter().map(Step::from).collect()),
        (None, None) => Ok(Vec::new()),
        (Some(_), Some(_)) => Err(invalid(
            "the source's SQL has both `query` and `queries`; keep one of them",
        )),
    }
}

fn name_of(index: usize, alias: Option<&str>) -> String {
    match alias {
        Some(alias) => format!("step {} (`{alias}`)", index + 1),
        None => format!("step {}", index + 1),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSql, message)
}

/// Whether the input has to be there more than once. A recursive query reads its tables in every round.
fn may_read_again(plan: &LogicalPlan) -> Result<bool> {
    let (mut scans, mut recursive) = (0, false);
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::TableScan(scan) if scan.table_name.table() == INPUT => scans += 1,
            LogicalPlan::RecursiveQuery(_) => recursive = true,
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(scans > 1 || (recursive && scans > 0))
}

async fn start(engine: &Engine, session: SessionState, plan: LogicalPlan) -> Result<BatchStream> {
    let schema = Arc::new(plan.schema().as_arrow().clone());
    // What a plan spawns has to run where it was started. Partitions, such as the halves of a UNION ALL, come one after
    // another and not as they are ready.
    let partitions = engine
        .compute
        .spawn(async move {
            let physical = session.query_planner().create_physical_plan(&plan, &session).await?;
            execute_stream_partitioned(physical, session.task_ctx())
        })
        .join()
        .await??;
    let declared = Arc::clone(&schema);
    let batches = stream::iter(partitions)
        .flatten()
        .map(move |batch| declare(batch?, &declared));
    Ok(BatchStream::new(schema, engine.compute.run_ahead(batches)))
}
