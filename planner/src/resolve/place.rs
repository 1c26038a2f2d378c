//! Where in the text a table is named.

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as SqlStatement;
use datafusion::sql::sqlparser::ast::{
    ObjectName, ObjectNamePart, Spanned, Statement as Ast, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::tokenizer::Location;

use crate::functions::meant_table;
use crate::{Error, ErrorKind};

/// The error about a table, with the place of its name. Of a call that no function has, it says so.
pub(super) fn locate(error: Error, statement: &SqlStatement, table: &TableReference) -> Error {
    let mut finder = Finder { table, found: None };
    let mut statement = statement;
    while let SqlStatement::Explain(explain) = statement {
        statement = &explain.statement;
    }
    if let SqlStatement::Statement(ast) = statement {
        let _ = Ast::visit(ast.as_ref(), &mut finder);
    }
    let Some((place, is_call)) = finder.found else {
        return error;
    };
    let mut message = error.message().to_owned();
    if is_call && error.kind() == ErrorKind::NotFound {
        message = format!("there is no table function {}", table.table());
        if let Some(meant) = meant_table(table.table()) {
            message.push_str(&format!("; did you mean {meant}?"));
        }
    }
    error.with_message(format!("{message} at Line: {}, Column: {}", place.line, place.column))
}

struct Finder<'a> {
    table: &'a TableReference,
    found: Option<(Location, bool)>,
}

impl Visitor for Finder<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args, .. } => self.look(name, args.is_some()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> ControlFlow<()> {
        self.look(name, false)
    }
}

impl Finder<'_> {
    fn look(&mut self, name: &ObjectName, is_call: bool) -> ControlFlow<()> {
        let parts: Vec<String> = name.0.iter().map(part).collect();
        let (last, schema) = (parts.last(), parts.iter().rev().nth(1));
        if last.map(String::as_str) == Some(self.table.table()) && schema.map(String::as_str) == self.table.schema() {
            self.found = Some((name.span().start, is_call));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// A part of a name, in lower case unless it is quoted.
fn part(part: &ObjectNamePart) -> String {
    match part {
        ObjectNamePart::Identifier(name) if name.quote_style.is_some() => name.value.clone(),
        ObjectNamePart::Identifier(name) => name.value.to_lowercase(),
        ObjectNamePart::Function(function) => function.name.value.to_lowercase(),
    }
}
