//! The columns that merges work with, and what a strategy says about them.
//!
//! ```text
//!  pushed:    [operation] [event time]  data...
//!  prepared:  key | arrival | operation | event time | data...
//!  entries:   key | offset  | dead      | event time | data...        what an index holds
//!  merged:                    operation | event time | data...
//! ```

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int32Array, Int64Array, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Int64Type, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use jetway_odf::chain::Vocabulary;
use jetway_odf::metadata::MergeStrategy;

use crate::merge::index::{Content, Layout};
use crate::{Error, ErrorKind, Result};

/// The primary key as bytes that sort as its columns do, nulls first.
pub(super) const KEY: usize = 0;
/// What comes later has a larger number: place in the input, or offset.
pub(super) const ORDER: usize = 1;
/// The operation of a prepared row; in an entry, whether it is a retraction.
pub(super) const OPERATION: usize = 2;
/// Event time; it and the data columns behind it are called the values of a row.
pub(super) const VALUES: usize = 3;

/// Operations as slices have them.
pub(crate) const APPEND: i32 = 0;
pub(crate) const RETRACT: i32 = 1;
pub(super) const CORRECT_FROM: i32 = 2;
pub(crate) const CORRECT_TO: i32 = 3;

/// The columns of one merge.
#[derive(Debug)]
pub(super) struct Columns {
    prepared: SchemaRef,
    output: SchemaRef,
    vocabulary: Arc<Vocabulary>,
    pushes_operation: bool,
    pushes_event_time: bool,
    /// Key columns, counted among the values.
    key: Vec<usize>,
    converter: RowConverter,
    /// Columns whose change counts, counted among the values; without the event time.
    compared: Vec<usize>,
    compares_event_time: bool,
}

impl Columns {
    pub(super) const KEY_AND_OPERATION: [usize; 3] = [KEY, OPERATION, ORDER];
    pub(super) const TIME_AND_ORDER: [usize; 2] = [VALUES, ORDER];

    /// # Errors
    /// `InvalidArgument` naming the column that the strategy asks for and that is not there or cannot be in a key.
    pub(super) fn new(
        strategy: &MergeStrategy,
        vocabulary: &Arc<Vocabulary>,
        schema: &Schema,
        pushed: &Schema,
    ) -> Result<Self> {
        let values = values(vocabulary, schema)?;
        let first = |index: usize, name: &str| pushed.fields().get(index).is_some_and(|field| field.name() == name);
        let pushes_operation = first(0, &vocabulary.operation_type);
        let pushes_event_time = first(usize::from(pushes_operation), &vocabulary.event_time);
        check_operation(strategy, vocabulary, pushes_operation)?;
        let key = positions(key_names(strategy), &values, vocabulary, "primary key")?;
        if key.is_empty() && !matches!(strategy, MergeStrategy::Append {}) {
            return Err(invalid(
                "the source's merge strategy has no primary key; name at least one column in `primaryKey`",
            ));
        }
        let sort_fields = key.iter().filter_map(|index| values.get(*index));
        let sort_fields: Vec<SortField> = sort_fields
            .map(|field| SortField::new(field.data_type().clone()))
            .collect();
        if !RowConverter::supports_fields(&sort_fields) {
            return Err(invalid(
                "a column of the primary key has a type that has no order; choose other columns",
            ));
        }
        let all: Vec<usize> = (0..values.len()).filter(|index| !key.contains(index)).collect();
        let compared = match strategy {
            MergeStrategy::Snapshot {
                compare_columns: Some(names),
                ..
            } => positions(names, &values, vocabulary, "compared columns")?,
            _ => all,
        };
        let operation: FieldRef = Arc::new(Field::new(&vocabulary.operation_type, DataType::Int32, false));
        let lead = [
            Arc::new(Field::new("key", DataType::Binary, false)),
            Arc::new(Field::new("arrival", DataType::Int64, false)),
        ];
        let merged: Vec<FieldRef> = [operation].into_iter().chain(values).collect();
        Ok(Self {
            prepared: Arc::new(Schema::new(lead.into_iter().chain(merged.clone()).collect::<Vec<_>>())),
            output: Arc::new(Schema::new(merged)),
            vocabulary: Arc::clone(vocabulary),
            pushes_operation,
            pushes_event_time,
            key,
            converter: RowConverter::new(sort_fields)?,
            compares_event_time: compared.contains(&0),
            compared: compared.into_iter().filter(|index| *index != 0).collect(),
        })
    }

