//! SQL that makes and removes datasets: CREATE TABLE and DROP TABLE.
//!
//! A table is a root dataset with a push source: with a primary key its rows are merged as upserts, without one they are
//! appended. What a dataset cannot keep (defaults, checks, references) is refused instead of forgotten.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{DdlStatement, LogicalPlan};
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use datafusion::sql::sqlparser::ast::{
    ColumnDef, ColumnOption, CreateTable, Expr, Ident, ObjectType, PrimaryKeyConstraint, Statement as Ast,
    TableConstraint,
};
use jetway_odf::metadata::MergeStrategy;

use crate::insert::{identifier, table_name};
use crate::{Error, ErrorKind, Result, TableName};

/// A CREATE TABLE that has been understood, but not planned.
#[derive(Debug)]
pub(crate) struct CreateStatement {
    pub(crate) table: TableName,
    pub(crate) if_not_exists: bool,
    /// What its rows are, if they come from a query.
    pub(crate) query: Option<SqlStatement>,
    columns: Vec<ColumnDef>,
    key: Vec<String>,
}

/// A DROP TABLE or DROP VIEW.
#[derive(Debug)]
pub(crate) struct DropStatement {
    pub(crate) views: bool,
    pub(crate) tables: Vec<TableName>,
    pub(crate) if_exists: bool,
}

impl CreateStatement {
    /// # Errors
    /// `Unsupported` for what a dataset cannot keep, `InvalidSql` for what contradicts itself.
    pub(crate) fn new(create: CreateTable) -> Result<Self> {
        check_form(&create)?;
        let CreateTable {
            name,
            if_not_exists,
            columns,
            constraints,
            query,
            ..
        } = create;
        if query.is_some() && !(columns.is_empty() && constraints.is_empty()) {
            return Err(unsupported(
                "CREATE TABLE with both columns and AS SELECT",
                "leave the columns out and cast in the query, or write CREATE TABLE and then INSERT INTO ... SELECT",
            ));
        }
        if query.is_none() && columns.is_empty() {
            return Err(invalid(format!(
                "CREATE TABLE {name} has no columns; write at least one"
            )));
        }
        let mut keys = Vec::new();
        for column in &columns {
            keys.extend(check_column(column)?);
        }
        for constraint in &constraints {
            keys.push(check_constraint(constraint)?);
        }
        if keys.len() > 1 {
            return Err(invalid(format!(
                "CREATE TABLE {name} has more than one primary key; name all of its columns in one PRIMARY KEY (...)"
            )));
        }
        Ok(Self {
            table: table_name(&name)?,
            if_not_exists,
            query: query.map(|query| SqlStatement::Statement(Box::new(Ast::Query(query)))),
            columns,
            key: keys.pop().unwrap_or_default(),
        })
    }

    /// The columns as they were written, those of the primary key without nulls.
    ///
    /// # Errors
    /// `InvalidSql` and `Unsupported` for types that are none, `InvalidSql` for a key whose columns are not there.
    pub(crate) async fn schema(&self, session: &SessionState) -> Result<SchemaRef> {
        let keeps = |option: &ColumnOption| matches!(option, ColumnOption::Null | ColumnOption::NotNull);
        let columns = self.columns.iter().cloned().map(|mut column| {
            column.options.retain(|option| keeps(&option.option));
            column
        });
        // DataFusion knows best what its names of types mean.
        let typed = CreateTableBuilder::new(Ident::new("columns").into())
            .columns(columns.collect())
            .build();
        let statement = SqlStatement::Statement(Box::new(Ast::CreateTable(typed)));
        let LogicalPlan::Ddl(DdlStatement::CreateMemoryTable(plan)) = session.statement_to_plan(statement).await?
        else {
            return Err(Error::new(
                ErrorKind::Internal,
                "CREATE TABLE was planned as something else",
            ));
        };
        let mut fields = Vec::new();
        for field in plan.input.schema().fields() {
            let is_key = self.key.contains(field.name());
            fields.push(field.as_ref().clone().with_nullable(field.is_nullable() && !is_key));
        }
        let missing = |name: &&String| !fields.iter().any(|field| field.name() == *name);
        if let Some(missing) = self.key.iter().find(missing) {
            return Err(invalid(format!(
                "the primary key names \"{missing}\", which is no column of the table"
            )));
        }
        Ok(Arc::new(Schema::new(fields)))
    }

