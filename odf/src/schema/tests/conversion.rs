//! ODF and Arrow, both ways.

use std::sync::Arc;

use arrow::datatypes::{DataType as Arrow, Field, Fields, IntervalUnit, Schema, TimeUnit as ArrowUnit, UnionFields};
use serde_json::json;

use super::{optional, schema};
use crate::ErrorKind;
use crate::metadata::{DataField, DataSchema, DataType, ExtraAttributes, TimeUnit};

fn arrow(types: impl IntoIterator<Item = Arrow>) -> Schema {
    let fields = types.into_iter().enumerate();
    Schema::new(
        fields
            .map(|(index, data_type)| Field::new(format!("c{index}"), data_type, index % 2 == 0))
            .collect::<Fields>(),
    )
}

#[test]
fn every_type_survives_the_way_to_odf_and_back() {
    let item = |data_type| Arc::new(Field::new("item", data_type, true));
    let structure = Arrow::Struct(Fields::from(vec![
        Field::new("x", Arrow::LargeUtf8, false),
        Field::new("y", Arrow::Decimal32(9, 2), true),
    ]));
    let entries = Arrow::Struct(Fields::from(vec![
        Field::new("keys", Arrow::Utf8, false),
        Field::new("values", Arrow::Int64, true),
    ]));
    let original = arrow([
        Arrow::Null,
        Arrow::Boolean,
        Arrow::Int8,
        Arrow::Int16,
        Arrow::Int32,
        Arrow::Int64,
        Arrow::UInt8,
        Arrow::UInt16,
        Arrow::UInt32,
        Arrow::UInt64,
        Arrow::Float16,
        Arrow::Float32,
        Arrow::Float64,
        Arrow::Utf8,
        Arrow::LargeUtf8,
        Arrow::Utf8View,
        Arrow::Binary,
        Arrow::LargeBinary,
        Arrow::BinaryView,
        Arrow::FixedSizeBinary(16),
        Arrow::Decimal32(9, 2),
        Arrow::Decimal64(18, -2),
        Arrow::Decimal128(38, 10),
        Arrow::Decimal256(38, 10),
        Arrow::Decimal256(76, 0),
        Arrow::Date32,
        Arrow::Date64,
        Arrow::Time32(ArrowUnit::Second),
        Arrow::Time32(ArrowUnit::Millisecond),
        Arrow::Time64(ArrowUnit::Microsecond),
        Arrow::Time64(ArrowUnit::Nanosecond),
        Arrow::Timestamp(ArrowUnit::Nanosecond, Some("Europe/Kyiv".into())),
        Arrow::Duration(ArrowUnit::Second),
        Arrow::List(item(Arrow::Int32)),
        Arrow::LargeList(item(Arrow::Utf8)),
        Arrow::ListView(item(Arrow::Utf8)),
        Arrow::LargeListView(item(Arrow::Utf8)),
        Arrow::FixedSizeList(item(structure.clone()), 3),
        structure,
        Arrow::Map(Arc::new(Field::new("entries", entries, false)), true),
    ]);
    let odf = DataSchema::from_arrow(&original).unwrap();
    assert_eq!(odf.to_arrow().unwrap(), original);
    assert_eq!(odf.fields[0].r#type, optional(DataType::Null));
    assert_eq!(odf.fields[1].r#type, DataType::Bool);

    let stripped = odf.clone().strip_encoding();
    assert!(!serde_json::to_string(&stripped).unwrap().contains("arrow.apache.org"));
    let usual = stripped.to_arrow().unwrap();
    assert_eq!(usual.field(14).data_type(), &Arrow::Utf8);
    assert_eq!(usual.field(26).data_type(), &Arrow::Date32);
    assert_eq!(usual.field(20).data_type(), &Arrow::Decimal128(9, 2));
    let Arrow::Struct(inner) = usual.field(38).data_type() else {
        unreachable!()
    };
    assert_eq!(inner[0].data_type(), &Arrow::Utf8);
}

#[test]
fn units_and_zones_become_explicit_and_zoneless_times_become_utc() {
    let naive = arrow([Arrow::Timestamp(ArrowUnit::Microsecond, None)]);
    let odf = DataSchema::from_arrow(&naive).unwrap();
    let inner = DataType::Timestamp {
        unit: Some(TimeUnit::Microsecond),
        timezone: None,
    };
    assert_eq!(odf.fields[0].r#type, optional(inner));
    let back = odf.to_arrow().unwrap();
    assert_eq!(
        back.field(0).data_type(),
        &Arrow::Timestamp(ArrowUnit::Microsecond, Some("UTC".into()))
    );

    let bare = schema([
        (
            "t",
            DataType::Timestamp {
                unit: None,
                timezone: None,
            },
        ),
        ("d", DataType::Duration { unit: None }),
    ]);
    let back = bare.to_arrow().unwrap();
    assert_eq!(
        back.field(0).data_type(),
        &Arrow::Timestamp(ArrowUnit::Millisecond, Some("UTC".into()))
    );
    assert_eq!(back.field(1).data_type(), &Arrow::Duration(ArrowUnit::Millisecond));
}

#[test]
fn what_the_format_cannot_say_is_refused_with_the_column() {
    let runs = Arrow::RunEndEncoded(
        Arc::new(Field::new("run_ends", Arrow::Int32, false)),
        Arc::new(Field::new("values", Arrow::Utf8, true)),
    );
    let refused = [
        Arrow::Dictionary(Box::new(Arrow::Int32), Box::new(Arrow::Utf8)),
        runs,
        Arrow::Interval(IntervalUnit::DayTime),
        Arrow::Union(UnionFields::empty(), arrow::datatypes::UnionMode::Sparse),
    ];
    for data_type in refused {
        let nested = Arrow::Struct(Fields::from(vec![Field::new("inner", data_type, true)]));
        let error = DataSchema::from_arrow(&arrow([Arrow::Int8, nested])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("column: inner, column: c1"), "{error}");
    }
    let twice = Schema::new(vec![
        Field::new("a", Arrow::Int8, true),
        Field::new("a", Arrow::Int8, true),
    ]);
    assert!(
        DataSchema::from_arrow(&twice)
            .unwrap_err()
            .to_string()
            .contains("column: a")
    );
}

#[test]
fn what_arrow_does_not_have_is_refused() {
    let decimal = |precision, scale| DataType::Decimal { precision, scale };
    let too_much = [
        optional(optional(DataType::Int8)),
        decimal(0, 0),
        decimal(77, 0),
        decimal(5, 6),
        decimal(5, -200),
        DataType::Binary {
            fixed_length: Some(1 << 31),
        },
    ];
    for data_type in too_much {
        let error = schema([("a", data_type)]).to_arrow().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("column: a"), "{error}");
    }
}

#[test]
fn encodings_as_other_implementations_write_them() {
    let with = |data_type, key: &str, value| {
        let extra = ExtraAttributes([(key.to_owned(), value)].into_iter().collect());
        let fields = vec![DataField {
            name: "a".to_owned(),
            r#type: data_type,
            extra: Some(extra),
        }];
        let schema = DataSchema { fields, extra: None }.to_arrow();
        schema.map(|schema| schema.field(0).data_type().clone())
    };
    let buffer = "arrow.apache.org/bufferEncoding";
    let cases = [
        (DataType::String, buffer, json!({"kind": "View"}), Arrow::Utf8View),
        (
            DataType::String,
            buffer,
            json!({"kind": "View", "offsetBitWidth": 32}),
            Arrow::Utf8View,
        ),
        (
            DataType::String,
            buffer,
            json!({"kind": "Contiguous", "offsetBitWidth": 32}),
            Arrow::Utf8,
        ),
        (
            optional(DataType::String),
            buffer,
            json!({"kind": "Contiguous", "offsetBitWidth": 64}),
            Arrow::LargeUtf8,
        ),
        (
            DataType::Date,
            "arrow.apache.org/dateEncoding",
            json!({"unit": "Day"}),
            Arrow::Date32,
        ),
        (
            DataType::Date,
            "arrow.apache.org/dateEncoding",
            json!({"unit": "Millisecond"}),
            Arrow::Date64,
        ),
        (
            DataType::Decimal { precision: 9, scale: 1 },
            "arrow.apache.org/decimalEncoding",
            json!({"bitWidth": 32}),
            Arrow::Decimal32(9, 1),
        ),
        (
            DataType::String,
            "opendatafabric.org/description",
            json!("x"),
            Arrow::Utf8,
        ),
    ];
    for (data_type, key, value, expected) in cases {
        assert_eq!(with(data_type, key, value).unwrap(), expected);
    }
    for value in [
        json!({"kind": "RunEnd"}),
        json!({"kind": "View", "offsetBitWidth": 7}),
        json!(1),
        json!({}),
    ] {
        assert_eq!(
            with(DataType::String, buffer, value).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
    }
}

#[test]
fn stripping_keeps_other_attributes() {
    let attributes =
        json!({"arrow.apache.org/bufferEncoding": {"kind": "View"}, "opendatafabric.org/description": "x"});
    let extra = Some(ExtraAttributes(attributes.as_object().unwrap().clone()));
    let fields = vec![DataField {
        name: "a".to_owned(),
        r#type: DataType::String,
        extra,
    }];
    let stripped = DataSchema { fields, extra: None }.strip_encoding();
    assert_eq!(
        serde_json::to_value(&stripped.fields[0].extra).unwrap(),
        json!({"opendatafabric.org/description": "x"})
    );
}

#[test]
fn defaults_are_equal_to_absence() {
    let explicit = schema([
        (
            "t",
            DataType::Timestamp {
                unit: Some(TimeUnit::Millisecond),
                timezone: Some("UTC".to_owned()),
            },
        ),
        (
            "l",
            DataType::List {
                item_type: Box::new(DataType::Time {
                    unit: Some(TimeUnit::Millisecond),
                }),
                fixed_length: None,
            },
        ),
    ]);
    let mut short = schema([
        (
            "t",
            DataType::Timestamp {
                unit: None,
                timezone: None,
            },
        ),
        (
            "l",
            DataType::List {
                item_type: Box::new(DataType::Time { unit: None }),
                fixed_length: None,
            },
        ),
    ]);
    short.extra = Some(ExtraAttributes::default());
    assert_ne!(explicit, short);
    assert!(explicit.is_equivalent(&short));
    assert!(!explicit.is_equivalent(&schema([])));
    assert!(short.field("l").is_some() && short.field("x").is_none());
}