    pub(super) fn prepared(&self) -> &SchemaRef {
        &self.prepared
    }

    pub(super) fn output(&self) -> &SchemaRef {
        &self.output
    }

    /// Columns whose change counts, counted among the values, without the event time.
    pub(super) fn compared(&self) -> &[usize] {
        &self.compared
    }

    /// Whether another event time is a change.
    pub(super) fn compares_event_time(&self) -> bool {
        self.compares_event_time
    }

    /// Event time and data columns.
    pub(super) fn values(&self) -> &[FieldRef] {
        self.output.fields().get(1..).unwrap_or_default()
    }

    /// What an index over this key holds.
    pub(super) fn layout(&self, content: Content) -> Layout {
        Layout::new(&self.vocabulary, self.values(), &self.key, content)
    }

    /// A pushed batch with its keys as bytes; `first` is the number of rows before it.
    ///
    /// # Errors
    /// `InvalidArgument` naming the key column that holds a null, or the operation that is none.
    pub(super) fn prepare(&self, batch: &RecordBatch, first: i64) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut pushed = batch.columns().iter();
        let operation: ArrayRef = if self.pushes_operation {
            let operation = pushed.next().ok_or_else(lost)?;
            self.check_operations(operation)?;
            Arc::clone(operation)
        } else {
            Arc::new(Int32Array::from(vec![APPEND; rows]))
        };
        let values = self.values();
        let event_time = match (self.pushes_event_time, values.first()) {
            (true, _) => Arc::clone(pushed.next().ok_or_else(lost)?),
            (false, Some(field)) => new_null_array(field.data_type(), rows),
            (false, None) => return Err(lost()),
        };
        let values: Vec<ArrayRef> = [event_time].into_iter().chain(pushed.cloned()).collect();
        self.check_keys(&values, first)?;
        let key = encode_keys(&self.converter, &self.key, &values, rows)?;
        let arrival = Int64Array::from_iter_values(first..first + rows as i64);
        let lead: [ArrayRef; 3] = [Arc::new(key), Arc::new(arrival), operation];
        Ok(RecordBatch::try_new(
            Arc::clone(&self.prepared),
            lead.into_iter().chain(values).collect(),
        )?)
    }

    /// A prepared or merged batch without key and order.
    pub(super) fn finish(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let surplus = batch.num_columns().saturating_sub(self.output.fields().len());
        let columns = batch.columns().get(surplus..).unwrap_or_default().to_vec();
        Ok(RecordBatch::try_new(Arc::clone(&self.output), columns)?)
    }

    fn check_operations(&self, operation: &ArrayRef) -> Result<()> {
        let operations = operation.as_primitive_opt::<Int32Type>().ok_or_else(lost)?;
        let wrong = operations
            .iter()
            .find(|operation| operation.is_none_or(|operation| !(APPEND..=CORRECT_TO).contains(&operation)));
        match wrong {
            None => Ok(()),
            Some(found) => Err(invalid(format!(
                "column \"{}\" holds {}; operations are 0 (append), 1 (retract), 2 (correct from) and 3 (correct to)",
                self.vocabulary.operation_type,
                found.map_or_else(|| "a null".to_owned(), |found| found.to_string())
            ))),
        }
    }

    /// A row without a key could neither be found again nor be told from others.
    fn check_keys(&self, values: &[ArrayRef], first: i64) -> Result<()> {
        for (index, column) in self.key.iter().filter_map(|index| Some((*index, values.get(*index)?))) {
            if column.null_count() == 0 {
                continue;
            }
            let row = (0..column.len()).find(|row| column.is_null(*row)).unwrap_or_default();
            let name = self.values().get(index).map_or("", |field| field.name());
            return Err(invalid(format!(
                "column \"{name}\" is part of the primary key and is null in row {} of the input; give it a value, or leave \
                 such rows out in the source's `preprocess`",
                first.saturating_add(row as i64).saturating_add(1)
            )));
        }
        Ok(())
    }
}

