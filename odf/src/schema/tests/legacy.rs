//! Schemas in Arrow's own form, as old datasets carry them.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, Schema, TimeUnit};
use arrow::ipc::convert::IpcSchemaEncoder;
use arrow::ipc::writer::DictionaryTracker;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::codec::decode_arrow_schema;
use crate::metadata::DataSchema;

/// The bytes of a bare schema, by the Arrow library.
pub(super) fn raw(schema: &Schema) -> Vec<u8> {
    let mut dictionaries = DictionaryTracker::new(false);
    let mut encoder = IpcSchemaEncoder::new().with_dictionary_tracker(&mut dictionaries);
    encoder.schema_to_fb(schema).finished_data().to_vec()
}

fn all_types() -> Schema {
    let item = |data_type| Arc::new(Field::new("element", data_type, true));
    let entries = Fields::from(vec![
        Field::new("k", DataType::Utf8, false),
        Field::new("v", DataType::Int8, true),
    ]);
    let types = [
        DataType::Null,
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
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
        DataType::FixedSizeBinary(7),
        DataType::Decimal32(5, 1),
        DataType::Decimal64(15, 1),
        DataType::Decimal128(10, 2),
        DataType::Decimal256(70, -2),
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(TimeUnit::Second),
        DataType::Time32(TimeUnit::Millisecond),
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Timestamp(TimeUnit::Second, None),
        DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        DataType::Duration(TimeUnit::Millisecond),
        DataType::Duration(TimeUnit::Nanosecond),
        DataType::Interval(IntervalUnit::YearMonth),
        DataType::Interval(IntervalUnit::DayTime),
        DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::List(item(DataType::Utf8)),
        DataType::LargeList(item(DataType::Int8)),
        DataType::ListView(item(DataType::Int8)),
        DataType::LargeListView(item(DataType::Int8)),
        DataType::FixedSizeList(item(DataType::Int8), 4),
        DataType::Struct(Fields::from(vec![Field::new(
            "x",
            DataType::List(item(DataType::Utf8)),
            false,
        )])),
        DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), true),
        DataType::Dictionary(Box::new(DataType::Int16), Box::new(DataType::Utf8)),
    ];
    let fields = types.into_iter().enumerate();
    Schema::new(
        fields
            .map(|(index, data_type)| Field::new(format!("c{index}"), data_type, index % 3 == 0))
            .collect::<Fields>(),
    )
}

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| raw(&all_types()));

#[test]
fn every_type_is_read() {
    assert_eq!(decode_arrow_schema(&BYTES).unwrap(), all_types());
}

#[test]
fn a_type_that_odf_never_had_is_refused() {
    let values = Arc::new(Field::new("values", DataType::Utf8, true));
    let runs = DataType::RunEndEncoded(Arc::new(Field::new("run_ends", DataType::Int32, false)), values);
    let error = decode_arrow_schema(&raw(&Schema::new(vec![Field::new("r", runs, true)]))).unwrap_err();
    assert_eq!(error.to_string(), "not a known Arrow type (tag: 22, field: r)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn broken_schemas(
        changes in prop::collection::vec((any::<Index>(), prop_oneof![any::<u8>(), Just(0), Just(255), 1_u8..32]), 1..5),
        cut in prop::option::weighted(0.2, any::<Index>()),
    ) {
        let mut bytes = BYTES.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(schema) = decode_arrow_schema(&bytes) {
            let _ = DataSchema::from_arrow(&schema).and_then(|schema| schema.strip_encoding().to_arrow());
        }
    }
}
