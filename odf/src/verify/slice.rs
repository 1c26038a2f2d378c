//! A slice: what its Parquet file says of itself, and its columns side by side.

use std::sync::Arc;

use futures::future::join_all;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use crate::error::{Error, ErrorKind, Result};
use crate::hash::{ColumnHasher, LogicalHash, LogicalHasher};
use crate::metadata::{DataField, DataSchema, DataType};
use crate::storage::ObjectKind;
use crate::verify::column::{self, ColumnRead, ColumnTask, Role};
use crate::verify::object::{self, Chunks, Object, chain_of};
use crate::verify::report::{Finding, Problem};
use crate::verify::walk::SliceTask;
use crate::verify::work::Work;

/// Everything about a slice.
pub(super) async fn check(work: &Work, task: &SliceTask) -> Result<Vec<Finding>> {
    let (slice, hash) = (&task.slice, task.slice.physical_hash);
    let mut findings = Vec::new();
    let object = object::open(work, task.origin, ObjectKind::Data, hash, slice.size, &mut findings).await?;
    if let Some(object) = object {
        object::check_hash(work, &object, hash, &mut findings).await?;
        if work.options.rows {
            check_rows(work, task, &object, &mut findings).await?;
        }
    }
    work.gauge.finished_slice();
    Ok(findings
        .into_iter()
        .map(|finding| finding.of(task.origin, ObjectKind::Data, hash))
        .collect())
}

async fn check_rows(work: &Work, task: &SliceTask, object: &Arc<Object>, findings: &mut Vec<Finding>) -> Result<()> {
    let reader = Arc::clone(object);
    let loaded = work.run(move || {
        let loaded = ArrowReaderMetadata::load(&Chunks::of(&reader), ArrowReaderOptions::new());
        loaded.map_err(|error| {
            let unreadable = || Error::new(ErrorKind::Corrupt, "the file is not Parquet").with_source(error);
            reader.take_failure().unwrap_or_else(unreadable)
        })
    });
    let parquet = match loaded.await {
        Ok(parquet) => parquet,
        Err(error) if error.kind() == ErrorKind::Storage => return Err(error),
        Err(error) => {
            findings.push(Finding::new(Problem::Unreadable, chain_of(&error)));
            return Ok(());
        }
    };
    check_row_count(task, &parquet, findings);
    check_schema(task, &parquet, findings);

    let (logical, mut hashers) = hashers(work, &parquet, findings);
    let fields = parquet.schema().fields().iter().enumerate();
    let columns = fields.map(|(index, field)| ColumnTask {
        index,
        name: field.name().clone(),
        role: Role::of(field.name(), task),
        is_required: is_required(task, field.name()),
        hasher: hashers.get_mut(index).and_then(Option::take),
    });
    let groups = work.share(columns.collect()).into_iter().map(|columns| {
        let (object, parquet, gauge) = (Arc::clone(object), parquet.clone(), Arc::clone(&work.gauge));
        work.run(move || column::read_all(&object, &parquet, columns, &gauge))
    });
    let groups = join_all(groups).await;
    if let Some(failure) = object.take_failure() {
        return Err(failure);
    }

    let mut digests = Vec::new();
    for group in groups {
        let columns = match group {
            Ok(columns) => columns,
            Err(error) => {
                findings.push(Finding::new(Problem::Unreadable, chain_of(&error)));
                continue;
            }
        };
        for (name, read) in columns {
            match read {
                Ok(ColumnRead {
                    digest,
                    findings: found,
                }) => {
                    digests.extend(digest);
                    findings.extend(found);
                }
                Err(error) => findings.push(Finding::new(Problem::Unreadable, chain_of(&error)).in_column(&name)),
            }
        }
    }
    work.gauge
        .read_rows(u64::try_from(parquet.metadata().file_metadata().num_rows()).unwrap_or(0));
    let expected = task.slice.logical_hash;
    // A column that could not be read was reported, and then there is no hash to compare.
    let actual = logical.and_then(|logical| logical.finish(digests).ok());
    if let Some(actual) = actual.filter(|actual| *actual != expected) {
        let message = "the rows do not have the logical hash that the block says";
        findings.push(Finding::new(Problem::LogicalHash, message).values(expected, actual));
    }
    Ok(())
}

