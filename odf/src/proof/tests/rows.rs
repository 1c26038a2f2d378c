use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeListArray,
    Float32Array, Float64Array, Int64Array, ListArray, MapBuilder, NullArray, RecordBatch, StringArray, StringBuilder,
    StructArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Int64Type, Schema};

use crate::proof::{DataFormat, RowWriter, SchemaFormat, canonical, parse, schema_json};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
        .collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

fn write(format: DataFormat, batches: &[RecordBatch]) -> String {
    let mut writer = RowWriter::new(format, batches[0].schema(), 1 << 20).unwrap();
    let mut out = Vec::new();
    for batch in batches {
        writer.write(batch, &mut out).unwrap();
    }
    writer.finish(&mut out);
    // What is written is canonical, whatever it holds.
    assert_eq!(canonical(&parse(&out).unwrap()), out);
    String::from_utf8(out).unwrap()
}

/// One column of one format, by its values.
fn column(column: ArrayRef) -> String {
    let text = write(DataFormat::JsonSoA, &[batch(vec![("c", column)])]);
    text.strip_prefix("{\"c\":")
        .and_then(|text| text.strip_suffix('}'))
        .unwrap()
        .to_owned()
}

#[test]
fn values_of_every_kind() {
    let map = {
        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        map.keys().append_value("z");
        map.values().append_value("1");
        map.keys().append_value("a");
        map.values().append_null();
        map.append(true).unwrap();
        map.finish()
    };
    let object = StructArray::new(
        Fields::from(vec![
            Field::new("y", DataType::Int64, true),
            Field::new("x", DataType::Int64, true),
        ]),
        vec![
            Arc::new(Int64Array::from(vec![Some(1), None])),
            Arc::new(Int64Array::from(vec![2, 3])),
        ],
        Some(vec![true, false].into()),
    );
    let dictionary: DictionaryArray<Int32Type> = [Some("a"), None, Some("b"), Some("a")].into_iter().collect();
    let cases: Vec<(ArrayRef, &str)> = vec![
        (Arc::new(NullArray::new(1)), "[null]"),
        (
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            "[true,null,false]",
        ),
        (
            Arc::new(Int64Array::from(vec![i64::MIN, 9_007_199_254_740_993])),
            "[-9223372036854775808,9007199254740993]",
        ),
        (Arc::new(UInt64Array::from(vec![u64::MAX])), "[18446744073709551615]"),
        (
            Arc::new(Float64Array::from(vec![1.0, -0.0, 1e21, f64::NAN, f64::NEG_INFINITY])),
            r#"[1,0,1e+21,"NaN","-Infinity"]"#,
        ),
        (Arc::new(Float32Array::from(vec![0.1, 3.4e38])), "[0.1,3.4e+38]"),
        (Arc::new(StringArray::from(vec!["é\"\u{1}"])), "[\"é\\\"\\u0001\"]"),
        (Arc::new(BinaryArray::from_vec(vec![b"\x00\xff"])), r#"["00ff"]"#),
        (
            Arc::new(
                Decimal128Array::from(vec![-1205])
                    .with_precision_and_scale(10, 2)
                    .unwrap(),
            ),
            r#"["-12.05"]"#,
        ),
        (Arc::new(Date32Array::from(vec![0])), r#"["1970-01-01"]"#),
        (
            Arc::new(TimestampMillisecondArray::from(vec![2_524_651_200_000]).with_timezone("UTC")),
            r#"["2050-01-01T12:00:00Z"]"#,
        ),
        (
            Arc::new(TimestampMillisecondArray::from(vec![1])),
            r#"["1970-01-01T00:00:00.001"]"#,
        ),
        (
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([
                Some(vec![Some(1), None]),
                None,
                Some(vec![]),
            ])),
            "[[1,null],null,[]]",
        ),
        (
            Arc::new(
                FixedSizeListArray::from_iter_primitive::<Int64Type, _, _>(
                    [Some(vec![Some(1), Some(2)]), Some(vec![Some(3), None])],
                    2,
                )
                .slice(1, 1),
            ),
            "[[3,null]]",
        ),
        (Arc::new(object), r#"[{"x":2,"y":1},null]"#),
        (Arc::new(map), r#"[{"a":null,"z":"1"}]"#),
        (Arc::new(dictionary), r#"["a",null,"b","a"]"#),
    ];
    for (array, expected) in cases {
        let what = array.data_type().clone();
        assert_eq!(column(array), expected, "{what}");
    }
}

#[test]
fn rows_in_every_format() {
    let rows = |first: i64| {
        batch(vec![
            ("b", Arc::new(Int64Array::from(vec![first, first + 1])) as ArrayRef),
            ("a", Arc::new(StringArray::from(vec![Some("x"), None])) as ArrayRef),
        ])
    };
    let batches = [rows(1), rows(3).slice(1, 1)];
    assert_eq!(
        write(DataFormat::JsonAoS, &batches),
        r#"[{"a":"x","b":1},{"a":null,"b":2},{"a":null,"b":4}]"#
    );
    assert_eq!(write(DataFormat::JsonAoA, &batches), r#"[[1,"x"],[2,null],[4,null]]"#);
    assert_eq!(
        write(DataFormat::JsonSoA, &batches),
        r#"{"a":["x",null,null],"b":[1,2,4]}"#
    );
    let none = [rows(1).slice(0, 0)];
    assert_eq!(write(DataFormat::JsonAoS, &none), "[]");
    assert_eq!(write(DataFormat::JsonAoA, &none), "[]");
    assert_eq!(write(DataFormat::JsonSoA, &none), r#"{"a":[],"b":[]}"#);
}

#[test]
fn what_json_cannot_say_is_refused_with_advice() {
    let twice = batch(vec![
        ("a", Arc::new(NullArray::new(1)) as ArrayRef),
        ("a", Arc::new(NullArray::new(1)) as ArrayRef),
    ]);
    let error = RowWriter::new(DataFormat::JsonAoS, twice.schema(), 0).unwrap_err();
    assert!(
        error.to_string().contains("JsonAoA") && error.to_string().contains("column: a"),
        "{error}"
    );
    assert_eq!(write(DataFormat::JsonAoA, &[twice]), "[[null,null]]");
    let long = batch(vec![(
        "a",
        Arc::new(StringArray::from(vec!["x".repeat(100)])) as ArrayRef,
    )]);
    let mut writer = RowWriter::new(DataFormat::JsonSoA, long.schema(), 99).unwrap();
    assert!(
        writer
            .write(&long, &mut Vec::new())
            .unwrap_err()
            .to_string()
            .contains("99 bytes")
    );
}

#[test]
fn schemas_in_every_format() {
    let schema = Schema::new(vec![
        Field::new(
            "t",
            DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, Some("UTC".into())),
            false,
        ),
        Field::new("d", DataType::Decimal128(10, 2), true),
        Field::new(
            "l",
            DataType::List(Arc::new(Field::new("item", DataType::Int64, true))),
            true,
        ),
    ]);
    let arrow = schema_json(&schema, SchemaFormat::ArrowJson).unwrap();
    assert_eq!(
        arrow["fields"][0]["data_type"],
        serde_json::json!({"Timestamp": ["Millisecond", "UTC"]})
    );
    assert_eq!(
        arrow["fields"][1]["data_type"],
        serde_json::json!({"Decimal128": [10, 2]})
    );
    assert_eq!(arrow["fields"][2]["data_type"]["List"]["data_type"], "Int64");
    let odf = schema_json(&schema, SchemaFormat::OdfJson).unwrap();
    assert_eq!(odf["fields"][0]["name"], "t");
    let yaml = schema_json(&schema, SchemaFormat::OdfYaml).unwrap();
    assert!(yaml.as_str().unwrap().contains("name: t"), "{yaml}");
    let parquet = schema_json(&schema, SchemaFormat::Parquet).unwrap();
    assert!(
        parquet
            .as_str()
            .unwrap()
            .contains("REQUIRED INT64 t (TIMESTAMP(MILLIS,true))"),
        "{parquet}"
    );
}
