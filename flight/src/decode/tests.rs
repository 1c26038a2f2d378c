use std::sync::Arc;

use arrow::array::{DictionaryArray, Int32Array, Int64Array, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, UnionFields, UnionMode};
use arrow_flight::FlightDescriptor;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use futures::TryStreamExt;
use proptest::prelude::*;

use super::*;
use crate::testing::{Random, rows_as_text};

const MAX: usize = 1 << 20;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// What a client sends: descriptor and schema in the first message, dictionaries as they are.
fn encoded(schema: &SchemaRef, batches: Vec<RecordBatch>, compressed: bool) -> Vec<FlightData> {
    let compression = compressed.then_some(arrow_ipc::CompressionType::ZSTD);
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let generator = IpcDataGenerator::default();
    let mut tracker = DictionaryTracker::new(false);
    let first: FlightData = generator
        .schema_to_bytes_with_dictionary_tracker(schema, &mut tracker, &options)
        .into();
    let mut messages = vec![first.with_descriptor(FlightDescriptor::new_cmd("x"))];
    for batch in batches {
        let (dictionaries, rows) = generator
            .encode(&batch, &mut tracker, &options, &mut IpcWriteContext::default())
            .unwrap();
        messages.extend(dictionaries.into_iter().map(FlightData::from));
        messages.push(rows.into());
    }
    messages
}

fn upload(
    messages: Vec<std::result::Result<FlightData, Status>>,
) -> jetway_planner::Result<(SchemaRef, Vec<RecordBatch>)> {
    upload_limited(messages, MAX)
}

fn upload_limited(
    messages: Vec<std::result::Result<FlightData, Status>>,
    max: usize,
) -> jetway_planner::Result<(SchemaRef, Vec<RecordBatch>)> {
    block_on(async {
        let mut messages = stream::iter(messages);
        let first = messages.next().await.unwrap().unwrap();
        let rows = decode_upload(first, messages.boxed(), max).await?;
        let schema = rows.schema();
        Ok((schema, rows.try_collect().await?))
    })
}

fn numbers() -> (SchemaRef, RecordBatch) {
    let batch = RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from_iter_values(0..100)) as ArrayRef),
        (
            "t",
            Arc::new(StringArray::from_iter_values((0..100).map(|n| n.to_string()))),
        ),
    ])
    .unwrap();
    (batch.schema(), batch)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn uploads_arrive_as_they_were_sent(seed: u64, compressed: bool) {
        let mut random = Random(seed);
        let schema = random.upload_schema();
        let batches: Vec<RecordBatch> = (0..random.below(4)).map(|_| random.batch(&schema, 50)).collect();
        let messages = encoded(&schema, batches.clone(), compressed);
        // The writer makes run ends of an empty slice that no reader takes.
        let plain = FlightRecordBatchStream::new_from_flight_data(stream::iter(messages.clone().into_iter().map(Ok)));
        prop_assume!(block_on(plain.try_collect::<Vec<_>>()).is_ok());
        let (got_schema, got) = upload(messages.into_iter().map(Ok).collect()).unwrap();
        prop_assert_eq!(&got_schema, &Shape::Upload.schema(&schema));
        prop_assert!(got.iter().all(|batch| batch.schema() == got_schema));
        let sent: Vec<String> = batches.iter().flat_map(rows_as_text).collect();
        prop_assert_eq!(got.iter().flat_map(rows_as_text).collect::<Vec<_>>(), sent);
    }

    /// Bytes that are turned, cut or swapped anywhere give rows or a clear refusal, and never a panic.
    #[test]
    fn damage_is_survived(seed: u64, compressed: bool, times in 1usize..6) {
        let mut random = Random(seed);
        let schema = random.upload_schema();
        let batches: Vec<RecordBatch> = (0..2).map(|_| random.batch(&schema, 20)).collect();
        let mut messages = encoded(&schema, batches, compressed);
        for _ in 0..times {
            let at = random.below(messages.len());
            let message = &mut messages[at];
            let header = random.below(3) > 0;
            let mut bytes = if header { message.data_header.to_vec() } else { message.data_body.to_vec() };
            let place = random.below(bytes.len());
            match random.below(4) {
                0 => bytes.truncate(place),
                1 => bytes.extend([0xFF; 8]),
                _ if bytes.is_empty() => {}
                _ => bytes[place] = random.below(256) as u8,
            }
            if header { message.data_header = bytes.into() } else { message.data_body = bytes.into() }
        }
        if let Err(error) = upload(messages.into_iter().map(Ok).collect()) {
            use jetway_planner::ErrorKind::{InvalidArgument, ResourceExhausted};
            prop_assert!(matches!(error.kind(), InvalidArgument | ResourceExhausted), "{error:?}");
        }
    }
}

