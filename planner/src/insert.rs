//! SQL that adds rows: `INSERT INTO d (columns) SELECT ...` is an ingest of what its query gives.
//!
//! The rows have the columns of the dataset, so the SQL of its source is left out; its merge strategy applies. The query reads
//! the heads that were there when it was planned, also that of the dataset itself.

use arrow::datatypes::{DataType, Schema};
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{
    Ident, Insert, ObjectName, ObjectNamePart, Query, Statement as Ast, TableObject,
};
use jetway_odf::chain::Vocabulary;

use crate::summary::DatasetSummary;
use crate::{Error, ErrorKind, Result, TableName};

/// An INSERT that has been understood, but not planned.
#[derive(Debug)]
pub(crate) struct InsertStatement {
    pub(crate) table: TableName,
    /// As they were written; empty if they were not.
    columns: Vec<String>,
    /// What gives the rows.
    pub(crate) query: SqlStatement,
}

impl InsertStatement {
    /// # Errors
    /// `Unsupported` for forms of INSERT that do more than add rows, `InvalidSql` for names that are none.
    pub(crate) fn new(insert: &Insert) -> Result<Self> {
        let query = check_form(insert)?;
        let TableObject::TableName(name) = &insert.table else {
            return Err(unsupported("INSERT into a function"));
        };
        let table = table_name(name)?;
        let columns = insert
            .columns
            .iter()
            .map(|column| match identifiers(column)?.as_slice() {
                [column] => Ok(column.clone()),
                _ => Err(Error::new(
                    ErrorKind::InvalidSql,
                    format!("{column} is no column name; write it without a table"),
                )),
            });
        Ok(Self {
            table,
            columns: columns.collect::<Result<_>>()?,
            query: SqlStatement::Statement(Box::new(Ast::Query(query))),
        })
    }

    /// One that fills columns with what a query gives, in their order.
    pub(crate) fn of_columns(table: TableName, columns: Vec<String>, query: SqlStatement) -> Self {
        Self { table, columns, query }
    }

    /// Gives the rows of the query the names and types of the dataset's columns.
    ///
    /// # Errors
    /// `InvalidSql` for columns that are not there, that the node fills in, or that are too few or too many.
    pub(crate) fn project(&self, query: LogicalPlan, summary: &DatasetSummary) -> Result<LogicalPlan> {
        let vocabulary = summary.state.vocabulary();
        let given = query.schema().fields().len();
        let names = self.names(&summary.schema, vocabulary);
        if !names.is_empty() && names.len() != given {
            return Err(Error::new(
                ErrorKind::InvalidSql,
                format!(
                    "INSERT has values for {given} columns, and there are {} to fill: {}",
                    names.len(),
                    names.join(", ")
                ),
            ));
        }
        let mut columns = Vec::with_capacity(given);
        for (index, (qualifier, field)) in query.schema().iter().enumerate() {
            let name = names.get(index).unwrap_or_else(|| field.name());
            let value = Expr::Column(Column::from((qualifier, field)));
            let value = match target(name, &summary.schema, vocabulary)? {
                Some(data_type) if data_type != *field.data_type() => cast(value, data_type),
                _ => value,
            };
            columns.push(value.alias(name));
        }
        Ok(LogicalPlanBuilder::from(query).project(columns)?.build()?)
    }

    /// The types of the columns to fill, in the order of the query's; none where they are not known.
    ///
    /// # Errors
    /// As [`Self::project`] for columns that are not there.
    pub(crate) fn types(&self, summary: &DatasetSummary) -> Result<Vec<Option<DataType>>> {
        let vocabulary = summary.state.vocabulary();
        let names = self.names(&summary.schema, vocabulary);
        names
            .iter()
            .map(|name| target(name, &summary.schema, vocabulary))
            .collect()
    }