    /// How rows meet those that are there.
    pub(crate) fn merge(&self) -> MergeStrategy {
        match self.key.as_slice() {
            [] => MergeStrategy::Append {},
            key => MergeStrategy::UpsertStream {
                primary_key: key.to_vec(),
            },
        }
    }
}

impl DropStatement {
    /// The DROP TABLE or DROP VIEW in a statement.
    ///
    /// # Errors
    /// `Unsupported` for what is no table and no view, and for CASCADE.
    pub(crate) fn new(statement: &Ast) -> Result<Self> {
        let Ast::Drop {
            object_type: object_type @ (ObjectType::Table | ObjectType::View),
            if_exists,
            names,
            cascade: false,
            restrict: _,
            purge: false,
            temporary: false,
            table: None,
        } = statement
        else {
            return Err(unsupported(
                "DROP in this form",
                "write DROP TABLE [IF EXISTS] dataset or DROP VIEW [IF EXISTS] view; datasets that are computed from it are dropped first",
            ));
        };
        Ok(Self {
            views: *object_type == ObjectType::View,
            tables: names.iter().map(table_name).collect::<Result<_>>()?,
            if_exists: *if_exists,
        })
    }
}

/// Refuses all that is written besides name, columns, primary key and query.
fn check_form(create: &CreateTable) -> Result<()> {
    let refused = [
        (
            create.temporary,
            "CREATE TEMPORARY TABLE",
            "use a dataset of your own account, and drop it afterwards",
        ),
        (
            create.external,
            "CREATE EXTERNAL TABLE",
            "files come in through a dataset's source: see `jetway add`",
        ),
        (
            create.or_replace,
            "CREATE OR REPLACE TABLE",
            "write DROP TABLE IF EXISTS first",
        ),
        (
            create.like.is_some() || create.clone.is_some(),
            "CREATE TABLE LIKE",
            "write CREATE TABLE ... AS SELECT * FROM ... LIMIT 0",
        ),
        (
            create.partition_by.is_some(),
            "PARTITION BY",
            "leave it out: files are left out by their statistics",
        ),
    ];
    if let Some((_, what, advice)) = refused.iter().find(|(there, ..)| *there) {
        return Err(unsupported(what, advice));
    }
    let plain = CreateTableBuilder::new(create.name.clone())
        .if_not_exists(create.if_not_exists)
        .columns(create.columns.clone())
        .constraints(create.constraints.clone())
        .query(create.query.clone())
        .build();
    if plain != *create {
        return Err(unsupported(
            "CREATE TABLE with options",
            "write name, columns, PRIMARY KEY (...) or AS SELECT, and nothing else",
        ));
    }
    Ok(())
}

/// The key, if the column says that it is one.
fn check_column(column: &ColumnDef) -> Result<Option<Vec<String>>> {
    let mut key = None;
    for option in &column.options {
        match &option.option {
            ColumnOption::Null | ColumnOption::NotNull => {}
            ColumnOption::PrimaryKey(_) => key = Some(vec![identifier(&column.name)]),
            other => {
                let words = other.to_string();
                return Err(unsupported(
                    &format!("\"{words}\" on column {}", column.name),
                    "a dataset keeps types, NOT NULL and PRIMARY KEY; leave the rest out",
                ));
            }
        }
    }
    Ok(key)
}

fn check_constraint(constraint: &TableConstraint) -> Result<Vec<String>> {
    let TableConstraint::PrimaryKey(PrimaryKeyConstraint { columns, .. }) = constraint else {
        return Err(unsupported(
            &format!("the constraint \"{constraint}\""),
            "a dataset keeps types, NOT NULL and PRIMARY KEY; leave the rest out",
        ));
    };
    let names = columns.iter().map(|column| match &column.column.expr {
        Expr::Identifier(name) => Ok(identifier(name)),
        other => Err(invalid(format!(
            "{other} is no column, and a primary key consists of columns"
        ))),
    });
    names.collect()
}

fn unsupported(what: &str, advice: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} is not possible here: {advice}"))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSql, message)
}
