//! Columns of a slice, read batch by batch: what their values must be, and their digests.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Int64Type, TimeUnit, TimestampMillisecondType};
use chrono::{DateTime, SecondsFormat, Utc};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::error::{Error, ErrorKind, Result};
use crate::hash::{ColumnDigest, ColumnHasher, STRUCT_BATCH_ROWS};
use crate::verify::object::{Chunks, Object};
use crate::verify::report::{Finding, Problem};
use crate::verify::walk::SliceTask;
use crate::verify::work::Gauge;

/// Batches of columns with long values have fewer rows, so that they take about this many bytes.
const BATCH_BYTES: u64 = 16 << 20;

/// Operations, as they stand in the column.
const CORRECT_FROM: i64 = 2;
const CORRECT_TO: i64 = 3;

/// What is to be done with a column.
#[derive(Debug)]
pub(super) struct ColumnTask {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) role: Role,
    /// Whether nulls are wrong.
    pub(super) is_required: bool,
    /// Present if its digest is wanted.
    pub(super) hasher: Option<ColumnHasher>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct ColumnRead {
    pub(super) digest: Option<ColumnDigest>,
    pub(super) findings: Vec<Finding>,
}

/// What the values of a column must be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Role {
    /// They count the rows from here.
    Offset { start: u64 },
    /// 0 to 3, where a 2 is followed by a 3.
    Operation,
    /// In order, and not later than this: where slices were merged by a hard compaction, those of their blocks.
    SystemTime(DateTime<Utc>),
    /// Not later than this.
    EventTime(Option<DateTime<Utc>>),
    /// Anything.
    Data,
}

impl Role {
    pub(super) fn of(name: &str, task: &SliceTask) -> Self {
        let Some(vocabulary) = &task.vocabulary else {
            return Self::Data;
        };
        if name == vocabulary.offset {
            Self::Offset {
                start: task.slice.offset_interval.start,
            }
        } else if name == vocabulary.operation_type {
            Self::Operation
        } else if name == vocabulary.system_time {
            Self::SystemTime(task.system_time)
        } else if name == vocabulary.event_time {
            Self::EventTime(task.watermark)
        } else {
            Self::Data
        }
    }
}

/// Reads columns to their ends, batch by batch side by side, so that they are hashed together. What goes wrong with one
/// column does not concern the others. Blocks.
pub(super) fn read_all(
    object: &Object,
    parquet: &ArrowReaderMetadata,
    tasks: Vec<ColumnTask>,
    gauge: &Gauge,
) -> Result<Vec<(String, Result<ColumnRead>)>> {
    let costs: Vec<Cost> = tasks.iter().map(|task| Cost::of(parquet, task.index)).collect();
    let batch_rows = costs.iter().map(Cost::batch_rows).min().unwrap_or(STRUCT_BATCH_ROWS);
    let columns = tasks.into_iter().zip(costs);
    let mut columns: Vec<Column> = columns
        .map(|(task, cost)| Column::open(Chunks::of(object), parquet, task, cost, batch_rows))
        .collect();
    while columns.iter().any(|column| column.batches.is_some()) {
        gauge.go_on()?;
        let (mut hashers, mut arrays, mut hashed) = (Vec::new(), Vec::new(), Vec::new());
        for (index, column) in columns.iter_mut().enumerate() {
            if let Some(array) = column.next(gauge)
                && let Some(hasher) = column.hasher.take()
            {
                hashers.push(hasher);
                arrays.push(array);
                hashed.push(index);
            }
        }
        let failure = ColumnHasher::update_all(&mut hashers, &arrays).err();
        for (index, hasher) in hashed.into_iter().zip(hashers) {
            if let Some(column) = columns.get_mut(index) {
                column.hasher = Some(hasher);
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
    }
    Ok(columns.into_iter().map(Column::finish).collect())
}

/// A column that is being read.
struct Column {
    name: String,
    cost: Cost,
    checks: Checks,
    hasher: Option<ColumnHasher>,
    /// Gone at the end.
    batches: Option<ParquetRecordBatchReader>,
    failure: Option<Error>,
}

impl Column {
    fn open(chunks: Chunks, parquet: &ArrowReaderMetadata, task: ColumnTask, cost: Cost, batch_rows: usize) -> Self {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, parquet.clone());
        let columns = ProjectionMask::roots(builder.parquet_schema(), [task.index]);
        let opened = builder.with_projection(columns).with_batch_size(batch_rows).build();
        let (batches, failure) = match opened {
            Ok(batches) => (Some(batches), None),
            Err(error) => (None, Some(unreadable(error))),
        };
        Self {
            name: task.name,
            cost,
            checks: Checks::new(task.role, task.is_required),
            hasher: task.hasher,
            batches,
            failure,
        }
    }

    /// The next values, looked at.
    fn next(&mut self, gauge: &Gauge) -> Option<ArrayRef> {
        let Some(batch) = self.batches.as_mut()?.next() else {
            self.batches = None;
            return None;
        };
        let read = match batch {
            Ok(batch) => match batch.columns() {
                [array] => Ok(Arc::clone(array)),
                _ => Err(Error::new(ErrorKind::Corrupt, "the column cannot be read by itself")),
            },
            Err(error) => Err(unreadable(error)),
        };
        match read {
            Ok(array) => {
                self.checks.update(&array);
                gauge.decoded(self.cost.bytes_of(array.len()));
                Some(array)
            }
            Err(error) => {
                self.batches = None;
                self.failure = Some(error);
                None
            }
        }
    }

    fn finish(self) -> (String, Result<ColumnRead>) {
        if let Some(failure) = self.failure {
            return (self.name, Err(failure));
        }
        let findings = self.checks.finish().into_iter();
        let findings = findings.map(|finding| finding.in_column(&self.name)).collect();
        let digest = self.hasher.map(ColumnHasher::finish).transpose();
        let read = digest.map(|digest| ColumnRead { digest, findings });
        (self.name, read)
    }
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Corrupt, "the column cannot be read").with_source(error)
}

