//! What comes of pushed rows: slices, blocks, offsets, and nothing when something is wrong.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use futures::{StreamExt, TryStreamExt, stream};
use jetway_odf::chain;
use jetway_odf::hash::LogicalHasher;
use jetway_odf::identity::Multihash;
use jetway_odf::metadata::{DataSlice, MetadataEvent};
use jetway_odf::storage::ObjectKind;
use jetway_planner::{BatchStream, Error, ErrorKind, IfNotExists, IngestRequest, PlannerOptions, TableName};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::catalog::{Fixture, push};

fn numbers(range: std::ops::Range<i64>) -> RecordBatch {
    let names: Vec<String> = range.clone().map(|number| format!("n{number}")).collect();
    RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from_iter_values(range)) as ArrayRef),
        ("name", Arc::new(StringArray::from(names)) as ArrayRef),
    ])
    .unwrap()
}

fn timed(times: Vec<Option<i64>>) -> RecordBatch {
    let count = times.len() as i64;
    RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from_iter_values(0..count)) as ArrayRef),
        (
            "event_time",
            Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")) as ArrayRef,
        ),
    ])
    .unwrap()
}

/// Reads the whole chain and every slice with nothing but the format's own rules; gives the slices by offset.
async fn validate(fixture: &Fixture, table: &str) -> Vec<DataSlice> {
    let dataset = fixture.dataset(table).await;
    let mut slices = Vec::new();
    let state = chain::load(&dataset.storage, dataset.head, |block| {
        if let MetadataEvent::AddData(event) = &block.block.event {
            slices.extend(event.new_data.clone());
        }
    })
    .await
    .unwrap();
    let mut next = 0;
    for slice in &slices {
        assert_eq!(slice.offset_interval.start, next);
        next = slice.offset_interval.end + 1;
        let bytes: Vec<u8> = dataset
            .storage
            .open_object(ObjectKind::Data, &slice.physical_hash)
            .await
            .unwrap()
            .bytes
            .try_fold(Vec::new(), |mut all, bytes| async move {
                all.extend_from_slice(&bytes);
                Ok(all)
            })
            .await
            .unwrap();
        assert_eq!(bytes.len() as u64, slice.size);
        assert_eq!(Multihash::sha3_256(&bytes), slice.physical_hash);
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes))
            .unwrap()
            .with_batch_size(10_000);
        let schema = Arc::clone(reader.schema());
        assert_eq!(
            *schema,
            state.schema().unwrap().to_arrow().unwrap(),
            "a slice has the schema that the chain announces"
        );
        let mut hasher = LogicalHasher::new(&schema).unwrap();
        let mut rows = 0;
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            rows += batch.num_rows() as u64;
            hasher.update(&batch).unwrap();
        }
        assert_eq!(rows, slice.offset_interval.end - slice.offset_interval.start + 1);
        assert_eq!(hasher.finish().unwrap(), slice.logical_hash);
    }
    slices
}

#[tokio::test]
async fn a_first_push_makes_a_dataset_that_reads_back() {
    let fixture = Fixture::new().await;
    let outcome = fixture
        .push("my_table", vec![numbers(0..3), numbers(3..5)])
        .await
        .unwrap();
    assert!(outcome.created);
    assert_eq!(outcome.rows, 5);
    let rows = fixture
        .rows("SELECT \"offset\", op, n, name FROM my_table ORDER BY \"offset\"")
        .await;
    assert_eq!(rows, ["0 0 0 n0", "1 0 1 n1", "2 0 2 n2", "3 0 3 n3", "4 0 4 n4"]);
    assert_eq!(
        fixture
            .rows("SELECT count(*), count(DISTINCT system_time), count(event_time) FROM alice.my_table")
            .await,
        ["5 1 5"]
    );
    assert_eq!(validate(&fixture, "my-table").await.len(), 1);
}

