//! SQL that changes and removes rows: UPDATE and DELETE of datasets with a primary key.
//!
//! Both are queries over the state of the dataset whose rows are merged into it: an UPDATE gives rows with other values, which
//! become corrections, a DELETE gives rows that are retracted. The query runs when it is the statement's turn to commit, over the
//! head that the commit follows, so that nobody's change in between is lost.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::DataFusionError;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr, FromTable, Ident, ObjectName, ObjectNamePart, SelectItem, SetExpr,
    Statement as Ast, TableFactor, TableWithJoins, Update, Value,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use futures::future::BoxFuture;
use jetway_odf::metadata::MergeStrategy;

use crate::functions::primary_key;
use crate::insert::{InsertStatement, identifier, table_name};
use crate::merge::{APPEND, RETRACT};
use crate::summary::DatasetSummary;
use crate::{BatchStream, Error, ErrorKind, PinnedDataset, Result, SessionOptions, Subject, TableName};

/// An UPDATE or DELETE that has been understood, but not planned.
#[derive(Debug, Clone)]
pub(crate) struct ModifyStatement {
    pub(crate) table: TableName,
    /// What the statement calls the dataset.
    alias: Ident,
    /// New values by column; none of a DELETE.
    assignments: Option<Vec<(String, Expr)>>,
    selection: Option<Expr>,
}

/// A statement with all that it needs to be run at any head.
#[derive(Debug)]
pub(crate) struct Modification {
    pub(crate) subject: Subject,
    pub(crate) session: SessionOptions,
    pub(crate) statement: ModifyStatement,
    pub(crate) parameters: usize,
    pub(crate) values: Option<RecordBatch>,
    /// The dataset when the statement was planned.
    pub(crate) dataset: PinnedDataset,
    /// Schema of the rows that it gave then.
    pub(crate) schema: SchemaRef,
}

/// What a modification is to the committer of its dataset.
#[derive(Clone)]
pub(crate) struct Computation {
    /// The rows to merge, from what the dataset holds at its pinned head.
    pub(crate) rows: Arc<dyn Fn(PinnedDataset) -> BoxFuture<'static, Result<BatchStream>> + Send + Sync>,
    /// Whether each row has another key, as long as it is a correct statement.
    pub(crate) each_key_once: bool,
    /// Whether its events are what was changed; its rows otherwise.
    pub(crate) counts_events: bool,
}

impl fmt::Debug for Computation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Computation")
            .field("each_key_once", &self.each_key_once)
            .field("counts_events", &self.counts_events)
            .finish_non_exhaustive()
    }
}

impl ModifyStatement {
    /// # Errors
    /// `Unsupported` for forms that do more than change the rows of one dataset, `InvalidSql` for names that are none.
    pub(crate) fn of_update(update: Update) -> Result<Self> {
        let refused = [
            (
                update.from.is_some(),
                "UPDATE with FROM",
                "write the other dataset into a subquery",
            ),
            (
                update.returning.is_some() || update.output.is_some(),
                "RETURNING",
                "query the rows afterwards",
            ),
            (
                update.or.is_some() || update.limit.is_some() || !update.order_by.is_empty(),
                "UPDATE with OR, ORDER BY or LIMIT",
                "say in WHERE which rows are meant",
            ),
        ];
        check(&refused)?;
        let (table, alias) = target(&update.table)?;
        let assignments = update.assignments.into_iter().map(assignment).collect::<Result<_>>()?;
        Ok(Self {
            table,
            alias,
            assignments: Some(assignments),
            selection: update.selection,
        })
    }

    /// # Errors
    /// As [`Self::of_update`].
    pub(crate) fn of_delete(delete: Delete) -> Result<Self> {
        let refused = [
            (
                delete.using.is_some() || !delete.tables.is_empty(),
                "DELETE with USING or of several tables",
                "write the other dataset into a subquery",
            ),
            (
                delete.returning.is_some() || delete.output.is_some(),
                "RETURNING",
                "query the rows before",
            ),
            (
                delete.limit.is_some() || !delete.order_by.is_empty(),
                "DELETE with ORDER BY or LIMIT",
                "say in WHERE which rows are meant",
            ),
        ];
        check(&refused)?;
        let (FromTable::WithFromKeyword(tables) | FromTable::WithoutKeyword(tables)) = &delete.from;
        let [table] = tables.as_slice() else {
            return Err(unsupported(
                "DELETE of several tables",
                "send a statement for each of them",
            ));
        };
        let (table, alias) = target(table)?;
        Ok(Self {
            table,
            alias,
            assignments: None,
            selection: delete.selection,
        })
    }

    pub(crate) fn is_delete(&self) -> bool {
        self.assignments.is_none()
    }

