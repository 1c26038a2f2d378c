//! Slices whose hashes are right, but not what is in them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use chrono::TimeDelta;

use crate::identity::Multihash;
use crate::verify::tests::dataset::{Dataset, Row, batch, now, rows};
use crate::verify::tests::{only, problems, report};
use crate::verify::{Finding, Problem, Report, Severity};

/// The report of a dataset whose second slice has seven rows, changed by `change`.
async fn report_of(change: impl FnOnce(&mut Vec<Row>)) -> Report {
    let mut rows = rows(3, 7);
    change(&mut rows);
    report_of_batch(&batch(&rows)).await
}

async fn report_of_batch(batch: &RecordBatch) -> Report {
    let mut dataset = Dataset::new();
    dataset.add_rows(0, 3);
    dataset.add(3, 9, batch, |_| ());
    report(&dataset.store().await).await
}

fn check(finding: &Finding, problem: Problem, column: &str, expected: &str, found: &str) {
    assert_eq!(
        (finding.problem, finding.column.as_deref()),
        (problem, Some(column)),
        "{finding:#?}"
    );
    assert_eq!(
        (finding.expected.as_deref(), finding.found.as_deref()),
        (Some(expected), Some(found))
    );
    assert_eq!(finding.sequence_number, Some(3));
}

#[tokio::test]
async fn offsets() {
    let report_of_gap = report_of(|rows| rows[4].offset = Some(99)).await;
    check(only(&report_of_gap), Problem::Offset, "offset", "7", "99");
    let message = "offsets do not count the rows of the interval: 1 of them, the first in row 4 of the file, from 0";
    assert_eq!(only(&report_of_gap).message, message);

    let report_of_swap = report_of(|rows| rows.swap(1, 5)).await;
    check(only(&report_of_swap), Problem::Offset, "offset", "4", "8");
    let report_of_shift =
        report_of(|rows| rows.iter_mut().for_each(|row| row.offset = row.offset.map(|it| it - 3))).await;
    check(only(&report_of_shift), Problem::Offset, "offset", "3", "0");
    assert!(only(&report_of_shift).message.contains("7 of them"));
    let report_of_negative = report_of(|rows| rows[0].offset = Some(-1)).await;
    check(only(&report_of_negative), Problem::Offset, "offset", "3", "-1");
    let report_of_null = report_of(|rows| rows[2].offset = None).await;
    check(only(&report_of_null), Problem::Nulls, "offset", "0", "1");
}

#[tokio::test]
async fn operations() {
    let ops = |ops: [i32; 7]| move |rows: &mut Vec<Row>| rows.iter_mut().zip(ops).for_each(|(row, op)| row.op = op);
    assert_eq!(report_of(ops([0, 1, 2, 3, 2, 3, 1])).await.findings, []);
    let pair = "3 (correct to) after 2 (correct from)";
    for (wrong, expected, found) in [
        ([0, 4, 0, 0, 0, 0, 0], "0, 1 or 2", "4"),
        ([0, -1, 0, 0, 0, 0, 0], "0, 1 or 2", "-1"),
        ([0, 0, 3, 0, 0, 0, 0], "0, 1 or 2", "3"),
        ([0, 2, 0, 0, 0, 0, 0], pair, "0"),
        ([0, 0, 0, 0, 0, 0, 2], pair, "the end"),
    ] {
        check(
            only(&report_of(ops(wrong)).await),
            Problem::Operation,
            "op",
            expected,
            found,
        );
    }
}

#[tokio::test]
async fn system_time() {
    let report_of_other = report_of(|rows| rows[6].system_time += TimeDelta::milliseconds(1)).await;
    check(
        only(&report_of_other),
        Problem::SystemTime,
        "system_time",
        "2024-05-06T07:08:09.123Z",
        "2024-05-06T07:08:09.124Z",
    );
}

#[tokio::test]
async fn rows_of_merged_slices_keep_their_system_times_in_order() {
    let merged = report_of(|rows| rows[0].system_time -= TimeDelta::days(1)).await;
    assert_eq!(merged.findings, []);
    let backwards = report_of(|rows| rows[3].system_time -= TimeDelta::days(1)).await;
    check(
        only(&backwards),
        Problem::SystemTime,
        "system_time",
        "2024-05-06T07:08:09.123Z",
        "2024-05-05T07:08:09.123Z",
    );
}

#[tokio::test]
async fn event_time_behind_the_watermark_is_a_warning() {
    let report = report_of(|rows| rows[1].event_time = now() + TimeDelta::days(1)).await;
    check(
        only(&report),
        Problem::EventTime,
        "event_time",
        "2024-05-06T07:08:09.123Z",
        "2024-05-07T07:08:09.123Z",
    );
    assert_eq!(only(&report).severity, Severity::Warning);
    assert!(report.is_valid());
}

