//! What SQL may do here. Every kind of plan is decided by name, so that one that a later version of DataFusion adds does
//! not compile before somebody has looked whether it opens a door to files, settings or the network.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::Statement as Ast;

use crate::ddl::{CreateStatement, DropStatement};
use crate::insert::InsertStatement;
use crate::modify::ModifyStatement;
use crate::view::ViewStatement;
use crate::{Error, ErrorKind, Result, bounds};

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

/// A statement that changes datasets, of a kind that is allowed.
#[derive(Debug)]
pub(crate) enum Change {
    Insert(InsertStatement),
    Modify(ModifyStatement),
    Create(CreateStatement),
    CreateView(ViewStatement),
    Drop(DropStatement),
}

impl Change {
    /// The same change, of datasets in a schema if it names none itself.
    ///
    /// # Errors
    /// `InvalidArgument` when the schema is no account.
    pub(crate) fn within(mut self, schema: Option<&str>) -> Result<Self> {
        match &mut self {
            Self::Insert(insert) => insert.table = insert.table.clone().within(schema)?,
            Self::Modify(modify) => modify.table = modify.table.clone().within(schema)?,
            Self::CreateView(create) => create.view = create.view.clone().within(schema)?,
            Self::Create(create) => create.table = create.table.clone().within(schema)?,
            Self::Drop(drop) => {
                let tables = drop.tables.iter().map(|table| table.clone().within(schema));
                drop.tables = tables.collect::<Result<_>>()?;
            }
        }
        Ok(self)
    }
}

/// Finds out which change a statement makes; none if it only reads or is not possible.
///
/// # Errors
/// `Unsupported` and `InvalidSql` for forms of the allowed statements that are not possible here.
pub(crate) fn change(statement: SqlStatement) -> Result<Option<Change>> {
    if let SqlStatement::CreateExternalTable(_) = statement {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "CREATE EXTERNAL TABLE is not possible here: files come in through a dataset's source, see `jetway add`",
        ));
    }
    let SqlStatement::Statement(ast) = statement else {
        return Ok(None);
    };
    Ok(match *ast {
        Ast::Insert(insert) => Some(Change::Insert(InsertStatement::new(&insert)?)),
        Ast::Update(update) => Some(Change::Modify(ModifyStatement::of_update(update)?)),
        Ast::Delete(delete) => Some(Change::Modify(ModifyStatement::of_delete(delete)?)),
        Ast::CreateView(create) => Some(Change::CreateView(ViewStatement::new(&create)?)),
        Ast::CreateTable(create) => Some(Change::Create(CreateStatement::new(create)?)),
        drop @ Ast::Drop { .. } => Some(Change::Drop(DropStatement::new(&drop)?)),
        _ => None,
    })
}

/// What people call the statement, such as `CREATE TABLE`.
fn first_words(statement: &str) -> String {
    let words = statement
        .split_whitespace()
        .take_while(|word| word.chars().all(|letter| letter.is_ascii_uppercase()));
    words.take(3).collect::<Vec<_>>().join(" ")
}

/// Refuses a plan with a node, at any depth, that does more than read, or with far too many of them.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    bounds::check_plan(plan)?;
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
            "{what} is not possible here; statements may read (SELECT, EXPLAIN, SHOW) and, sent as an update, add and change rows \
             (INSERT, UPDATE, DELETE) or make and remove datasets and views (CREATE TABLE, DROP TABLE, CREATE VIEW, DROP VIEW)"
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
