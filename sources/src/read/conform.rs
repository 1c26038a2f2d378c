//! Columns of a file as a schema declares them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::{Error, ErrorKind, Result};

/// Gives batches of a file the columns of a schema: by name, and cast where every value survives.
pub(super) struct Conform {
    target: SchemaRef,
    /// Of every column its position in the file; one that is missing there is null.
    positions: Vec<Option<usize>>,
}

impl Conform {
    /// Fails when a column that must have values is missing, or can never become what is declared.
    pub(super) fn new(file: &Schema, declared: Option<&SchemaRef>) -> Result<Self> {
        let Some(declared) = declared else {
            // What the writer noted about the file as a whole says nothing about the rows.
            return Ok(Self {
                target: Arc::new(Schema::new(file.fields().clone())),
                positions: (0..file.fields().len()).map(Some).collect(),
            });
        };
        let positions = declared.fields().iter().map(|field| position(file, field));
        Ok(Self {
            positions: positions.collect::<Result<_>>()?,
            target: SchemaRef::clone(declared),
        })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.target)
    }

    /// Positions of the columns that are needed, in order. Batches are expected to have only these from now on.
    pub(super) fn project(&mut self) -> Vec<usize> {
        let mut needed: Vec<usize> = self.positions.iter().flatten().copied().collect();
        needed.sort_unstable();
        for position in self.positions.iter_mut().flatten() {
            *position = needed.binary_search(position).unwrap_or(*position);
        }
        needed
    }

    /// The batch with the declared columns. Rows before it are counted for messages.
    pub(super) fn batch(&self, batch: &RecordBatch, rows_before: u64) -> Result<RecordBatch> {
        let columns = self.target.fields().iter().zip(&self.positions);
        let columns = columns.map(|(field, position)| {
            let Some(position) = position else {
                return Ok(new_null_array(field.data_type(), batch.num_rows()));
            };
            let values = batch
                .columns()
                .get(*position)
                .ok_or_else(|| bad("a column of the file went missing"))?;
            let values = cast(values, field)?;
            let missing = values
                .logical_nulls()
                .filter(|nulls| !field.is_nullable() && nulls.null_count() > 0);
            match missing.and_then(|nulls| nulls.iter().position(|valid| !valid)) {
                None => Ok(values),
                Some(row) => Err(bad("a value is missing in a column that must have one")
                    .with_context("column", field.name())
                    .with_context("row", rows_before + row as u64 + 1)),
            }
        });
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        RecordBatch::try_new(SchemaRef::clone(&self.target), columns).map_err(|error| {
            bad("a batch of the file does not have the columns that the file declares").with_source(error)
        })
    }
}

fn position(file: &Schema, field: &Field) -> Result<Option<usize>> {
    let Some((position, found)) = file.column_with_name(field.name()) else {
        if field.is_nullable() {
            return Ok(None);
        }
        return Err(bad("the file does not have a column that must have values").with_context("column", field.name()));
    };
    if castable(found.data_type(), field.data_type()) {
        return Ok(Some(position));
    }
    Err(
        bad("a column of the file cannot become what the schema declares; declare its own type")
            .with_context("column", field.name())
            .with_context("declared", field.data_type())
            .with_context("in the file", found.data_type()),
    )
}

/// Whether values may be the same in both types. Members of structs are found by position, so they have to be the same.
fn castable(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (from, to) if from == to => true,
        (DataType::Struct(from), DataType::Struct(to)) => {
            from.len() == to.len()
                && from
                    .iter()
                    .zip(to)
                    .all(|(from, to)| from.name() == to.name() && castable(from.data_type(), to.data_type()))
        }
        (DataType::List(from) | DataType::LargeList(from), DataType::List(to) | DataType::LargeList(to)) => {
            castable(from.data_type(), to.data_type())
        }
        (from, to) => can_cast_types(from, to) && can_cast_types(to, from),
    }
}

/// A cast that is taken back, to see whether all values are what they were.
fn cast(values: &ArrayRef, field: &Field) -> Result<ArrayRef> {
    if values.data_type() == field.data_type() {
        return Ok(Arc::clone(values));
    }
    let lossy = || {
        bad("values of a column of the file would change in the type that the schema declares; declare its own type")
            .with_context("column", field.name())
            .with_context("declared", field.data_type())
            .with_context("in the file", values.data_type())
    };
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let result = cast_with_options(values, field.data_type(), &strict).map_err(|error| lossy().with_source(error))?;
    let back = cast_with_options(&result, values.data_type(), &strict).map_err(|error| lossy().with_source(error))?;
    if back.as_ref() == values.as_ref() {
        Ok(result)
    } else {
        Err(lossy())
    }
}

fn bad(message: &str) -> Error {
    Error::new(ErrorKind::BadData, message)
}