/// The parts of the logical hash, if it is to be computed and can be.
fn hashers(
    work: &Work,
    parquet: &ArrowReaderMetadata,
    findings: &mut Vec<Finding>,
) -> (Option<LogicalHash>, Vec<Option<ColumnHasher>>) {
    if !work.options.hashes {
        return (None, Vec::new());
    }
    match LogicalHasher::new(parquet.schema()) {
        Ok(hasher) => {
            let (logical, columns) = hasher.split();
            (Some(logical), columns.into_iter().map(Some).collect())
        }
        Err(error) => {
            let message = format!("the logical hash cannot be checked: {error}");
            findings.push(Finding::new(Problem::LogicalHash, message).warning());
            (None, Vec::new())
        }
    }
}

fn check_row_count(task: &SliceTask, parquet: &ArrowReaderMetadata, findings: &mut Vec<Finding>) {
    let interval = task.slice.offset_interval;
    let rows = parquet.metadata().file_metadata().num_rows();
    // An interval that ends before it starts breaks a rule, which is reported with the block.
    let expected = i128::from(interval.end) - i128::from(interval.start) + 1;
    if i128::from(rows) != expected {
        let message = format!(
            "the number of rows is not that of the offsets from {} to {}",
            interval.start, interval.end
        );
        findings.push(Finding::new(Problem::RowCount, message).values(expected, rows));
    }
}

/// The columns are those of the dataset's schema, by name, order and type. How Arrow lays values out does not matter, nor
/// whether a column could have nulls: whether a required one has any is found among its values.
fn check_schema(task: &SliceTask, parquet: &ArrowReaderMetadata, findings: &mut Vec<Finding>) {
    let Some(expected) = &task.schema else { return };
    let found = match DataSchema::from_arrow(parquet.schema()) {
        Ok(found) => found,
        Err(error) => {
            let message = format!("the columns of the file cannot be those of a dataset: {error}");
            findings.push(Finding::new(Problem::Schema, message));
            return;
        }
    };
    let (expected, found) = (
        bare_fields(&expected.normalized().fields),
        bare_fields(&found.normalized().fields),
    );
    for index in 0..expected.len().max(found.len()) {
        let (expected, found) = (expected.get(index), found.get(index));
        if expected != found {
            let message = format!("column {} is not that of the dataset's schema", index + 1);
            let name = expected.or(found).map_or("", |field| &field.name);
            let finding = Finding::new(Problem::Schema, message).in_column(name);
            findings.push(finding.values(shown(expected), shown(found)));
        }
    }
}

fn shown(field: Option<&DataField>) -> String {
    let as_json = |field: &DataField| serde_json::to_string(field).unwrap_or_else(|_| field.name.clone());
    field.map_or_else(|| "no column".to_owned(), as_json)
}

/// Fields with their names and types alone, options and attributes set aside.
fn bare_fields(fields: &[DataField]) -> Vec<DataField> {
    let bare_field = |field: &DataField| DataField {
        name: field.name.clone(),
        r#type: bare(&field.r#type),
        extra: None,
    };
    fields.iter().map(bare_field).collect()
}

fn bare(data_type: &DataType) -> DataType {
    let boxed = |inner: &DataType| Box::new(bare(inner));
    match data_type.without_option() {
        DataType::List {
            item_type,
            fixed_length,
        } => DataType::List {
            item_type: boxed(item_type),
            fixed_length: *fixed_length,
        },
        DataType::Map {
            key_type, value_type, ..
        } => DataType::Map {
            key_type: boxed(key_type),
            value_type: boxed(value_type),
            keys_sorted: None,
        },
        DataType::Struct { fields } => DataType::Struct {
            fields: bare_fields(fields),
        },
        other => other.clone(),
    }
}

/// Whether the dataset's schema says that a column has no nulls.
fn is_required(task: &SliceTask, name: &str) -> bool {
    let field = task.schema.as_ref().and_then(|schema| schema.field(name));
    field.is_some_and(|field| !field.r#type.is_optional() && field.r#type != DataType::Null)
}
