use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use futures::{StreamExt, TryStreamExt, stream};
use jetway_planner::BatchStream;
use proptest::prelude::*;

use super::*;
use crate::testing::{Random, rows_as_text};
use crate::wire::{ProfileChoice, any_type, cast_batch};
use crate::{ErrorKind, WireProfile};

const SMALL: MessageLimits = MessageLimits {
    target: 4096,
    limit: 8192,
    row_limit: 1 << 20,
};
const TIMES: StreamTimes = StreamTimes {
    heartbeat: Duration::from_secs(30),
    stalled: Duration::from_secs(60),
};

async fn read_back(messages: Vec<StreamMessage>) -> Vec<RecordBatch> {
    FlightRecordBatchStream::new_from_flight_data(stream::iter(messages.into_iter().map(FlightData::from).map(Ok)))
        .try_collect()
        .await
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Splitting, casting, joining and encoding lose nothing, change no order and keep to the limits.
    #[test]
    fn messages_hold_the_rows_and_keep_to_the_limit(seed: u64) {
        let mut random = Random(seed);
        let profile = random.profile();
        let schema = random.schema();
        let wire = profile.schema(&schema);
        let batches: Vec<RecordBatch> = (0..random.below(5)).map(|_| random.batch(&schema, 300)).collect();
        let mut packer = Packer::new(Arc::clone(&wire), SMALL);
        let mut encoder = MessageEncoder::new(profile, Arc::clone(&wire)).unwrap();
        let mut messages = vec![encoder.schema()];
        // The alternatives of a union in a list are sent whole, whichever part of the list is sent.
        let union = |inner: &DataType| matches!(inner, DataType::Union(_, _));
        let unions = wire.fields().iter().any(|field| any_type(field.data_type(), &union));
        for batch in &batches {
            packer.push(batch).unwrap();
        }
        packer.flush().unwrap();
        for batch in packer.take_ready() {
            prop_assert!(batch.num_rows() > 0);
            let made = encoder.rows(&batch).unwrap();
            let message = made.last().unwrap();
            let bytes = message.header.len() + message.body_len();
            let promised = RowSizes::new(&batch, packer.dictionaries()).message(0, batch.num_rows());
            prop_assert!(batch.num_rows() == 1 || promised <= SMALL.limit);
            if profile.compression.is_none() && !unions {
                prop_assert!(bytes <= promised, "{bytes} bytes, {promised} promised");
            }
            prop_assert!(made.len() == 1 || has_dictionaries(&wire));
            messages.extend(made);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let got = concat_batches(&wire, &runtime.block_on(read_back(messages))).unwrap();
        let sent: Vec<RecordBatch> = batches.iter().map(|batch| cast_batch(batch, &wire).unwrap()).collect();
        let sent = concat_batches(&wire, &sent).unwrap();
        prop_assert_eq!(got.num_rows(), sent.num_rows());
        prop_assert_eq!(rows_as_text(&got), rows_as_text(&sent));
    }

    /// Without nulls and foreign encodings, the size is exact but for the header.
    #[test]
    fn sizes_are_those_of_the_slice(start in 0usize..1000, rows in 1usize..1000, width in 0usize..40) {
        let texts = StringArray::from_iter_values((0..2000).map(|row| "x".repeat(row % (width + 1))));
        let numbers = Int64Array::from_iter_values(0..2000);
        let batch = RecordBatch::try_from_iter([("t", Arc::new(texts) as _), ("n", Arc::new(numbers) as _)]).unwrap();
        let mut encoder = MessageEncoder::new(WireProfile::default(), batch.schema()).unwrap();
        let message = encoder.rows(&batch.slice(start, rows)).unwrap().remove(0);
        let size = RowSizes::new(&batch, Dictionaries::Hydrated).message(start, rows);
        prop_assert!(size >= message.body_len() + message.header.len());
        prop_assert!(size - message.body_len() < 1024);
    }
}

fn text_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("t", DataType::Utf8, true)]))
}

fn texts(values: &[&str]) -> RecordBatch {
    RecordBatch::try_new(text_schema(), vec![Arc::new(StringArray::from_iter_values(values))]).unwrap()
}

fn rows(batches: Vec<jetway_planner::Result<RecordBatch>>) -> BatchStream {
    BatchStream::new(text_schema(), stream::iter(batches))
}

