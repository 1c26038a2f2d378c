use jetway_odf::metadata::DataSchema;
use serde_json::json;

use super::{arrow_json, ddl};

fn schema() -> DataSchema {
    let field = |name: &str, data_type: serde_json::Value| json!({ "name": name, "type": data_type });
    let optional = |inner: serde_json::Value| json!({ "kind": "Option", "inner": inner });
    let fields = json!([
        field("offset", json!({ "kind": "Int64" })),
        field(
            "Total \"net\"",
            optional(json!({ "kind": "Decimal", "precision": 12, "scale": 2 }))
        ),
        field(
            "at",
            json!({ "kind": "Timestamp", "unit": "Microsecond", "timezone": "Europe/Paris" })
        ),
        field(
            "tags",
            optional(json!({ "kind": "List", "itemType": optional(json!({ "kind": "String" })) }))
        ),
        field(
            "place",
            json!({ "kind": "Struct", "fields": [field("lat", json!({ "kind": "Float64" }))] })
        ),
    ]);
    serde_json::from_value(json!({ "fields": fields })).unwrap()
}

#[test]
fn columns_are_written_in_sql() {
    let expected = "\
offset          BIGINT NOT NULL,
\"Total \"\"net\"\"\" DECIMAL(12, 2),
at              TIMESTAMP(6) WITH TIME ZONE 'Europe/Paris' NOT NULL,
tags            ARRAY<STRING>,
place           STRUCT<lat DOUBLE> NOT NULL
";
    assert_eq!(ddl::columns(&schema()), expected);
}

#[test]
fn columns_are_written_in_the_json_form_of_arrow() {
    let written = arrow_json::schema(&schema().to_arrow().unwrap()).unwrap();
    let fields = &written["fields"];
    assert_eq!(
        fields[0],
        json!({ "name": "offset", "nullable": false, "children": [],
            "type": { "name": "int", "bitWidth": 64, "isSigned": true } })
    );
    assert_eq!(
        fields[2]["type"],
        json!({ "name": "timestamp", "unit": "MICROSECOND", "timezone": "Europe/Paris" })
    );
    assert_eq!(
        (&fields[3]["type"]["name"], &fields[3]["children"][0]["type"]["name"]),
        (&json!("list"), &json!("utf8"))
    );
    assert_eq!(
        fields[4]["children"][0]["type"],
        json!({ "name": "floatingpoint", "precision": "DOUBLE" })
    );
}
