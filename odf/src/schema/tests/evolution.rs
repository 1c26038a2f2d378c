//! Which changes of a schema are allowed.

use std::sync::Arc;

use arrow::datatypes::{DataType as Arrow, Field, Schema};

use super::{optional, schema};
use crate::metadata::{DataSchema, DataType, ExtraAttributes, SetDataSchema, TimeUnit};
use crate::schema::check_evolution;
use crate::schema::tests::legacy::raw;

fn event(schema: DataSchema) -> SetDataSchema {
    SetDataSchema {
        raw_arrow_schema: None,
        schema: Some(schema),
    }
}

fn structure(fields: impl IntoIterator<Item = (&'static str, DataType)>) -> DataType {
    DataType::Struct {
        fields: schema(fields).fields,
    }
}

fn list(item: DataType) -> DataType {
    DataType::List {
        item_type: Box::new(item),
        fixed_length: None,
    }
}

/// The broken rule, if any.
fn check(before: DataSchema, after: DataSchema) -> Option<&'static str> {
    check_evolution(&event(before), &event(after))
        .err()
        .map(|error| error.rule().unwrap())
}

#[test]
fn allowed_changes() {
    let before = || schema([("a", DataType::Int8), ("b", optional(DataType::String))]);
    let with_attributes = || {
        let mut schema = before();
        schema.fields[0].extra = Some(ExtraAttributes([("x".to_owned(), 1.into())].into_iter().collect()));
        schema
    };
    let moved = schema([("b", optional(DataType::String)), ("a", DataType::Int8)]);
    let added = schema([
        ("new", optional(DataType::Int8)),
        ("a", DataType::Int8),
        ("b", optional(DataType::String)),
    ]);
    assert_eq!(check(before(), moved), None);
    assert_eq!(check(before(), added), None);
    assert_eq!(check(before(), with_attributes()), None);
    assert_eq!(check(with_attributes(), before()), None);

    let nested = |fields: Vec<(&'static str, DataType)>| schema([("l", list(structure(fields)))]);
    let more = vec![("y", optional(DataType::Int8)), ("x", DataType::Int8)];
    assert_eq!(check(nested(vec![("x", DataType::Int8)]), nested(more)), None);
}

#[test]
fn a_schema_that_says_the_same_is_no_change() {
    let spelled = schema([(
        "t",
        DataType::Time {
            unit: Some(TimeUnit::Millisecond),
        },
    )]);
    let short = schema([("t", DataType::Time { unit: None })]);
    assert_eq!(check(spelled, short), Some("S2"));
}

#[test]
fn forbidden_changes() {
    let before = || {
        schema([
            ("a", DataType::Int8),
            ("b", optional(DataType::String)),
            ("s", structure([("x", DataType::Int8)])),
        ])
    };
    let with = |index: usize, data_type| {
        let mut schema = before();
        schema.fields[index].r#type = data_type;
        schema
    };
    let mut removed = before();
    removed.fields.remove(0);
    let mut added_required = before();
    added_required.fields.push(super::field("new", DataType::Int8));
    // An added optional column does not hide that another one changes.
    let mut changed_and_added = with(0, DataType::Int16);
    changed_and_added
        .fields
        .push(super::field("new", optional(DataType::Int8)));
    let forbidden = [
        removed,
        added_required,
        changed_and_added,
        with(0, DataType::Int16),
        with(0, optional(DataType::Int8)),
        with(1, DataType::String),
        with(2, structure([])),
        with(2, structure([("x", DataType::UInt8)])),
        with(2, structure([("x", DataType::Int8), ("y", DataType::Int8)])),
        with(0, list(DataType::Int8)),
    ];
    for after in forbidden {
        assert_eq!(check(before(), after.clone()), Some("S3"), "{after:?}");
    }
    let lists = |length| {
        schema([(
            "l",
            DataType::List {
                item_type: Box::new(DataType::Int8),
                fixed_length: length,
            },
        )])
    };
    assert_eq!(check(lists(None), lists(Some(2))), Some("S3"));
    let error = check_evolution(&event(before()), &event(with(2, structure([("x", DataType::UInt8)])))).unwrap_err();
    assert!(error.to_string().contains("column: s.x"), "{error}");
}

#[test]
fn a_legacy_schema_may_be_replaced_by_one_that_is_precise_about_nulls() {
    let old = raw(&Schema::new(vec![
        Field::new("a", Arrow::LargeUtf8, true),
        Field::new(
            "t",
            Arrow::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None),
            false,
        ),
        Field::new(
            "l",
            Arrow::List(Arc::new(Field::new("element", Arrow::Int8, true))),
            true,
        ),
    ]));
    let old = SetDataSchema {
        raw_arrow_schema: Some(old),
        schema: None,
    };
    let time = DataType::Timestamp {
        unit: None,
        timezone: None,
    };
    let new = event(schema([
        ("a", DataType::String),
        ("t", optional(time)),
        ("l", list(DataType::Int8)),
    ]));
    check_evolution(&old, &new).unwrap();
    check_evolution(&old, &event(old.to_schema().unwrap())).unwrap();
    let changed = event(schema([("a", DataType::Int8)]));
    assert_eq!(check_evolution(&old, &changed).unwrap_err().rule(), Some("S3"));
    assert_eq!(check_evolution(&old, &old).unwrap_err().rule(), Some("S2"));
}