/// Encodes the key columns of rows.
pub(super) fn encode_keys(
    converter: &RowConverter,
    key: &[usize],
    values: &[ArrayRef],
    rows: usize,
) -> Result<BinaryArray> {
    if key.is_empty() {
        return Ok(BinaryArray::from_iter_values(std::iter::repeat_n(b"", rows)));
    }
    let columns: Vec<ArrayRef> = key.iter().filter_map(|index| values.get(*index).cloned()).collect();
    Ok(converter.convert_columns(&columns)?.try_into_binary()?)
}

/// The keys of a batch of prepared rows or entries.
pub(super) fn keys(batch: &RecordBatch) -> Result<&BinaryArray> {
    batch
        .columns()
        .get(KEY)
        .and_then(|column| column.as_binary_opt::<i32>())
        .ok_or_else(lost)
}

/// The order of a batch of prepared rows or entries.
pub(super) fn order(batch: &RecordBatch) -> Result<&Int64Array> {
    batch
        .columns()
        .get(ORDER)
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        .ok_or_else(lost)
}

/// Event time and data columns of a dataset; the event time may be null until it is filled in.
fn values(vocabulary: &Vocabulary, schema: &Schema) -> Result<Vec<FieldRef>> {
    let event_time = schema.field_with_name(&vocabulary.event_time).map_err(|_| {
        invalid(format!(
            "the dataset has no event time column \"{}\", so only appending is possible",
            vocabulary.event_time
        ))
    })?;
    let event_time = Arc::new(event_time.clone().with_nullable(true));
    let system = vocabulary.names();
    let data = schema
        .fields()
        .iter()
        .filter(|field| !system.contains(&field.name().as_str()))
        .cloned();
    Ok([event_time].into_iter().chain(data).collect())
}

fn key_names(strategy: &MergeStrategy) -> &[String] {
    match strategy {
        MergeStrategy::Append {} => &[],
        MergeStrategy::Ledger { primary_key }
        | MergeStrategy::Snapshot { primary_key, .. }
        | MergeStrategy::ChangelogStream { primary_key }
        | MergeStrategy::UpsertStream { primary_key } => primary_key,
    }
}

fn positions(names: &[String], values: &[FieldRef], vocabulary: &Vocabulary, what: &str) -> Result<Vec<usize>> {
    let mut positions = Vec::with_capacity(names.len());
    for name in names {
        let Some(position) = values.iter().position(|field| field.name() == name) else {
            let why = if vocabulary.names().contains(&name.as_str()) {
                "which the node fills in; choose columns of the data"
            } else {
                "which the dataset does not have; correct the source's merge strategy"
            };
            let known: Vec<&str> = values.iter().map(|field| field.name().as_str()).take(50).collect();
            return Err(
                invalid(format!("the {what} names column \"{name}\", {why}")).with_context("columns", known.join(", "))
            );
        };
        if !positions.contains(&position) {
            positions.push(position);
        }
    }
    Ok(positions)
}

fn check_operation(strategy: &MergeStrategy, vocabulary: &Vocabulary, pushed: bool) -> Result<()> {
    let name = &vocabulary.operation_type;
    match strategy {
        MergeStrategy::ChangelogStream { .. } if !pushed => Err(invalid(format!(
            "a changelog says in column \"{name}\" what each row does, and the rows have no such column"
        ))),
        MergeStrategy::Append {} | MergeStrategy::Ledger { .. } | MergeStrategy::Snapshot { .. } if pushed => {
            Err(invalid(format!(
                "column \"{name}\" only has a meaning for changelog and upsert streams; leave it out or rename it"
            )))
        }
        _ => Ok(()),
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

pub(super) fn lost() -> Error {
    Error::new(ErrorKind::Internal, "a column got lost on the way through a merge")
}
