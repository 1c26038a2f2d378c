//! SQL that makes and removes views: CREATE VIEW and DROP VIEW.
//!
//! A view is kept as text, and planned whenever somebody reads it (`resolve/view.rs`).

use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{CreateTableOptions, CreateView, Query, Statement as Ast};
use jetway_odf::identity::DatasetAlias;

use crate::insert::{identifier, table_name};
use crate::{Error, ErrorKind, Result, Subject, TableName, View};

/// A CREATE VIEW that has been understood, but not planned.
#[derive(Debug, Clone)]
pub(crate) struct ViewStatement {
    pub(crate) view: TableName,
    pub(crate) if_not_exists: bool,
    pub(crate) replaces: bool,
    query: String,
}

impl ViewStatement {
    /// # Errors
    /// `Unsupported` for views that are more than a query with a name, `InvalidSql` for names that are none.
    pub(crate) fn new(create: &CreateView) -> Result<Self> {
        let refused = [
            (
                create.materialized,
                "CREATE MATERIALIZED VIEW",
                "write CREATE TABLE ... AS SELECT",
            ),
            (
                create.temporary,
                "CREATE TEMPORARY VIEW",
                "write the query as WITH name AS (...)",
            ),
            (
                create.or_alter
                    || create.secure
                    || create.copy_grants
                    || create.with_no_schema_binding
                    || create.to.is_some()
                    || create.params.is_some()
                    || create.comment.is_some()
                    || !create.cluster_by.is_empty()
                    || create.options != CreateTableOptions::None,
                "CREATE VIEW with options",
                "write CREATE [OR REPLACE] VIEW name [(columns)] AS SELECT ...",
            ),
        ];
        if let Some((_, what, advice)) = refused.iter().find(|(there, ..)| *there) {
            return Err(unsupported(what, advice));
        }
        let view = table_name(&create.name)?;
        let mut columns = Vec::with_capacity(create.columns.len());
        for column in &create.columns {
            if column.data_type.is_some() || column.options.is_some() {
                return Err(unsupported(
                    &format!("a type or option of column {}", column.name),
                    "cast in the query",
                ));
            }
            columns.push(quoted(&identifier(&column.name)));
        }
        let query: &Query = &create.query;
        let query = match columns.as_slice() {
            [] => query.to_string(),
            columns => format!("SELECT * FROM ({query}) AS \"view\" ({})", columns.join(", ")),
        };
        Ok(Self {
            view,
            if_not_exists: create.if_not_exists,
            replaces: create.or_replace,
            query,
        })
    }

    /// What is to be kept.
    ///
    /// # Errors
    /// `InvalidArgument` when the name is a DID.
    pub(crate) fn view(&self, subject: &Subject) -> Result<View> {
        Ok(View {
            alias: alias(subject, &self.view)?,
            query: self.query.clone(),
        })
    }
}

/// The name of a view with its account: the subject's own unless it names one.
///
/// # Errors
/// `InvalidArgument` when the name is a DID.
pub(crate) fn alias(subject: &Subject, name: &TableName) -> Result<DatasetAlias> {
    match name {
        TableName::Alias(alias) => {
            let account = alias.account.clone().unwrap_or_else(|| subject.name().clone());
            Ok(DatasetAlias::new(Some(account), alias.name.clone()))
        }
        TableName::Id(id) => Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("{id} is the identity of a dataset, and a view has a name"),
        )),
    }
}

/// The query of a view, as a statement.
///
/// # Errors
/// `Unsupported` for other statements and for parameters.
pub(crate) fn check_query(statement: &SqlStatement, parameters: usize) -> Result<()> {
    let is_query = matches!(statement, SqlStatement::Statement(ast) if matches!(ast.as_ref(), Ast::Query(_)));
    if is_query && parameters == 0 {
        return Ok(());
    }
    Err(unsupported(
        "a view of anything but a query without parameters",
        "write CREATE VIEW name AS SELECT ...",
    ))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn unsupported(what: &str, advice: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} is not possible here: {advice}"))
}