    /// The columns to fill, in the order of the query's: all data columns unless others were written.
    fn names(&self, schema: &Schema, vocabulary: &Vocabulary) -> Vec<String> {
        if !self.columns.is_empty() {
            return self.columns.clone();
        }
        let system = vocabulary.names();
        let names = schema.fields().iter().map(|field| field.name().clone());
        names.filter(|name| !system.contains(&name.as_str())).collect()
    }
}

/// The type that a column is filled with; none if the dataset has no columns yet.
fn target(name: &str, schema: &Schema, vocabulary: &Vocabulary) -> Result<Option<DataType>> {
    if *name == vocabulary.offset || *name == vocabulary.system_time {
        return Err(Error::new(
            ErrorKind::InvalidSql,
            format!("column \"{name}\" is filled in by the node; leave it out"),
        ));
    }
    if schema.fields().is_empty() {
        return Ok(None);
    }
    let mut fields = schema.fields().iter();
    match fields.find(|field| field.name() == name) {
        Some(field) => Ok(Some(field.data_type().clone())),
        None => {
            let known = schema.fields().iter().map(|field| field.name().as_str()).take(50);
            Err(
                Error::new(ErrorKind::InvalidSql, format!("the dataset has no column \"{name}\""))
                    .with_context("columns", known.collect::<Vec<_>>().join(", ")),
            )
        }
    }
}

/// The query of a plain INSERT.
fn check_form(insert: &Insert) -> Result<Box<Query>> {
    let extras = [
        (insert.or.is_some() || insert.on.is_some(), "INSERT with ON CONFLICT"),
        (insert.overwrite || insert.replace_into, "INSERT that replaces rows"),
        (
            insert.ignore || insert.priority.is_some(),
            "INSERT with MySQL's options",
        ),
        (
            insert.returning.is_some() || insert.output.is_some(),
            "INSERT with RETURNING",
        ),
        (
            insert.partitioned.is_some() || !insert.after_columns.is_empty(),
            "INSERT into a partition",
        ),
        (
            insert.settings.is_some() || insert.format_clause.is_some(),
            "INSERT with settings",
        ),
        (
            insert.multi_table_insert_type.is_some() || !insert.multi_table_into_clauses.is_empty(),
            "INSERT into several tables",
        ),
        (
            insert.table_alias.is_some() || insert.insert_alias.is_some() || !insert.assignments.is_empty(),
            "INSERT in this form",
        ),
    ];
    if let Some((_, what)) = extras.iter().find(|(there, _)| *there) {
        return Err(unsupported(what));
    }
    insert
        .source
        .clone()
        .ok_or_else(|| unsupported("INSERT without VALUES or SELECT"))
}

fn unsupported(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{what} is not possible here; write INSERT INTO dataset (columns) SELECT ... or VALUES ..."),
    )
}

/// The dataset that a name in SQL means.
///
/// # Errors
/// `InvalidSql` for names of too many parts, and those of [`TableName::parse`].
pub(crate) fn table_name(name: &ObjectName) -> Result<TableName> {
    match identifiers(name)?.as_slice() {
        [table] => TableName::parse(None, None, table),
        [schema, table] => TableName::parse(None, Some(schema), table),
        [catalog, schema, table] => TableName::parse(Some(catalog), Some(schema), table),
        _ => Err(Error::new(
            ErrorKind::InvalidSql,
            format!("{name} names no dataset; write account.name or name"),
        )),
    }
}

/// What an identifier stands for: without quotes it means lower case, as everywhere.
pub(crate) fn identifier(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// The parts of a name; those that are not quoted mean lower case, as everywhere.
fn identifiers(name: &ObjectName) -> Result<Vec<String>> {
    let parts = name.0.iter().map(|part| match part {
        ObjectNamePart::Identifier(ident) => Ok(identifier(ident)),
        ObjectNamePart::Function(_) => Err(Error::new(ErrorKind::InvalidSql, format!("{name} is no name"))),
    });
    parts.collect()
}