#[test]
fn schema_may_come_after_the_descriptor_and_metadata_between_rows() {
    let (schema, batch) = numbers();
    let mut messages = encoded(&schema, vec![batch.clone()], false);
    messages.insert(0, FlightData::new().with_descriptor(FlightDescriptor::new_cmd("x")));
    messages.insert(2, FlightData::new().with_app_metadata("ignored"));
    let (_, got) = upload(messages.into_iter().map(Ok).collect()).unwrap();
    assert_eq!(concat_batches(&schema, &got).unwrap(), batch);
}

#[test]
fn only_a_clean_end_is_an_end() {
    let (schema, batch) = numbers();
    let mut messages: Vec<_> = encoded(&schema, vec![batch], false).into_iter().map(Ok).collect();
    messages.push(Err(Status::cancelled("stream reset")));
    let error = upload(messages).unwrap_err();
    assert_eq!(error.kind(), jetway_planner::ErrorKind::Cancelled);
}

#[test]
fn misuse_is_explained() {
    let (schema, batch) = numbers();
    let messages = encoded(&schema, vec![batch], false);
    let check = |messages: Vec<FlightData>, expected: &str| {
        let error = upload(messages.into_iter().map(Ok).collect()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(vec![FlightData::new()], "ended before its schema");
    check(vec![messages[1].clone()], "first message must be the schema");
    check(vec![messages[0].clone(), messages[0].clone()], "second schema");
    check(
        vec![FlightData::new().with_data_body("no header")],
        "body without a header",
    );
    check(vec![FlightData::new().with_data_header("nonsense")], "cannot be read");
    let mut cut = messages.clone();
    cut[1].data_body = cut[1].data_body.slice(..cut[1].data_body.len() / 2);
    check(cut, "outside of its message");
}

#[test]
fn limits_hold() {
    let (schema, batch) = numbers();
    let messages = encoded(&schema, vec![batch], false);
    let error = upload_limited(messages.into_iter().map(Ok).collect(), 500).unwrap_err();
    assert_eq!(error.kind(), jetway_planner::ErrorKind::ResourceExhausted);
    assert!(error.to_string().contains("fewer rows"), "{error}");

    // A megabyte of zeros compresses to nothing, and is not unfolded beyond the limit.
    let zeros = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![0; 1 << 17])) as ArrayRef)]).unwrap();
    let messages = encoded(&zeros.schema(), vec![zeros], true);
    let error = upload_limited(messages.into_iter().map(Ok).collect(), 10_000).unwrap_err();
    assert_eq!(error.kind(), jetway_planner::ErrorKind::ResourceExhausted);
}

#[test]
fn a_long_value_behind_many_keys_arrives_in_pieces() {
    let values = StringArray::from_iter_values(["x".repeat(10_000)]);
    let keys = Int32Array::from_iter_values(std::iter::repeat_n(0, 1000));
    let batch = RecordBatch::try_from_iter([("d", Arc::new(DictionaryArray::new(keys, Arc::new(values))) as ArrayRef)])
        .unwrap();
    let messages = encoded(&batch.schema(), vec![batch], false);
    let (_, got) = upload(messages.into_iter().map(Ok).collect()).unwrap();
    assert!(got.len() >= 10);
    assert_eq!(got.iter().map(RecordBatch::num_rows).sum::<usize>(), 1000);
}

#[test]
fn unions_and_deep_types_are_refused() {
    let fields = UnionFields::try_new([0], [Field::new("a", DataType::Int32, true)]).unwrap();
    let union = Schema::new(vec![Field::new("u", DataType::Union(fields, UnionMode::Sparse), true)]);
    assert!(
        check::schema(&union)
            .unwrap_err()
            .message()
            .contains("\"u\" is a union")
    );
    let mut deep = DataType::Int32;
    for _ in 0..40 {
        deep = DataType::List(Arc::new(Field::new("item", deep, true)));
    }
    assert!(check::schema(&Schema::new(vec![Field::new("d", deep, true)])).is_err());
}

/// Aligned buffers are used in place.
#[test]
fn aligned_bodies_are_not_copied() {
    let (schema, batch) = numbers();
    let messages = encoded(&schema, vec![batch], false);
    // A body from a vector starts at a multiple of eight at least.
    let body = messages[1].data_body.clone();
    assert_eq!(body.as_ptr() as usize % 8, 0);
    let (_, got) = upload(messages.into_iter().map(Ok).collect()).unwrap();
    let values = got[0].column(0).to_data().buffers()[0].as_ptr() as usize;
    assert!((body.as_ptr() as usize..body.as_ptr() as usize + body.len()).contains(&values));
}