#[tokio::test]
async fn appended_rows_continue_the_offsets() {
    let fixture = Fixture::new().await;
    fixture.push("t", vec![numbers(0..10)]).await.unwrap();
    let outcome = fixture.push("T", vec![numbers(10..15)]).await.unwrap();
    assert!(!outcome.created);
    assert_eq!(
        fixture
            .rows("SELECT min(\"offset\"), max(\"offset\"), sum(n) FROM t")
            .await,
        ["0 14 105"]
    );
    assert_eq!(validate(&fixture, "t").await.len(), 2);
}

#[tokio::test]
async fn columns_are_found_by_name_and_missing_ones_become_null() {
    let fixture = Fixture::new().await;
    let optional = |batch: &RecordBatch| {
        let fields: Vec<Field> = batch
            .schema()
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec()).unwrap()
    };
    fixture.push("t", vec![optional(&numbers(0..1))]).await.unwrap();
    let reordered = numbers(1..2).project(&[1, 0]).unwrap();
    fixture.push("t", vec![reordered]).await.unwrap();
    fixture
        .push("t", vec![numbers(2..3).project(&[0]).unwrap()])
        .await
        .unwrap();
    assert_eq!(
        fixture.rows("SELECT n, name FROM t ORDER BY n").await,
        ["0 n0", "1 n1", "2 null"]
    );
    validate(&fixture, "t").await;
}