/// How many bytes the rows of a column take.
struct Cost {
    rows: u64,
    encoded: u64,
    decoded: u64,
}

impl Cost {
    fn of(parquet: &ArrowReaderMetadata, index: usize) -> Self {
        let schema = parquet.parquet_schema();
        let mut cost = Self {
            rows: 0,
            encoded: 0,
            decoded: 0,
        };
        for group in parquet.metadata().row_groups() {
            cost.rows = cost.rows.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
            for (leaf, chunk) in group.columns().iter().enumerate() {
                if leaf < schema.num_columns() && schema.get_column_root_idx(leaf) == index {
                    let positive = |size: i64| u64::try_from(size).unwrap_or(0);
                    cost.encoded = cost.encoded.saturating_add(positive(chunk.compressed_size()));
                    cost.decoded = cost.decoded.saturating_add(positive(chunk.uncompressed_size()));
                }
            }
        }
        cost
    }

    fn batch_rows(&self) -> usize {
        let row = (self.decoded / self.rows.max(1)).max(1);
        usize::try_from(BATCH_BYTES / row)
            .unwrap_or(usize::MAX)
            .clamp(1, STRUCT_BATCH_ROWS)
    }

    fn bytes_of(&self, rows: usize) -> u64 {
        let part = u128::from(self.encoded) * rows as u128 / u128::from(self.rows.max(1));
        u64::try_from(part).unwrap_or(u64::MAX)
    }
}

/// What was wrong with the values so far.
struct Checks {
    role: Role,
    is_required: bool,
    rows: u64,
    nulls: u64,
    /// The value before, of operations and system times.
    previous: Option<i64>,
    wrong: Option<Wrong>,
    /// Why values cannot be looked at.
    failure: Option<String>,
}

/// The first wrong value, and how many there are.
struct Wrong {
    row: u64,
    expected: String,
    found: String,
    count: u64,
}

impl Checks {
    fn new(role: Role, is_required: bool) -> Self {
        Self {
            role,
            is_required,
            rows: 0,
            nulls: 0,
            previous: None,
            wrong: None,
            failure: None,
        }
    }

    fn update(&mut self, array: &ArrayRef) {
        let has_no_nulls = !matches!(self.role, Role::Data | Role::EventTime(_));
        if has_no_nulls || self.is_required {
            self.nulls += array.logical_null_count() as u64;
        }
        if self.failure.is_none() {
            self.failure = self.check(array).err().map(|error| error.to_string());
        }
        self.rows += array.len() as u64;
    }

