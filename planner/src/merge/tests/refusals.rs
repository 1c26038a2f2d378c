//! Cases at the edge: what is refused, with which words, and what has a meaning all the same.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use jetway_odf::metadata::MergeStrategy;

use crate::merge::tests::dataset::{Dataset, Pushed, Row, changelog, ledger, names, pushed, row, snapshot, upsert};
use crate::{Error, ErrorKind};

async fn refused(strategy: &MergeStrategy, rows: &[Row], columns: Pushed) -> Error {
    let error = Dataset::new().await.merge(strategy, rows, columns).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    error
}

#[tokio::test]
async fn columns_that_are_not_there_are_named() {
    let error = refused(&ledger(&["country"]), &[], Pushed::DATA).await;
    assert_eq!(
        error.to_string(),
        "the primary key names column \"country\", which the dataset does not have; correct the source's merge strategy \
         (columns: year, city, number, population)"
    );
    let error = refused(&upsert(&["offset"]), &[], Pushed::DATA).await;
    assert!(error.message().contains("which the node fills in"), "{error}");
    let compared = MergeStrategy::Snapshot {
        primary_key: names(&["city"]),
        compare_columns: Some(names(&["size"])),
    };
    let error = refused(&compared, &[], Pushed::DATA).await;
    assert!(
        error.message().contains("the compared columns names column \"size\""),
        "{error}"
    );
    let error = refused(&snapshot(&[]), &[], Pushed::DATA).await;
    assert!(error.message().contains("no primary key"), "{error}");
}

#[tokio::test]
async fn the_operation_is_for_streams_of_operations() {
    let error = refused(&changelog(&["city"]), &[], Pushed::DATA).await;
    assert!(error.message().contains("\"op\""), "{error}");
    let error = refused(&snapshot(&["city"]), &[], Pushed::ALL).await;
    assert!(error.message().contains("\"op\""), "{error}");
    for strategy in [changelog(&["city"]), upsert(&["city"])] {
        let error = refused(&strategy, &[row(4, 1, "oslo", 1, 1)], Pushed::ALL).await;
        assert!(error.message().starts_with("column \"op\" holds 4;"), "{error}");
    }
    let mut batch = pushed(&[row(0, 1, "oslo", 1, 1)], Pushed::ALL);
    let mut columns = batch.columns().to_vec();
    columns[0] = Arc::new(Int32Array::from(vec![None::<i32>])) as ArrayRef;
    batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let merged = Dataset::new()
        .await
        .merge_batches(&upsert(&["city"]), batch.schema(), vec![batch])
        .await;
    assert!(merged.unwrap_err().message().starts_with("column \"op\" holds a null;"));
}

/// Nulls in key columns: row 3 of the input has one.
#[tokio::test]
async fn a_key_is_not_null() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("city", DataType::Utf8, false),
        Field::new("number", DataType::Int64, true),
        Field::new("population", DataType::Int64, true),
    ]));
    let batch = |numbers: Vec<Option<i64>>| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["oslo"; numbers.len()])),
            Arc::new(Int64Array::from(numbers.clone())),
            Arc::new(Int64Array::from(numbers)),
        ];
        RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
    };
    for strategy in [ledger(&["city", "number"]), snapshot(&["number"]), upsert(&["number"])] {
        let batches = vec![batch(vec![Some(1), Some(2)]), batch(vec![None, Some(4)])];
        let merged = Dataset::new()
            .await
            .merge_batches(&strategy, Arc::clone(&schema), batches)
            .await;
        let error = merged.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(
            error
                .message()
                .starts_with("column \"number\" is part of the primary key and is null in row 3 of the input"),
            "{error}"
        );
    }
    // The event time is filled in too late for a key.
    let error = refused(&ledger(&["year"]), &[row(0, None, "oslo", 1, 1)], Pushed::DATA).await;
    assert!(
        error
            .message()
            .starts_with("column \"year\" is part of the primary key"),
        "{error}"
    );
    // Appending has no key.
    let appended = Dataset::new()
        .await
        .merge_batches(&MergeStrategy::Append {}, Arc::clone(&schema), vec![])
        .await;
    assert_eq!(appended.unwrap(), []);
}

#[tokio::test]
async fn the_same_snapshot_twice_changes_nothing() {
    let mut dataset = Dataset::new().await;
    let rows = [
        row(0, None, "oslo", 1, 5),
        row(0, None, "bergen", 1, 2),
        row(0, None, "oslo", 1, 6),
    ];
    // The first one is taken as it is, duplicates and all.
    let first = dataset.write(&snapshot(&["city"]), &rows, Pushed::DATA).await;
    assert_eq!(first, [rows[1].clone(), rows[0].clone(), rows[2].clone()]);
    let second = dataset.write(&snapshot(&["city"]), &rows, Pushed::DATA).await;
    assert_eq!(second, []);
    // From then on the last of its rows is what a key has.
    let rows = [
        row(0, None, "oslo", 1, 7),
        row(0, None, "oslo", 1, 8),
        row(0, None, "bergen", 1, 2),
    ];
    let third = dataset.write(&snapshot(&["city"]), &rows, Pushed::DATA).await;
    let corrected = Row {
        time: third[0].time,
        ..row(2, None, "oslo", 1, 6)
    };
    assert_eq!(third, [corrected, row(3, None, "oslo", 1, 8)]);
}

