//! Datasets without a primary key, over rows in memory.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::Int64Type;
use chrono::DateTime;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::SessionContext;
use jetway_odf::chain::ChainState;
use jetway_odf::codec::ManifestVersion;
use jetway_odf::identity::DatasetId;
use jetway_odf::metadata::{DatasetKind, Seed};

use super::project;
use crate::summary::{DatasetSummary, SliceList};

/// Offsets of the state after events of an operation and a value.
async fn offsets_after(events: &[(i32, Option<&str>)]) -> Vec<i64> {
    let times = || Arc::new(TimestampMillisecondArray::from(vec![0; events.len()]).with_timezone("UTC")) as ArrayRef;
    let offsets = Int64Array::from_iter_values(0..events.len() as i64);
    let operations = Int32Array::from_iter_values(events.iter().map(|event| event.0));
    let values: StringArray = events.iter().map(|event| event.1).collect();
    let batch = RecordBatch::try_from_iter([
        ("offset", Arc::new(offsets) as ArrayRef),
        ("op", Arc::new(operations)),
        ("system_time", times()),
        ("event_time", times()),
        ("v", Arc::new(values)),
    ])
    .unwrap();
    let seed = Seed {
        dataset_id: DatasetId::generate().0,
        dataset_kind: DatasetKind::Derivative,
    };
    let (_, state) = ChainState::create(seed, vec![], DateTime::UNIX_EPOCH, ManifestVersion::default()).unwrap();
    let summary = DatasetSummary {
        state,
        slices: SliceList::default(),
        schema: batch.schema(),
        only_appends: false,
        receipts: crate::ingest::Receipts::default(),
    };
    let table = MemTable::try_new(batch.schema(), vec![vec![batch.clone()]]).unwrap();
    let scan = LogicalPlanBuilder::scan("d", provider_as_source(Arc::new(table)), None).unwrap();
    let plan = project(scan, &summary).unwrap().build().unwrap();
    let session = SessionContext::new();
    let state = session.execute_logical_plan(plan).await.unwrap();
    let mut offsets = Vec::new();
    for found in state.collect().await.unwrap() {
        assert_eq!(found.schema().fields().len(), batch.num_columns());
        offsets.extend_from_slice(found.column(0).as_primitive::<Int64Type>().values());
    }
    offsets.sort_unstable();
    offsets
}

#[tokio::test]
async fn a_row_stays_as_often_as_it_was_added_more_than_taken_away() {
    let events = [
        (0, Some("a")),
        (0, Some("b")),
        (0, Some("a")),
        (0, None),
        (1, Some("a")),
        (2, Some("b")),
        (3, Some("c")),
        (0, None),
        (1, None),
    ];
    assert_eq!(offsets_after(&events).await, [2, 6, 7]);
}

#[tokio::test]
async fn taking_away_what_was_never_there_takes_nothing_else() {
    assert_eq!(offsets_after(&[(1, Some("x")), (0, Some("y"))]).await, [1]);
    assert_eq!(offsets_after(&[]).await, [0; 0]);
}
