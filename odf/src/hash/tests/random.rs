//! Random records: always the hash of the original.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use proptest::prelude::*;

use super::{original, ours, ours_by_column, samples};
use crate::hash::STRUCT_BATCH_ROWS;

fn leaf_type() -> impl Strategy<Value = DataType> {
    prop::sample::select(vec![
        DataType::Boolean,
        DataType::Int8,
        DataType::UInt16,
        DataType::Int32,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        DataType::Binary,
        DataType::LargeBinary,
        DataType::BinaryView,
        DataType::FixedSizeBinary(5),
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(TimeUnit::Second),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        DataType::Decimal32(9, 2),
        DataType::Decimal64(18, -3),
        DataType::Decimal128(38, 10),
        DataType::Decimal256(76, 10),
    ])
}

fn flat_type() -> impl Strategy<Value = DataType> {
    leaf_type().prop_recursive(2, 4, 1, |inner| {
        (inner, 0..3).prop_map(|(inner, kind)| {
            let item = Arc::new(Field::new("item", inner, true));
            match kind {
                0 => DataType::List(item),
                1 => DataType::LargeList(item),
                _ => DataType::FixedSizeList(item, 2),
            }
        })
    })
}

fn any_type() -> impl Strategy<Value = DataType> {
    flat_type().prop_recursive(3, 12, 4, |inner| {
        prop::collection::vec(inner, 1..4).prop_map(|types| {
            let fields = types
                .into_iter()
                .enumerate()
                .map(|(index, data_type)| Field::new(format!("f{index}"), data_type, true));
            DataType::Struct(fields.collect())
        })
    })
}

fn schema_of(types: Vec<DataType>) -> Schema {
    let field = |(index, data_type)| Field::new(format!("column {index}"), data_type, true);
    Schema::new(types.into_iter().enumerate().map(field).collect::<Fields>())
}

/// Cuts a batch at pseudo-random rows.
fn cut(batch: &RecordBatch, mut seed: u64) -> Vec<RecordBatch> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < batch.num_rows() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let length = ((seed >> 33) as usize % 50).min(batch.num_rows() - start);
        pieces.push(batch.slice(start, length));
        start += length;
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn flat_records_in_any_batches(
        types in prop::collection::vec(flat_type(), 1..5),
        rows in 0_usize..200,
        seed in any::<u64>(),
        nulls in 0_u32..4,
    ) {
        let schema = schema_of(types);
        let batch = samples::batch(&schema, rows, seed, nulls);
        let expected = original(&schema, &cut(&batch, !seed));
        prop_assert_eq!(ours(&schema, &cut(&batch, seed)), expected);
        prop_assert_eq!(ours_by_column(&schema, &[batch]), expected);
    }

    #[test]
    fn structs_as_one_batch(
        types in prop::collection::vec(any_type(), 1..4),
        rows in 0_usize..100,
        seed in any::<u64>(),
        nulls in 0_u32..4,
    ) {
        let schema = schema_of(types);
        let batch = samples::batch(&schema, rows, seed, nulls);
        let expected = original(&schema, std::slice::from_ref(&batch));
        prop_assert_eq!(ours(&schema, &cut(&batch, seed)), expected);
        prop_assert_eq!(ours_by_column(&schema, &[batch]), expected);
    }
}

#[test]
fn struct_columns_are_cut_where_other_readers_cut_them() {
    let fields = Fields::from(vec![Field::new("x", DataType::Int32, true)]);
    let schema = schema_of(vec![DataType::Struct(fields), DataType::Utf8]);
    let rows = 2 * STRUCT_BATCH_ROWS + 77;
    let batch = samples::batch(&schema, rows, 5, 2);
    // Nulls of the parent in the second batch only, so that the place of the cut matters.
    let structure = batch.column(0).as_struct();
    let mask: NullBuffer = (0..rows).map(|row| row < STRUCT_BATCH_ROWS || row % 3 > 0).collect();
    let structure: ArrayRef = Arc::new(StructArray::new(
        structure.fields().clone(),
        structure.columns().to_vec(),
        Some(mask),
    ));
    let batch = RecordBatch::try_new(batch.schema(), vec![structure, Arc::clone(batch.column(1))]).unwrap();

    let aligned: Vec<_> = [0, 1]
        .map(|part| batch.slice(part * STRUCT_BATCH_ROWS, STRUCT_BATCH_ROWS))
        .into();
    let rest = batch.slice(2 * STRUCT_BATCH_ROWS, 77);
    let expected = original(&schema, &[aligned, vec![rest]].concat());
    assert_ne!(original(&schema, std::slice::from_ref(&batch)), expected);
    assert_eq!(ours(&schema, std::slice::from_ref(&batch)), expected);
    assert_eq!(ours(&schema, &cut(&batch, 1)), expected);
    let glued = concat_batches(&batch.schema(), &cut(&batch, 9)).unwrap();
    assert_eq!(ours_by_column(&schema, &[glued]), expected);
}

#[test]
fn a_column_may_arrive_in_another_layout() {
    let schema = schema_of(vec![DataType::Utf8]);
    let batch = samples::batch(&schema, 100, 3, 1);
    let views = cast(batch.column(0), &DataType::Utf8View).unwrap();
    let views = RecordBatch::try_from_iter_with_nullable([("column 0", views, true)]).unwrap();
    assert_eq!(ours(&schema, &[views]), original(&schema, &[batch]));
}
