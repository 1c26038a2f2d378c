use std::sync::Arc;

use arrow::array::Int64Array;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{FutureExt, stream};

use super::*;

fn batch(rows: i64) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, false)]));
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(0..rows))]).unwrap()
}

fn rows(batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
    let schema = batches[0].schema();
    Box::pin(RecordBatchStreamAdapter::new(
        schema,
        stream::iter(batches.into_iter().map(Ok)),
    ))
}

fn division() -> Option<Division> {
    Some(Division::new(&TaskContext::default()))
}

#[tokio::test]
async fn pieces_grow_while_they_are_done_in_time_and_no_row_is_lost() {
    let mut paced = Paced::new(rows(vec![batch(8192), batch(8192)]), division());
    let (mut sizes, mut sum) = (Vec::new(), 0);
    while let Some(piece) = paced.next().await {
        let piece = piece.unwrap();
        sizes.push(piece.num_rows());
        sum += piece.num_rows();
    }
    assert_eq!(sum, 2 * 8192);
    assert_eq!(sizes[0], FIRST_ROWS);
    assert!(*sizes.iter().max().unwrap() > FIRST_ROWS, "{sizes:?}");
}

#[tokio::test]
async fn pieces_shrink_for_a_join_that_is_slow() {
    let mut paced = Paced::new(rows(vec![batch(8192)]), division());
    let first = paced.next().await.unwrap().unwrap();
    std::thread::sleep(2 * TURN);
    let second = paced.next().await.unwrap().unwrap();
    assert!(second.num_rows() < first.num_rows());
}

#[test]
fn others_get_their_turn() {
    let mut paced = Paced::new(rows(vec![batch(1), batch(1), batch(1)]), None);
    assert!(paced.next().now_or_never().is_some());
    std::thread::sleep(2 * TURN);
    assert!(
        paced.next().now_or_never().is_none(),
        "it computes for too long without a break"
    );
    assert!(paced.next().now_or_never().is_some(), "after the break it goes on");
}
