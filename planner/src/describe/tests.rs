use jetway_odf::metadata::{DataField, DataType, ExtraAttributes};
use serde_json::json;

use super::*;

fn schema(extra: serde_json::Value) -> DataSchema {
    let column = |name: &str| DataField {
        name: name.to_owned(),
        r#type: DataType::Int64,
        extra: None,
    };
    DataSchema {
        fields: vec![column("id"), column("customer"), column("shop")],
        extra: Some(ExtraAttributes(extra.as_object().unwrap().clone())),
    }
}

#[test]
fn foreign_keys_are_read_and_nonsense_is_left_out() {
    let good = json!([
        {"name": "buyer", "columns": ["customer"], "references": {"dataset": "bob/customers", "columns": ["id"]}},
        {"columns": ["shop"], "references": {"dataset": "shops"}},
    ]);
    let keys = foreign_keys(&schema(json!({ FOREIGN_KEYS: good })));
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0].name.as_deref(), Some("buyer"));
    assert_eq!(keys[0].table.to_string(), "bob/customers");
    assert_eq!(keys[0].referenced, ["id"]);
    assert_eq!(
        (keys[1].table.to_string().as_str(), keys[1].referenced.len()),
        ("shops", 0)
    );

    for nonsense in [
        json!("text"),
        json!([{"columns": ["customer"]}]),
        json!([{"columns": [], "references": {"dataset": "shops"}}]),
        json!([{"columns": ["nobody"], "references": {"dataset": "shops"}}]),
        json!([{"columns": ["shop"], "references": {"dataset": "no name!"}}]),
        json!([{"columns": ["shop"], "references": {"dataset": "shops", "columns": ["a", "b"]}}]),
    ] {
        assert!(
            foreign_keys(&schema(json!({ FOREIGN_KEYS: nonsense }))).is_empty(),
            "{nonsense}"
        );
    }
    assert!(foreign_keys(&schema(json!({}))).is_empty());
}

#[test]
fn descriptions_of_columns_are_remarks() {
    let mut schema = schema(json!({}));
    let extra = json!({ DESCRIPTION: "Who bought it." });
    schema.fields[1].extra = Some(ExtraAttributes(extra.as_object().unwrap().clone()));
    assert_eq!(
        remarks(&schema),
        BTreeMap::from([("customer".to_owned(), "Who bought it.".to_owned())])
    );
}
