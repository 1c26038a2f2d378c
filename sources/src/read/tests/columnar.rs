use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow_avro::writer::AvroWriter;
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::{Table, arriving, assert_says, error, rows, table};
use crate::read::{Format, ReadOptions, read_as};
use crate::{ErrorKind, Result};

fn batch() -> RecordBatch {
    let moments = TimestampMicrosecondArray::from(vec![Some(1_709_190_309_000_001), Some(-1), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![Some(1), Some(i64::MAX), None]))),
        ("name", Arc::new(StringArray::from(vec![Some("ann"), Some(""), None]))),
        ("score", Arc::new(Float64Array::from(vec![0.1, -0.0, 2.0]))),
        ("at", Arc::new(moments.with_timezone("UTC"))),
        (
            "price",
            Arc::new(
                Decimal128Array::from(vec![12_345, 1, 0])
                    .with_precision_and_scale(20, 3)
                    .unwrap(),
            ),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, values)| (name, values, true))).unwrap()
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn file(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn avro(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = AvroWriter::new(Vec::new(), batch.schema().as_ref().clone()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner()
}

async fn read_format(format: Format, schema: Option<SchemaRef>, bytes: Vec<u8>) -> Result<Table> {
    table(read_as(format, schema, arriving(bytes), &ReadOptions::default()).await?).await
}

const ROWS: [&str; 3] = [
    "1|ann|0.1|2024-02-29T07:05:09.000001Z|12.345",
    "9223372036854775807||-0.0|1969-12-31T23:59:59.999999Z|0.001",
    "∅|∅|2.0|∅|0.000",
];

#[tokio::test]
async fn files_are_read_as_they_are() {
    let batch = batch();
    for (format, bytes, repeats) in [
        (Format::Parquet, parquet(&batch), 1),
        (Format::ArrowIpc, stream(&batch), 2),
        (Format::ArrowIpc, file(&batch), 1),
        (Format::Avro, avro(&batch), 1),
    ] {
        let table = read_format(format, None, bytes).await.unwrap();
        assert_eq!(table.rows, ROWS.repeat(repeats), "{format:?}");
        assert_eq!(
            table.columns.first().map(String::as_str),
            Some("id Int64"),
            "{format:?}"
        );
        assert_eq!(
            table.columns.get(4).map(String::as_str),
            Some("price Decimal128(20, 3)"),
            "{format:?}"
        );
    }
}

#[tokio::test]
async fn a_declared_schema_takes_columns_by_name_and_casts_what_survives() {
    let step = json!({ "kind": "Parquet", "ddlSchema": [
        "price DECIMAL(30,5)", "at TIMESTAMP(9)", "absent STRING", "score FLOAT", "name STRING",
    ] });
    // 0.1 is another number as FLOAT.
    assert_says(
        &error(step.clone(), parquet(&batch())).await,
        &["would change", "column: score", "declared: Float32"],
    );
    let halves = batch().slice(1, 2);
    assert_eq!(
        rows(step, parquet(&halves)).await,
        ["0.00100|1969-12-31T23:59:59.999999Z|∅|-0.0|", "0.00000|∅|∅|2.0|∅"]
    );
    let cases = [
        ("id INT", "would change"),
        ("at TIMESTAMP", "would change"),
        ("price DECIMAL(20,2)", "would change"),
        ("id BIGINT NOT NULL", "a value is missing"),
        ("more INT NOT NULL", "does not have a column"),
        ("id ARRAY<STRUCT<x: INT>>", "cannot become"),
    ];
    for (definition, part) in cases {
        let step = json!({ "kind": "Parquet", "ddlSchema": [definition] });
        let error = error(step, parquet(&batch())).await;
        assert_eq!(error.kind(), ErrorKind::BadData, "{definition}: {error}");
        assert_says(&error, &[part, "column: "]);
    }
    let declared = Arc::new(Schema::new(vec![Field::new("id", DataType::Utf8, true)]));
    for (format, bytes) in [(Format::ArrowIpc, file(&batch())), (Format::Avro, avro(&batch()))] {
        let table = read_format(format, Some(Arc::clone(&declared)), bytes).await.unwrap();
        assert_eq!(table.rows, ["1", "9223372036854775807", "∅"], "{format:?}");
    }
}

#[tokio::test]
async fn timestamps_without_a_zone_are_taken_as_utc() {
    let naive = TimestampMicrosecondArray::from(vec![1]);
    let batch = RecordBatch::try_from_iter([("at", Arc::new(naive) as ArrayRef)]).unwrap();
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let declared = Arc::new(Schema::new(vec![Field::new("at", utc, true)]));
    let table = read_format(Format::Parquet, Some(declared), parquet(&batch))
        .await
        .unwrap();
    assert_eq!(table.rows, ["1970-01-01T00:00:00.000001Z"]);
}

#[tokio::test]
async fn files_that_were_cut_off_never_look_whole() {
    let batch = batch();
    for (format, bytes) in [
        (Format::Parquet, parquet(&batch)),
        (Format::ArrowIpc, stream(&batch)),
        (Format::ArrowIpc, file(&batch)),
        (Format::Avro, avro(&batch)),
    ] {
        for end in (0..bytes.len()).step_by(13).chain([bytes.len() - 1]) {
            let result = read_format(format, None, bytes[..end].to_vec()).await;
            let Err(error) = result else {
                panic!("{format:?} cut at {end} of {} looks whole", bytes.len())
            };
            assert_eq!(error.kind(), ErrorKind::BadData, "{format:?} cut at {end}: {error}");
        }
    }
}
