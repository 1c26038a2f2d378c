//! Where batches end makes no difference.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use futures::{StreamExt, TryStreamExt, stream};

use crate::BatchStream;
use crate::merge::columns::Columns;
use crate::merge::difference::Difference;
use crate::merge::index::Content;
use crate::merge::tests::dataset::{Dataset, Pushed, Row, pushed, row, slice_schema, snapshot};
use crate::merge::{Batches, newest, prepare, sort};
use crate::summary::SummaryCache;

fn chunks(batch: &RecordBatch, length: usize) -> Batches {
    let starts = (0..batch.num_rows()).step_by(length);
    let chunks: Vec<RecordBatch> = starts
        .map(|start| batch.slice(start, length.min(batch.num_rows() - start)))
        .collect();
    stream::iter(chunks.into_iter().map(Ok)).boxed()
}

async fn whole(rows: Batches) -> RecordBatch {
    let batches: Vec<RecordBatch> = rows.try_collect().await.unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[tokio::test]
async fn differences_do_not_depend_on_batches() {
    let mut dataset = Dataset::new().await;
    let city = |number: i64, population: i64| row(0, 1, &format!("city {number:02}"), number, population);
    let old: Vec<Row> = (0..40)
        .filter(|number| number % 3 > 0)
        .map(|number| city(number, 1))
        .collect();
    dataset.commit(&old).await;
    let new: Vec<Row> = (0..40)
        .filter(|number| number % 4 > 0)
        .map(|number| city(number, number % 2))
        .collect();
    // Each key twice; the later row counts.
    let arriving: Vec<Row> = old
        .iter()
        .map(|row| Row {
            population: None,
            ..row.clone()
        })
        .collect();
    let arriving: Vec<Row> = arriving
        .into_iter()
        .filter(|row| new.iter().any(|new| new.city == row.city))
        .chain(new.iter().cloned())
        .collect();

    let strategy = snapshot(&["city"]);
    let expected = dataset.merge(&strategy, &arriving, Pushed::DATA).await.unwrap();
    assert!(expected.len() > 20);

    let (pinned, batch) = (dataset.pinned(), pushed(&arriving, Pushed::DATA));
    let summary = SummaryCache::default().get(&pinned).await.unwrap();
    let columns = Columns::new(&strategy, summary.state.vocabulary(), &slice_schema(), &batch.schema()).unwrap();
    let columns = Arc::new(columns);
    let arriving = BatchStream::new(batch.schema(), stream::iter([Ok(batch)]));
    let sorted = sort::sort(
        &dataset.engine,
        columns.prepared(),
        prepare(&columns, arriving),
        &[0, 1],
    )
    .unwrap();
    let sorted = whole(sorted).await;
    let index = dataset
        .merger
        .index(&columns, &pinned, &summary, Content::Rows)
        .unwrap();
    let state = whole(index.open().await.unwrap().scan()).await;
    let reference = Difference::of_snapshot(&columns, newest::per_key(chunks(&sorted, 1000)), chunks(&state, 1000));
    let reference = whole(reference.unwrap()).await;
    assert_eq!(reference.num_rows(), expected.len());
    for left in 1..6 {
        for right in 1..6 {
            let new = newest::per_key(chunks(&sorted, left));
            let events = Difference::of_snapshot(&columns, new, chunks(&state, right)).unwrap();
            assert_eq!(whole(events).await, reference, "batches of {left} and {right}");
        }
    }
}