/// Trap 27.
#[test]
fn a_row_that_is_too_large_says_so() {
    let long = "x".repeat(SMALL.row_limit);
    let mut packer = Packer::new(text_schema(), SMALL);
    let error = packer.push(&texts(&["a", &long])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    // Above the limit of a message but below that of a row, it travels alone.
    packer.push(&texts(&["a", &long[..SMALL.limit * 4], "b"])).unwrap();
    packer.flush().unwrap();
    let sizes: Vec<usize> = packer.take_ready().iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [1, 1, 1]);
}

#[test]
fn small_batches_are_joined_and_large_ones_left_alone() {
    let mut packer = Packer::new(text_schema(), SMALL);
    for _ in 0..10 {
        packer.push(&texts(&["a", "b"])).unwrap();
    }
    let large = texts(&[&"x".repeat(SMALL.target / 2)]);
    packer.push(&large).unwrap();
    packer.flush().unwrap();
    let ready = packer.take_ready();
    assert_eq!(
        ready.last().unwrap().column(0).to_data().buffers()[1].as_ptr(),
        large.column(0).to_data().buffers()[1].as_ptr()
    );
    assert_eq!(ready.iter().map(RecordBatch::num_rows).sum::<usize>(), 21);
    assert!(ready.len() <= 5);
}

/// A dictionary is small and what it stands for is not: it is taken apart before it is unfolded.
/// Traps 6 and 40.
#[test]
fn dictionaries_unfold_in_pieces() {
    let values = StringArray::from_iter_values(["x".repeat(1000)]);
    let keys = Int32Array::from_iter_values(std::iter::repeat_n(0, 5000));
    let batch =
        RecordBatch::try_from_iter([("d", Arc::new(DictionaryArray::new(keys, Arc::new(values))) as _)]).unwrap();
    let mut packer = Packer::new(WireProfile::default().schema(&batch.schema()), SMALL);
    packer.push(&batch).unwrap();
    packer.flush().unwrap();
    let ready = packer.take_ready();
    assert!(
        ready
            .iter()
            .all(|batch| RowSizes::new(batch, Dictionaries::Hydrated).message(0, batch.num_rows()) <= SMALL.limit)
    );
    assert_eq!(ready.iter().map(RecordBatch::num_rows).sum::<usize>(), 5000);
}

/// Trap 11.
#[tokio::test]
async fn results_without_rows_or_columns_have_a_schema() {
    let messages: Vec<StreamMessage> =
        encode_stream(text_schema(), rows(vec![]), WireProfile::default(), SMALL, TIMES, None)
            .try_collect()
            .await
            .unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(
        &Schema::try_from(&FlightData::from(messages[0].clone())).unwrap(),
        text_schema().as_ref()
    );

    let none = Arc::new(Schema::empty());
    let options = RecordBatchOptions::new().with_row_count(Some(7));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&none), vec![], &options).unwrap();
    let input = BatchStream::new(Arc::clone(&none), stream::iter([Ok(batch.clone()), Ok(batch)]));
    let messages = encode_stream(none, input, WireProfile::default(), SMALL, TIMES, None)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        read_back(messages)
            .await
            .iter()
            .map(RecordBatch::num_rows)
            .sum::<usize>(),
        14
    );
}

#[tokio::test]
async fn failures_of_the_plan_end_the_stream_with_an_error() {
    let failed = jetway_planner::Error::new(jetway_planner::ErrorKind::ResourceExhausted, "out of memory");
    let stream = encode_stream(
        text_schema(),
        rows(vec![Ok(texts(&["a"])), Err(failed)]),
        WireProfile::default(),
        SMALL,
        TIMES,
        None,
    );
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Planner(jetway_planner::ErrorKind::ResourceExhausted)
    );

    // A panic is no clean end either.
    let dies = BatchStream::new(text_schema(), stream::once(async { panic!("in the plan") }));
    let stream = encode_stream(text_schema(), dies, WireProfile::default(), SMALL, TIMES, None);
    assert_eq!(
        stream.try_collect::<Vec<_>>().await.unwrap_err().kind(),
        ErrorKind::Internal
    );
}

/// Trap 29.
#[tokio::test]
async fn slow_plans_send_heartbeats_and_slow_rows_do_not_wait_for_more() {
    let input = stream::unfold(0, |step| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        (step < 1).then(|| (Ok(texts(&["a"])), step + 1))
    });
    let times = StreamTimes {
        heartbeat: Duration::from_millis(50),
        ..TIMES
    };
    let started = std::time::Instant::now();
    let mut stream = encode_stream(
        text_schema(),
        BatchStream::new(text_schema(), input),
        WireProfile::default(),
        SMALL,
        times,
        None,
    );
    let mut seen = Vec::new();
    while let Some(message) = stream.next().await {
        seen.push(message.unwrap());
        // Neither the row nor what comes before waits for the end of the plan at 600 ms.
        assert!(seen.len() > 3 || started.elapsed() < Duration::from_millis(550));
    }
    let rows: Vec<usize> = read_back(seen).await.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(rows.iter().sum::<usize>(), 1);
    assert!(
        rows.iter().position(|&rows| rows == 1).unwrap() >= 1,
        "heartbeats before the row: {rows:?}"
    );
    assert_eq!(rows.last(), Some(&0));
}