#[tokio::test]
async fn rows_that_do_not_fit_change_nothing() {
    let fixture = Fixture::new().await;
    fixture.push("t", vec![numbers(0..3)]).await.unwrap();
    let head = fixture.dataset("t").await.head;
    let wrong_type = RecordBatch::try_from_iter([
        ("n", Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
        ("name", Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
    ]);
    let missing = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]);
    let extra = numbers(0..1);
    let extra = RecordBatch::try_from_iter([
        ("n", Arc::clone(extra.column(0))),
        ("name", Arc::clone(extra.column(1))),
        ("more", Arc::clone(extra.column(0))),
    ]);
    for (batch, word) in [(wrong_type, "\"n\""), (missing, "\"name\""), (extra, "\"more\"")] {
        let error = fixture.push("t", vec![batch.unwrap()]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch);
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(fixture.dataset("t").await.head, head);
}

#[tokio::test]
async fn a_stream_that_breaks_leaves_nothing() {
    let fixture = Fixture::new().await;
    let request = |table: &str| IngestRequest {
        if_not_exists: IfNotExists::Create,
        ..IngestRequest::append(TableName::parse(None, None, table).unwrap())
    };
    let broken = |rows: i64| {
        let batches = vec![Ok(numbers(0..rows)), Err(Error::new(ErrorKind::Cancelled, "gone"))];
        BatchStream::new(numbers(0..1).schema(), stream::iter(batches))
    };
    for rows in [10, 100_000] {
        let error = fixture
            .planner
            .ingest(&fixture.alice, request("fresh"), broken(rows))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(
            fixture.sql("SELECT * FROM fresh").await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
    }
    fixture.push("old", vec![numbers(0..1)]).await.unwrap();
    let head = fixture.dataset("old").await.head;
    for rows in [10, 100_000] {
        fixture
            .planner
            .ingest(&fixture.alice, request("old"), broken(rows))
            .await
            .unwrap_err();
        assert_eq!(fixture.dataset("old").await.head, head);
    }
}

#[tokio::test]
async fn many_small_pushes_share_blocks_and_none_is_lost() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.push("t", vec![numbers(0..1)]).await.unwrap();
    let pushes = (0..64).map(|client| {
        let fixture = Arc::clone(&fixture);
        tokio::spawn(async move {
            for push in 0..5 {
                let first = 1 + (client * 5 + push) * 10;
                fixture.push("t", vec![numbers(first..first + 10)]).await.unwrap();
            }
        })
    });
    for push in pushes.collect::<Vec<_>>() {
        push.await.unwrap();
    }
    assert_eq!(
        fixture
            .rows("SELECT count(*), count(DISTINCT n), max(n), max(\"offset\") FROM t")
            .await,
        ["3201 3201 3200 3200"]
    );
    let slices = validate(&fixture, "t").await.len();
    assert!(slices < 160, "320 pushes made {slices} slices");
}

#[tokio::test]
async fn two_processes_push_to_one_dataset() {
    let fixture = Arc::new(Fixture::new().await);
    fixture.push("t", vec![numbers(0..1)]).await.unwrap();
    let planners = [fixture.planner.clone(), fixture.another_planner()];
    let pushes = (0..8).map(|client: i64| {
        let (planner, alice) = (planners[client as usize % 2].clone(), fixture.alice.clone());
        tokio::spawn(async move {
            for push_number in 0..3 {
                // Every third push is too large to share a slice.
                let size = if client % 3 == 0 { 70_000 } else { 10 };
                let first = 1_000_000 * (client * 3 + push_number + 1);
                push(&planner, &alice, "t", vec![numbers(first..first + size)])
                    .await
                    .unwrap();
            }
        })
    });
    for push in pushes.collect::<Vec<_>>() {
        push.await.unwrap();
    }
    let expected = 1 + 9 * 70_000 + 15 * 10;
    let rows = fixture
        .rows("SELECT count(*), count(DISTINCT n), max(\"offset\") FROM t")
        .await;
    assert_eq!(rows, [format!("{expected} {expected} {}", expected - 1)]);
    validate(&fixture, "t").await;
}

#[tokio::test]
async fn rows_are_ordered_by_event_time_and_nulls_get_the_time_of_arrival() {
    let fixture = Fixture::new().await;
    fixture
        .push(
            "t",
            vec![timed(vec![Some(3_000_000), None, Some(1_000_001), Some(3_000_000)])],
        )
        .await
        .unwrap();
    let rows = fixture.rows("SELECT n FROM t ORDER BY \"offset\"").await;
    assert_eq!(rows, ["2", "0", "3", "1"]);
    assert_eq!(
        fixture
            .rows("SELECT count(*) FROM t WHERE event_time = system_time")
            .await,
        ["1"]
    );
    let times = fixture.sql("SELECT event_time FROM t LIMIT 1").await.unwrap();
    assert_eq!(
        *times[0].column(0).data_type(),
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    );
}

#[tokio::test]
async fn event_times_are_never_cut() {
    let fixture = Fixture::new().await;
    let texts = |times: Vec<&str>| {
        RecordBatch::try_from_iter([
            (
                "n",
                Arc::new(Int64Array::from_iter_values(0..times.len() as i64)) as ArrayRef,
            ),
            ("event_time", Arc::new(StringArray::from(times)) as ArrayRef),
        ])
        .unwrap()
    };
    fixture
        .push(
            "t",
            vec![texts(vec!["2020-01-01T00:00:00.001Z", "1000-01-01T00:00:00.5Z"])],
        )
        .await
        .unwrap();
    fixture.push("t", vec![timed(vec![Some(1_000), None])]).await.unwrap();
    let fine = [
        (
            timed(vec![Some(1_000), None, Some(1_001)]),
            "1970-01-01T00:00:00.001001Z",
        ),
        (
            texts(vec!["2020-01-01T00:00:00Z", "2020-01-01T00:00:00.123456789Z"]),
            "2020-01-01T00:00:00.123456789Z",
        ),
        (texts(vec!["1000-01-01T00:00:00.0001Z"]), "1000-01-01T00:00:00.0001Z"),
    ];
    for (rows, value) in fine {
        let error = fixture.push("t", vec![rows]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{error}");
        let told = error.to_string();
        assert!(told.contains("\"event_time\"") && told.contains(value), "{told}");
    }
    assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["4"]);
}

#[tokio::test]
async fn a_long_unordered_stream_becomes_ordered_slices() {
    let fixture = Fixture::new().await;
    let ordered = |first: i64| timed((0..300_000).map(|index| Some((first + index) * 1_000)).collect());
    // The third batch goes back in time, which a slice may not.
    fixture
        .push("t", vec![ordered(0), ordered(300_000), ordered(100_000)])
        .await
        .unwrap();
    let slices = validate(&fixture, "t").await;
    assert!((1..=2).contains(&slices.len()), "{} slices", slices.len());
    let batches = fixture.sql("SELECT count(*) FROM (SELECT event_time, lag(event_time) OVER (ORDER BY \"offset\") AS before FROM t) WHERE event_time < before").await.unwrap();
    assert!(batches[0].column(0).as_primitive::<Int64Type>().value(0) < slices.len() as i64);
    let state = chain::load(
        &fixture.dataset("t").await.storage,
        fixture.dataset("t").await.head,
        |_| {},
    )
    .await
    .unwrap();
    assert_eq!(state.watermark().unwrap().timestamp_millis(), 599_999);
}

#[tokio::test]
async fn a_push_without_rows_makes_an_empty_dataset_and_appends_nothing() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.push("t", vec![numbers(0..0)]).await.unwrap().rows, 0);
    assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["0"]);
    assert!(fixture.rows("SELECT * FROM t").await.is_empty());
    let head = fixture.dataset("t").await.head;
    fixture.push("t", vec![numbers(0..0)]).await.unwrap();
    assert_eq!(fixture.dataset("t").await.head, head);
    fixture.push("t", vec![numbers(0..2)]).await.unwrap();
    assert_eq!(fixture.rows("SELECT count(*) FROM t").await, ["2"]);
}