    /// What adds the rows that the statement means for a dataset: its operation, event time and data columns.
    ///
    /// # Errors
    /// `Unsupported` for datasets without a key and for columns of the key, `InvalidSql` for columns that are not there.
    pub(crate) fn rows(&self, dataset: &PinnedDataset, summary: &DatasetSummary) -> Result<InsertStatement> {
        let vocabulary = summary.state.vocabulary();
        let key = key(dataset, summary)?;
        let system = vocabulary.names();
        let columns = summary.schema.fields().iter().map(|field| field.name().as_str());
        let data: Vec<&str> = columns.filter(|name| !system.contains(name)).collect();
        let assignments = self.assignments.as_deref().unwrap_or_default();
        for (index, (column, _)) in assignments.iter().enumerate() {
            if assignments.iter().take(index).any(|(other, _)| other == column) {
                return Err(invalid(format!("column \"{column}\" is set twice")));
            }
            if key.contains(column) {
                return Err(unsupported(
                    &format!("setting column \"{column}\", which is part of the primary key,"),
                    "DELETE the row and INSERT one with the other key",
                ));
            }
            if *column != vocabulary.event_time && system.contains(&column.as_str()) {
                return Err(invalid(format!(
                    "column \"{column}\" is filled in by the node; leave it out"
                )));
            }
            if *column != vocabulary.event_time && !data.contains(&column.as_str()) {
                return Err(invalid(format!(
                    "the dataset has no column \"{column}\"; it has {}",
                    data.join(", ")
                )));
            }
        }
        let operation = if self.is_delete() { RETRACT } else { APPEND };
        let mut names = vec![vocabulary.operation_type.clone()];
        let mut items = vec![item(Expr::value(number(operation)), &vocabulary.operation_type)];
        for name in [vocabulary.event_time.as_str()].into_iter().chain(data) {
            let set = assignments.iter().find(|(column, _)| column == name);
            let value = match set {
                Some((_, value)) => Expr::Nested(Box::new(value.clone())),
                None => Expr::CompoundIdentifier(vec![self.alias.clone(), Ident::with_quote('"', name)]),
            };
            items.push(item(value, name));
            names.push(name.to_owned());
        }
        Ok(InsertStatement::of_columns(
            TableName::Id(dataset.id),
            names,
            self.query(dataset, items)?,
        ))
    }

    fn query(&self, dataset: &PinnedDataset, items: Vec<SelectItem>) -> Result<SqlStatement> {
        let text = format!("SELECT 1 FROM to_table('{}') AS {}", dataset.id, self.alias);
        let mut query = Parser::new(&GenericDialect {})
            .try_with_sql(&text)
            .and_then(|mut parser| parser.parse_query())
            .map_err(DataFusionError::from)?;
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection = items;
            select.selection.clone_from(&self.selection);
        }
        Ok(SqlStatement::Statement(Box::new(Ast::Query(query))))
    }
}

/// How the rows of a modification are merged.
///
/// # Errors
/// `Unsupported` for datasets without a primary key.
pub(crate) fn merge(dataset: &PinnedDataset, summary: &DatasetSummary) -> Result<MergeStrategy> {
    Ok(MergeStrategy::UpsertStream {
        primary_key: key(dataset, summary)?.to_vec(),
    })
}

fn key<'a>(dataset: &PinnedDataset, summary: &'a DatasetSummary) -> Result<&'a [String]> {
    if summary.state.polling_source().is_some() {
        return Err(unsupported(
            "UPDATE or DELETE of a dataset that gets its rows by polling a source",
            "change the source and pull, or copy the rows into a dataset of your own",
        ));
    }
    match primary_key(&summary.state)? {
        [] => Err(unsupported(
            &format!("UPDATE or DELETE of {}, whose rows have no primary key,", dataset.alias),
            "add rows that say what changed, or make a dataset with CREATE TABLE ... (..., PRIMARY KEY (...)) and copy the rows \
             into it",
        )),
        key => Ok(key),
    }
}

fn item(expr: Expr, name: &str) -> SelectItem {
    SelectItem::ExprWithAlias {
        expr,
        alias: Ident::with_quote('"', name),
    }
}

fn number(operation: i32) -> Value {
    Value::Number(operation.to_string(), false)
}

fn target(table: &TableWithJoins) -> Result<(TableName, Ident)> {
    let TableFactor::Table {
        name,
        alias,
        args: None,
        ..
    } = &table.relation
    else {
        return Err(unsupported("changing what is no dataset", "name a dataset"));
    };
    if !table.joins.is_empty() {
        return Err(unsupported(
            "changing a join",
            "name one dataset, and write the others into subqueries",
        ));
    }
    let alias = match (alias, name.0.last()) {
        (Some(alias), _) => alias.name.clone(),
        (None, Some(ObjectNamePart::Identifier(last))) => Ident::with_quote('"', identifier(last)),
        _ => return Err(invalid(format!("{name} names no dataset"))),
    };
    Ok((table_name(name)?, alias))
}

fn assignment(assignment: Assignment) -> Result<(String, Expr)> {
    let AssignmentTarget::ColumnName(ObjectName(parts)) = &assignment.target else {
        return Err(unsupported(
            "setting several columns at once",
            "write SET a = ..., b = ...",
        ));
    };
    match parts.last() {
        Some(ObjectNamePart::Identifier(name)) => Ok((identifier(name), assignment.value)),
        _ => Err(invalid(format!("{} is no column", assignment.target))),
    }
}

fn check(refused: &[(bool, &str, &str)]) -> Result<()> {
    match refused.iter().find(|(there, ..)| *there) {
        Some((_, what, advice)) => Err(unsupported(what, advice)),
        None => Ok(()),
    }
}

fn unsupported(what: &str, advice: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} is not possible here: {advice}"))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidSql, message)
}