/// Trap 33.
#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let endless = stream::repeat_with(|| Ok(texts(&["x".repeat(SMALL.target).as_str()])));
    let times = StreamTimes {
        stalled: Duration::from_millis(50),
        ..TIMES
    };
    let mut stream = encode_stream(
        text_schema(),
        BatchStream::new(text_schema(), endless),
        WireProfile::default(),
        SMALL,
        times,
        None,
    );
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut last = None;
    while let Some(item) = stream.next().await {
        last = Some(item.map(|_| ()));
    }
    assert_eq!(last.unwrap().unwrap_err().kind(), ErrorKind::DeadlineExceeded);
}

/// Trap 32.
#[tokio::test]
async fn dropping_the_stream_stops_the_plan() {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let stopped = Arc::new(AtomicBool::new(false));
    let flag = Flag(Arc::clone(&stopped));
    let endless = stream::once(async move {
        let _flag = flag;
        std::future::pending().await
    });
    let mut stream = encode_stream(
        text_schema(),
        BatchStream::new(text_schema(), endless),
        WireProfile::default(),
        SMALL,
        TIMES,
        None,
    );
    stream.next().await.unwrap().unwrap();
    drop(stream);
    for _ in 0..100 {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the plan still runs");
}

/// Large buffers of the arrays travel as they are; what is small is joined.
#[test]
fn the_buffers_of_large_columns_are_shared() {
    let numbers = Int64Array::from_iter_values(0..8192);
    let values = numbers.values().inner().as_ptr();
    let batch = RecordBatch::try_from_iter([
        ("few", Arc::new(Int32Array::from(vec![7; 8192]).slice(0, 8192)) as _),
        ("n", Arc::new(numbers) as _),
    ])
    .unwrap();
    let message = MessageEncoder::new(WireProfile::default(), batch.schema())
        .unwrap()
        .rows(&batch)
        .unwrap()
        .remove(0);
    assert!(message.body.iter().any(|piece| piece.as_ptr() == values));
    assert_eq!(message.body_len(), 8192 * 12);
    let small = batch.slice(0, 3);
    let message = MessageEncoder::new(WireProfile::default(), batch.schema())
        .unwrap()
        .rows(&small)
        .unwrap()
        .remove(0);
    assert_eq!(message.body.len(), 1);
}

/// Trap 6: dictionaries are sent once, again when they change, and under a schema that says so.
#[tokio::test]
async fn dictionaries_are_sent_when_they_are_new() {
    let column = |keys: &[i32], values: &[&str]| {
        let values: ArrayRef = Arc::new(StringArray::from_iter_values(values));
        DictionaryArray::new(Int32Array::from(keys.to_vec()), values)
    };
    let first = column(&[1, 0, 1], &["x", "y"]);
    let schema = Arc::new(Schema::new(vec![Field::new("d", first.data_type().clone(), true)]));
    let batch =
        |column: DictionaryArray<Int32Type>| RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(column)]).unwrap();
    let choice = ProfileChoice {
        dictionaries: Some(true),
        ..ProfileChoice::default()
    };
    let profile = WireProfile::for_client("", &choice);
    let wire = profile.schema(&schema);
    assert_eq!(wire.field(0).data_type(), schema.field(0).data_type());
    let batches = [
        batch(column(&[], &[])),
        batch(first.clone()),
        batch(first.slice(1, 2)),
        batch(column(&[0, 1], &["z", "x"])),
    ];
    let mut encoder = MessageEncoder::new(profile, Arc::clone(&wire)).unwrap();
    let mut messages = vec![encoder.schema()];
    let mut counts = Vec::new();
    for batch in &batches {
        let made = encoder.rows(batch).unwrap();
        counts.push(made.len());
        messages.extend(made);
    }
    assert_eq!(counts, [2, 2, 1, 2]);
    let got = read_back(messages).await;
    assert!(got.iter().all(|batch| batch.schema() == wire));
    let texts: Vec<String> = got.iter().flat_map(rows_as_text).collect();
    assert_eq!(texts, ["y", "x", "y", "x", "y", "z", "x"]);
}
