//! How large a plan may become: few bytes of Substrait can ask for very many columns.

use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion_substrait::substrait::proto::read_rel::VirtualTable;
use datafusion_substrait::substrait::proto::rel::RelType;
use datafusion_substrait::substrait::proto::rel_common::EmitKind;
use datafusion_substrait::substrait::proto::{Rel, RelCommon};

use crate::{Error, ErrorKind, Result};

/// Most columns that a relation makes or gives. Each gets a name that no other one has, which takes time for each pair of them.
const MAX_COLUMNS: usize = 2_000;

/// Most columns of all relations of a plan together.
const MAX_ALL_COLUMNS: usize = 100_000;

/// Most values that stand in one virtual table.
const MAX_VALUES: usize = 100_000;

/// Counts the columns of a plan.
#[derive(Debug, Default)]
pub(super) struct Columns(AtomicUsize);

impl Columns {
    /// Counts the columns of one more relation.
    pub(super) fn add(&self, columns: usize) -> Result<()> {
        let all = self.0.fetch_add(columns, Ordering::Relaxed).saturating_add(columns);
        if columns > MAX_COLUMNS || all > MAX_ALL_COLUMNS {
            return Err(too_many("columns", MAX_COLUMNS));
        }
        Ok(())
    }
}

/// Refuses a relation that makes too many columns, before they are made.
pub(super) fn check(rel: &Rel) -> Result<()> {
    let Some(rel) = &rel.rel_type else { return Ok(()) };
    let (common, expressions) = match rel {
        RelType::Read(rel) => (&rel.common, 0),
        RelType::Filter(rel) => (&rel.common, 0),
        RelType::Fetch(rel) => (&rel.common, 0),
        RelType::Aggregate(rel) => (
            &rel.common,
            rel.measures.len() + rel.grouping_expressions.len() + rel.groupings.len(),
        ),
        RelType::Sort(rel) => (&rel.common, rel.sorts.len()),
        RelType::Join(rel) => (&rel.common, 0),
        RelType::Project(rel) => (&rel.common, rel.expressions.len()),
        RelType::Set(rel) => (&rel.common, rel.inputs.len()),
        RelType::Cross(rel) => (&rel.common, 0),
        _ => (&None, 0),
    };
    if emitted(common.as_ref()).max(expressions) > MAX_COLUMNS {
        return Err(too_many("columns or expressions", MAX_COLUMNS));
    }
    Ok(())
}

fn emitted(common: Option<&RelCommon>) -> usize {
    match common.and_then(|common| common.emit_kind.as_ref()) {
        Some(EmitKind::Emit(emit)) => emit.output_mapping.len(),
        _ => 0,
    }
}

/// Refuses a table of values in the plan that is too large.
#[expect(deprecated, reason = "older plans have their values there")]
pub(super) fn check_values(table: &VirtualTable) -> Result<()> {
    let literals = table.values.iter().map(|row| row.fields.len());
    let expressions = table.expressions.iter().map(|row| row.fields.len());
    if literals.chain(expressions).sum::<usize>() > MAX_VALUES {
        return Err(Error::new(
            ErrorKind::ResourceExhausted,
            format!("a virtual table has more than {MAX_VALUES} values: ingest them into a dataset, and read that"),
        ));
    }
    Ok(())
}

fn too_many(what: &str, most: usize) -> Error {
    Error::new(
        ErrorKind::ResourceExhausted,
        format!("a relation of the plan has more than {most} {what}: project fewer"),
    )
}