#[tokio::test]
async fn only_compared_columns_count() {
    let mut dataset = Dataset::new().await;
    let strategy = MergeStrategy::Snapshot {
        primary_key: names(&["city"]),
        compare_columns: Some(names(&["number"])),
    };
    dataset
        .commit(&[row(0, 1, "oslo", 1, 5), row(0, 1, "bergen", 1, 5)])
        .await;
    let rows = [row(0, 2, "oslo", 1, 6), row(0, 2, "bergen", 2, 6)];
    let merged = dataset.merge(&strategy, &rows, Pushed::TIME).await.unwrap();
    assert_eq!(merged, [row(2, 1, "bergen", 1, 5), row(3, 2, "bergen", 2, 6)]);
}

#[tokio::test]
async fn keys_that_are_not_there_are_not_retracted() {
    let mut dataset = Dataset::new().await;
    let retract = [row(1, 1, "oslo", 1, 5)];
    assert_eq!(dataset.write(&upsert(&["city"]), &retract, Pushed::ALL).await, []);
    dataset.commit(&[row(0, 1, "oslo", 1, 5)]).await;
    let retracted = dataset.write(&upsert(&["city"]), &retract, Pushed::ALL).await;
    assert_eq!(retracted, [row(1, 1, "oslo", 1, 5)]);
    assert_eq!(dataset.write(&upsert(&["city"]), &retract, Pushed::ALL).await, []);
    // A key that was retracted is a new one for upserts, and not for ledgers.
    let again = [row(0, 3, "oslo", 1, 5)];
    assert_eq!(dataset.write(&ledger(&["city"]), &again, Pushed::TIME).await, []);
    assert_eq!(dataset.write(&upsert(&["city"]), &again, Pushed::ALL).await, again);
}

#[tokio::test]
async fn batches_without_rows_change_nothing() {
    let mut dataset = Dataset::new().await;
    dataset.commit(&[row(0, 1, "oslo", 1, 5)]).await;
    let empty = pushed(&[], Pushed::DATA);
    for strategy in [ledger(&["city"]), upsert(&["city"]), MergeStrategy::Append {}] {
        let batches = vec![empty.clone(), empty.clone()];
        let merged = dataset.merge_batches(&strategy, empty.schema(), batches).await;
        assert_eq!(merged.unwrap(), []);
    }
}

#[tokio::test]
async fn event_times_may_be_dates() {
    let mut dataset = Dataset::with_dates().await;
    let day = 86_400;
    dataset
        .commit(&[row(0, day, "oslo", 1, 5), row(0, day, "bergen", 1, 2)])
        .await;
    dataset.commit(&[row(1, 2 * day, "bergen", 1, 2)]).await;
    let pushed = [row(0, None, "oslo", 1, 6), row(0, None, "bergen", 1, 2)];
    let merged = dataset
        .merge(&snapshot(&["city"]), &pushed, Pushed::DATA)
        .await
        .unwrap();
    let corrected = [row(2, day, "oslo", 1, 5), row(3, None, "oslo", 1, 6)];
    assert_eq!(merged, [&pushed[1..], &corrected].concat());
    let merged = dataset.merge(&ledger(&["city"]), &pushed, Pushed::DATA).await.unwrap();
    assert_eq!(merged, []);
}

/// What goes wrong with the rows comes out as it is.
#[tokio::test]
async fn the_rows_own_failure_is_reported() {
    use futures::{TryStreamExt, stream};
    let dataset = Dataset::new().await;
    let pinned = dataset.pinned();
    let summary = crate::summary::SummaryCache::default().get(&pinned).await.unwrap();
    for strategy in [
        MergeStrategy::Append {},
        snapshot(&["city"]),
        upsert(&["city"]),
        ledger(&["city"]),
    ] {
        let batch = pushed(&[row(0, 1, "oslo", 1, 5)], Pushed::DATA);
        let failing = vec![
            Ok(batch.clone()),
            Err(Error::new(ErrorKind::Cancelled, "the client went away")),
        ];
        let rows = crate::BatchStream::new(batch.schema(), stream::iter(failing));
        let schema = crate::merge::tests::dataset::slice_schema();
        let merged = dataset
            .merger
            .merge(&strategy, &pinned, &summary, &schema, rows)
            .await
            .unwrap();
        let error = merged.try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(error.message(), "the client went away");
    }
}
