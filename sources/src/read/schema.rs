//! Columns that a source declares.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use jetway_odf::metadata::DataSchema;

use super::ddl;
use crate::{Error, ErrorKind, Result};

/// The declared columns, in either of the two ways to declare them.
pub(super) fn declared(schema: &Option<DataSchema>, ddl: &Option<Vec<String>>) -> Result<Option<SchemaRef>> {
    let schema = match (schema, ddl) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(invalid("a read step has either schema or ddlSchema; leave one out")),
        (Some(schema), None) => schema
            .to_arrow()
            .map_err(|error| invalid("the schema of the read step cannot be used").with_source(error))?,
        (None, Some(columns)) => ddl::parse(columns)?,
    };
    if schema.fields().is_empty() {
        return Err(invalid(
            "the schema of the read step has no columns; leave it out or name them",
        ));
    }
    let mut names = HashSet::new();
    match schema.fields().iter().find(|field| !names.insert(field.name())) {
        Some(field) => {
            Err(invalid("the schema of the read step has two columns of one name").with_context("column", field.name()))
        }
        None => Ok(Some(Arc::new(schema))),
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidSource, message)
}