#[tokio::test]
async fn number_of_rows() {
    let report_of_few = report_of(|rows| rows.truncate(5)).await;
    let finding = only(&report_of_few);
    assert_eq!(
        (finding.problem, finding.expected.as_deref(), finding.found.as_deref()),
        (Problem::RowCount, Some("7"), Some("5"))
    );
    let none = report_of(Vec::clear).await;
    assert_eq!(problems(&none), [(Problem::RowCount, Some(3))]);
}

#[tokio::test]
async fn schema() {
    let right = batch(&rows(3, 7));
    let with = |index: usize, name: &str, array: ArrayRef| {
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for (position, field) in right.schema().fields().iter().enumerate() {
            columns.push((field.name().clone(), Arc::clone(right.column(position))));
        }
        columns[index] = (name.to_owned(), array);
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let value = Arc::clone(right.column(4));

    let renamed = report_of_batch(&with(4, "worth", Arc::clone(&value))).await;
    check(
        only(&renamed),
        Problem::Schema,
        "value",
        r#"{"name":"value","type":{"kind":"String"}}"#,
        r#"{"name":"worth","type":{"kind":"String"}}"#,
    );
    let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values((0..7).rev()));
    let retyped = report_of_batch(&with(4, "value", numbers)).await;
    check(
        only(&retyped),
        Problem::Schema,
        "value",
        r#"{"name":"value","type":{"kind":"String"}}"#,
        r#"{"name":"value","type":{"kind":"Int32"}}"#,
    );
    let fewer = report_of_batch(&right.project(&[0, 1, 2, 3]).unwrap()).await;
    check(
        only(&fewer),
        Problem::Schema,
        "value",
        r#"{"name":"value","type":{"kind":"String"}}"#,
        "no column",
    );

    // Layout and the mere possibility of nulls do not matter; nulls do.
    let large = arrow::compute::cast(&value, &DataType::LargeUtf8).unwrap();
    assert_eq!(report_of_batch(&with(4, "value", large)).await.findings, []);
    let fields = right
        .schema()
        .fields()
        .iter()
        .map(|field| Field::clone(field).with_nullable(true))
        .collect::<Vec<_>>();
    let optional = RecordBatch::try_new(Arc::new(Schema::new(fields)), right.columns().to_vec()).unwrap();
    assert_eq!(report_of_batch(&optional).await.findings, []);
    let text = ["a", "b", "c", "d", "e"].map(Some).into_iter().chain([None, None]);
    let nulls: ArrayRef = Arc::new(text.collect::<arrow::array::StringArray>());
    check(
        only(&report_of_batch(&with(4, "value", nulls)).await),
        Problem::Nulls,
        "value",
        "0",
        "2",
    );

    let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values((0..7).rev()));
    let untimed = report_of_batch(&with(2, "system_time", numbers)).await;
    assert!(problems(&untimed).contains(&(Problem::Schema, Some(3))));
    assert!(
        problems(&untimed).contains(&(Problem::SystemTime, Some(3))),
        "{untimed:#?}"
    );
}

#[tokio::test]
async fn logical_hash() {
    let claimed = Multihash::arrow0_sha3_256([7; 32]);
    let mut dataset = Dataset::new();
    let mut actual = None;
    dataset.add(0, 2, &batch(&rows(0, 3)), |event| {
        let slice = event.new_data.as_mut().unwrap();
        actual = Some(std::mem::replace(&mut slice.logical_hash, claimed));
    });
    let report = report(&dataset.store().await).await;
    let finding = only(&report);
    assert_eq!(
        (finding.problem, finding.expected.clone()),
        (Problem::LogicalHash, Some(claimed.to_string()))
    );
    assert_eq!(finding.found, actual.map(|hash| hash.to_string()));
}

#[tokio::test]
async fn a_slice_that_is_no_parquet_is_named() {
    let mut dataset = Dataset::new();
    let text = bytes::Bytes::from_static(b"offset,op\n0,0\n");
    let hash = Multihash::sha3_256(&text);
    dataset.add(0, 2, &batch(&rows(0, 3)), |event| {
        let slice = event.new_data.as_mut().unwrap();
        (slice.physical_hash, slice.size) = (hash, text.len() as u64);
    });
    dataset.files.push(("data", hash, text.clone()));
    let report = report(&dataset.store().await).await;
    let finding = only(&report);
    assert_eq!(
        (finding.problem, finding.object.map(|object| object.hash)),
        (Problem::Unreadable, Some(hash))
    );
}
