//! Every Arrow type: stored and read back without a change of value, or refused by name.

use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::*;
use half_free::f16_array;
use jetway_planner::ErrorKind;

use crate::catalog::Fixture;

/// Float16 values without naming the crate that implements them.
mod half_free {
    use super::*;

    pub(super) fn f16_array() -> ArrayRef {
        cast(
            &Float32Array::from(vec![Some(1.5), None, Some(-2.0)]),
            &DataType::Float16,
        )
        .unwrap()
    }
}

fn list(values: ArrayRef, nullable: bool) -> ArrayRef {
    let field = Arc::new(Field::new("item", values.data_type().clone(), nullable));
    let offsets = OffsetBuffer::new(vec![0, 2, 2, 3].into());
    Arc::new(ListArray::new(
        field,
        offsets,
        values,
        Some(NullBuffer::from(vec![true, false, true])),
    ))
}

#[tokio::test]
async fn stored_types_read_back_equal() {
    let us = vec![Some(1_700_000_000_123_456), None, Some(-1)];
    let utc = |array: TimestampMicrosecondArray| Arc::new(array.with_timezone("UTC")) as ArrayRef;
    let same: Vec<(&str, ArrayRef)> = vec![
        (
            "bool",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        (
            "i8",
            Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)])),
        ),
        ("i16", Arc::new(Int16Array::from(vec![Some(1), None, Some(3)]))),
        ("i32", Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
        (
            "i64",
            Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(i64::MAX)])),
        ),
        ("u8", Arc::new(UInt8Array::from(vec![Some(1), None, Some(u8::MAX)]))),
        ("u16", Arc::new(UInt16Array::from(vec![Some(1), None, Some(u16::MAX)]))),
        ("u32", Arc::new(UInt32Array::from(vec![Some(1), None, Some(u32::MAX)]))),
        ("u64", Arc::new(UInt64Array::from(vec![Some(1), None, Some(u64::MAX)]))),
        ("f16", f16_array()),
        (
            "f32",
            Arc::new(Float32Array::from(vec![Some(f32::NAN), None, Some(f32::NEG_INFINITY)])),
        ),
        ("f64", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(-0.0)]))),
        (
            "text",
            Arc::new(StringArray::from(vec![Some("čeština 🦀"), None, Some("")])),
        ),
        (
            "bytes",
            Arc::new(BinaryArray::from(vec![Some(&[0_u8, 255][..]), None, Some(&[])])),
        ),
        (
            "fixed",
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    [Some([1_u8, 2]), None, Some([3, 4])].into_iter(),
                    2,
                )
                .unwrap(),
            ),
        ),
        ("date", Arc::new(Date32Array::from(vec![Some(-1), None, Some(20_000)]))),
        (
            "time_ms",
            Arc::new(Time32MillisecondArray::from(vec![Some(1), None, Some(86_399_999)])),
        ),
        (
            "time_ns",
            Arc::new(Time64NanosecondArray::from(vec![Some(1), None, Some(2)])),
        ),
        (
            "ts_s",
            Arc::new(TimestampSecondArray::from(vec![Some(1), None, Some(-5)]).with_timezone("UTC")),
        ),
        ("ts_us", utc(TimestampMicrosecondArray::from(us.clone()))),
        (
            "ts_zone",
            Arc::new(TimestampNanosecondArray::from(us.clone()).with_timezone("Europe/Prague")),
        ),
        (
            "ts_shift",
            Arc::new(TimestampMillisecondArray::from(us).with_timezone("+05:30")),
        ),
        (
            "money",
            Arc::new(
                Decimal128Array::from(vec![Some(12_345), None, Some(-1)])
                    .with_precision_and_scale(12, 2)
                    .unwrap(),
            ),
        ),
        (
            "huge",
            Arc::new(
                Decimal256Array::from(vec![Some(i256::MAX), None, Some(i256::ONE)])
                    .with_precision_and_scale(76, 10)
                    .unwrap(),
            ),
        ),
        (
            "ints",
            list(Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])), true),
        ),
        (
            "texts",
            list(Arc::new(StringArray::from(vec![Some("a"), None, Some("c")])), true),
        ),
    ];
    let fixture = Fixture::new().await;
    let batch =
        RecordBatch::try_from_iter_with_nullable(same.iter().map(|(name, array)| (*name, Arc::clone(array), true)))
            .unwrap();
    fixture.push("t", vec![batch.clone()]).await.unwrap();
    let names: Vec<String> = same.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let read = fixture
        .sql(&format!("SELECT {} FROM t ORDER BY \"offset\"", names.join(", ")))
        .await
        .unwrap();
    for ((name, array), column) in same.iter().zip(read[0].columns()) {
        assert_eq!(array.data_type(), column.data_type(), "{name}");
        assert_eq!(array, column, "{name}");
    }
}

#[tokio::test]
async fn encodings_are_taken_off_without_changing_values() {
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("a")]));
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&b"x"[..]), None, Some(&b"y"[..])]));
    let naive: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None, Some(3)]));
    let zoned: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None, Some(3)]).with_timezone("UTC"));
    let date: ArrayRef = Arc::new(Date32Array::from(vec![Some(1), None, Some(3)]));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let cases: Vec<(&str, ArrayRef, &ArrayRef)> = vec![
        ("view", cast(&text, &DataType::Utf8View).unwrap(), &text),
        ("large", cast(&text, &DataType::LargeUtf8).unwrap(), &text),
        ("dict", cast(&text, &dictionary).unwrap(), &text),
        ("bview", cast(&bytes, &DataType::BinaryView).unwrap(), &bytes),
        ("blarge", cast(&bytes, &DataType::LargeBinary).unwrap(), &bytes),
        ("naive", naive, &zoned),
        ("date64", cast(&date, &DataType::Date64).unwrap(), &date),
    ];
    let fixture = Fixture::new().await;
    let batch =
        RecordBatch::try_from_iter_with_nullable(cases.iter().map(|(name, array, _)| (*name, Arc::clone(array), true)))
            .unwrap();
    for push in 0..2 {
        fixture.push("t", vec![batch.clone()]).await.unwrap();
        let names: Vec<&str> = cases.iter().map(|(name, _, _)| *name).collect();
        let sql = format!(
            "SELECT {} FROM t WHERE \"offset\" >= {} ORDER BY \"offset\"",
            names.join(", "),
            push * 3
        );
        let read = fixture.sql(&sql).await.unwrap();
        for ((name, _, expected), column) in cases.iter().zip(read[0].columns()) {
            assert_eq!(*expected, column, "{name}");
        }
    }
}

#[tokio::test]
async fn what_the_format_cannot_say_is_refused_by_name() {
    let structs: ArrayRef = Arc::new(StructArray::from(vec![(
        Arc::new(Field::new("a", DataType::Int64, true)),
        Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef,
    )]));
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.append(true).unwrap();
    let refused: Vec<(&str, ArrayRef)> = vec![
        ("nothing", Arc::new(NullArray::new(3))),
        ("duration", Arc::new(DurationSecondArray::from(vec![1, 2, 3]))),
        ("interval", Arc::new(IntervalYearMonthArray::from(vec![1, 2, 3]))),
        ("map", Arc::new(map.finish())),
        ("structs", list(structs, true)),
    ];
    let fixture = Fixture::new().await;
    for (name, array) in refused {
        let batch = RecordBatch::try_from_iter_with_nullable([(name, array, true)]).unwrap();
        let error = fixture.push("t", vec![batch]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name}");
        assert!(error.to_string().contains(name), "{error}");
    }
}
