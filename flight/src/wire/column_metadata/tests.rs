use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{DataType, TimeUnit};

use super::*;

fn of(schema: &Schema, column: &str, key: &str) -> Option<String> {
    let field = schema.field_with_name(column).unwrap();
    field.metadata().get(&format!("ARROW:FLIGHT:SQL:{key}")).cloned()
}

/// Trap 4: metadata of columns.
#[test]
fn types_have_names_and_sizes() {
    let list = DataType::new_list(DataType::Utf8, true);
    let utc = Some("UTC".into());
    let table = [
        (DataType::Boolean, "BOOLEAN", Some("1"), Some("0")),
        (DataType::Int32, "INTEGER", Some("10"), Some("0")),
        (DataType::UInt64, "BIGINT UNSIGNED", Some("20"), Some("0")),
        (DataType::Float64, "DOUBLE", Some("15"), None),
        (DataType::Decimal128(38, 10), "DECIMAL", Some("38"), Some("10")),
        (DataType::Decimal256(76, -2), "DECIMAL", Some("76"), Some("-2")),
        (DataType::Utf8View, "VARCHAR", None, None),
        (DataType::FixedSizeBinary(16), "BYTEA", Some("16"), None),
        (DataType::Date32, "DATE", Some("10"), Some("0")),
        (DataType::Time32(TimeUnit::Second), "TIME", Some("8"), Some("0")),
        (
            DataType::Timestamp(TimeUnit::Microsecond, None),
            "TIMESTAMP",
            Some("26"),
            Some("6"),
        ),
        (
            DataType::Timestamp(TimeUnit::Millisecond, utc),
            "TIMESTAMP WITH TIME ZONE",
            Some("29"),
            Some("3"),
        ),
        (list, "ARRAY", None, None),
    ];
    for (data_type, name, precision, scale) in table {
        let schema = with_column_metadata(&Schema::new(vec![Field::new("c", data_type.clone(), true)]), None);
        assert_eq!(of(&schema, "c", "TYPE_NAME").as_deref(), Some(name), "{data_type}");
        assert_eq!(of(&schema, "c", "PRECISION").as_deref(), precision, "{data_type}");
        assert_eq!(of(&schema, "c", "SCALE").as_deref(), scale, "{data_type}");
        assert_eq!(
            of(&schema, "c", "IS_CASE_SENSITIVE").as_deref(),
            Some(if name == "VARCHAR" { "1" } else { "0" })
        );
        assert_eq!(
            of(&schema, "c", "IS_SEARCHABLE").as_deref(),
            Some(if name == "ARRAY" { "0" } else { "1" })
        );
        assert_eq!(of(&schema, "c", "TABLE_NAME"), None);
    }
}

#[test]
fn columns_of_tables_say_so_and_other_metadata_stays() {
    let city = Field::new("city", DataType::Utf8, true).with_metadata([("own".to_owned(), "kept".to_owned())].into());
    let schema = Arc::new(Schema::new_with_metadata(
        vec![Field::new("offset", DataType::Int64, false), city],
        [("whole".to_owned(), "kept".to_owned())].into(),
    ));
    let description = TableDescription {
        schema: Arc::clone(&schema),
        remarks: BTreeMap::from([("city".to_owned(), "Where it is.".to_owned())]),
        generated: BTreeSet::from(["offset".to_owned()]),
        counter: "offset".to_owned(),
        primary_key: vec!["city".to_owned()],
        foreign_keys: Vec::new(),
    };
    let columns = TableColumns {
        schema: "alice",
        table: "cities",
        description: Some(&description),
    };
    let described = with_column_metadata(&schema, Some(columns));
    assert_eq!(described.metadata(), schema.metadata());
    for (key, offset, city) in [
        ("CATALOG_NAME", Some("jetway"), Some("jetway")),
        ("DB_SCHEMA_NAME", Some("alice"), Some("alice")),
        ("SCHEMA_NAME", Some("alice"), Some("alice")),
        ("TABLE_NAME", Some("cities"), Some("cities")),
        ("IS_AUTO_INCREMENT", Some("1"), Some("0")),
        ("IS_READ_ONLY", Some("1"), Some("0")),
        ("REMARKS", None, Some("Where it is.")),
    ] {
        assert_eq!(of(&described, "offset", key).as_deref(), offset, "{key}");
        assert_eq!(of(&described, "city", key).as_deref(), city, "{key}");
    }
    let city = described.field_with_name("city").unwrap();
    assert_eq!(city.metadata().get("own").map(String::as_str), Some("kept"));
    assert_eq!(with_column_metadata(&described, Some(columns)), described);
}