    fn check(&mut self, array: &ArrayRef) -> Result<(), arrow::error::ArrowError> {
        match self.role.clone() {
            Role::Data => {}
            Role::Offset { start } => {
                let offsets = cast_to::<Int64Type>(array, &DataType::Int64)?;
                let first = start.saturating_add(self.rows);
                for (index, offset) in offsets.iter().enumerate() {
                    let expected = first.saturating_add(index as u64);
                    if offset.is_some_and(|offset| u64::try_from(offset) != Ok(expected)) {
                        self.note(index, expected, offset);
                    }
                }
            }
            Role::Operation => {
                let operations = cast_to::<Int64Type>(array, &DataType::Int64)?;
                for (index, operation) in operations.iter().enumerate() {
                    let is_right = match (self.previous, operation) {
                        (Some(CORRECT_FROM), operation) => operation == Some(CORRECT_TO),
                        (_, Some(operation)) => (0..CORRECT_TO).contains(&operation),
                        (_, None) => true,
                    };
                    if !is_right {
                        let after_from = self.previous == Some(CORRECT_FROM);
                        self.note(
                            index,
                            if after_from {
                                "3 (correct to) after 2 (correct from)"
                            } else {
                                "0, 1 or 2"
                            },
                            operation,
                        );
                    }
                    self.previous = operation;
                }
            }
            Role::SystemTime(time) => {
                let times =
                    cast_to::<TimestampMillisecondType>(array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
                let latest = time.timestamp_millis();
                for (index, found) in times.iter().enumerate() {
                    let Some(found) = found else { continue };
                    if found > latest || self.previous.is_some_and(|previous| found < previous) {
                        self.note(index, shown(latest), Some(shown(found)));
                    }
                    self.previous = Some(found);
                }
            }
            Role::EventTime(watermark) => {
                let times =
                    cast_to::<TimestampMillisecondType>(array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
                let limit = watermark.map(|watermark| watermark.timestamp_millis());
                for (index, found) in times.iter().enumerate() {
                    if found > limit && found.is_some() {
                        self.note(
                            index,
                            limit.map_or_else(|| "a watermark".to_owned(), shown),
                            found.map(shown),
                        );
                    }
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, index: usize, expected: impl fmt::Display, found: Option<impl fmt::Display>) {
        match &mut self.wrong {
            Some(wrong) => wrong.count += 1,
            None => {
                self.wrong = Some(Wrong {
                    row: self.rows + index as u64,
                    expected: expected.to_string(),
                    found: found.map_or_else(|| "null".to_owned(), |found| found.to_string()),
                    count: 1,
                });
            }
        }
    }

    fn finish(mut self) -> Vec<Finding> {
        if self.role == Role::Operation && self.previous == Some(CORRECT_FROM) {
            let rows = std::mem::take(&mut self.rows);
            self.note(
                usize::try_from(rows).unwrap_or(usize::MAX),
                "3 (correct to) after 2 (correct from)",
                Some("the end"),
            );
        }
        let mut findings = Vec::new();
        if self.nulls > 0 {
            let message = format!("{} values are null, but the column must have none", self.nulls);
            findings.push(Finding::new(Problem::Nulls, message).values(0, self.nulls));
        }
        let (problem, what) = match self.role {
            Role::Offset { .. } => (Problem::Offset, "offsets do not count the rows of the interval"),
            Role::Operation => (Problem::Operation, "operations are not valid"),
            Role::SystemTime(_) => (
                Problem::SystemTime,
                "system time goes back or is later than that of the block",
            ),
            Role::EventTime(_) => (
                Problem::EventTime,
                "event time is later than the watermark that the block records",
            ),
            Role::Data => return findings,
        };
        if let Some(wrong) = self.wrong {
            let message = format!(
                "{what}: {} of them, the first in row {} of the file, from 0",
                wrong.count, wrong.row
            );
            let finding = Finding::new(problem, message).values(wrong.expected, wrong.found);
            // A writer may know of rows to come, and so set the watermark back.
            findings.push(if problem == Problem::EventTime {
                finding.warning()
            } else {
                finding
            });
        }
        if let Some(failure) = self.failure {
            findings.push(Finding::new(
                problem,
                format!("the values are of another type: {failure}"),
            ));
        }
        findings
    }
}

fn cast_to<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    data_type: &DataType,
) -> Result<PrimitiveArray<T>, arrow::error::ArrowError> {
    let array = cast(array, data_type)?;
    let typed = array.as_primitive_opt::<T>().cloned();
    typed.ok_or_else(|| arrow::error::ArrowError::CastError(format!("{data_type} is another type")))
}

fn shown(millis: i64) -> String {
    DateTime::from_timestamp_millis(millis).map_or_else(
        || format!("{millis} ms"),
        |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true),
    )
}