#[tokio::test]
async fn columns_called_like_system_columns_are_renamed() {
    let fixture = Fixture::new().await;
    let batch = RecordBatch::try_from_iter([
        ("offset", Arc::new(Int64Array::from(vec![7])) as ArrayRef),
        ("op", Arc::new(StringArray::from(vec!["x"])) as ArrayRef),
    ]);
    fixture.push("t", vec![batch.unwrap()]).await.unwrap();
    assert_eq!(
        fixture.rows("SELECT \"offset\", op, _offset, _op FROM t").await,
        ["0 0 7 x"]
    );
}

#[tokio::test]
async fn a_dropped_ingest_leaves_nothing() {
    let fixture = Fixture::new().await;
    let endless = stream::repeat_with(|| Ok(numbers(0..1_000))).then(|batch| async {
        tokio::task::yield_now().await;
        batch
    });
    let request = IngestRequest {
        if_not_exists: IfNotExists::Create,
        ..IngestRequest::append(TableName::parse(None, None, "t").unwrap())
    };
    let rows = BatchStream::new(numbers(0..1).schema(), endless);
    let ingest = fixture.planner.ingest(&fixture.alice, request, rows);
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(200), ingest)
            .await
            .is_err()
    );
    assert_eq!(
        fixture.sql("SELECT * FROM t").await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn large_ingests_take_turns_and_small_ones_do_not_wait() {
    let options = PlannerOptions {
        large_ingests: 1,
        ..PlannerOptions::default()
    };
    let fixture = Fixture::new().await.restarted(options);
    for table in ["a", "b"] {
        fixture.push(table, vec![numbers(0..1)]).await.unwrap();
    }
    // The first one has the lane until its client says that it is done.
    let (done, wait) = tokio::sync::oneshot::channel::<()>();
    let large = || stream::iter((0..8).map(|part| Ok(numbers(part * 100_000..(part + 1) * 100_000))));
    let held = large().chain(stream::once(async move {
        wait.await.unwrap();
        Ok(numbers(0..1))
    }));
    let ingest = |table: &str, rows: BatchStream| {
        let request = IngestRequest::append(TableName::parse(None, None, table).unwrap());
        let (planner, alice) = (fixture.planner.clone(), fixture.alice.clone());
        tokio::spawn(async move { planner.ingest(&alice, request, rows).await })
    };
    let first = ingest("a", BatchStream::new(numbers(0..1).schema(), held));
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let second = ingest("b", BatchStream::new(numbers(0..1).schema(), large()));
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    fixture.push("b", vec![numbers(0..10)]).await.unwrap();
    assert!(!first.is_finished() && !second.is_finished());
    done.send(()).unwrap();
    assert_eq!(first.await.unwrap().unwrap().rows, 800_001);
    assert_eq!(second.await.unwrap().unwrap().rows, 800_000);
}
