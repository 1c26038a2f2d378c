use serde_json::json;

use super::{assert_says, columns, error, rows, try_table};
use crate::ErrorKind;
use crate::read::{ReadOptions, read};

#[tokio::test]
async fn an_array_of_objects() {
    let step = json!({ "kind": "Json", "ddlSchema": ["a INT", "b STRING"] });
    let cases = [
        ("[]", vec![]),
        (
            r#" [ {"a":1,"b":"x"} , {"b":"]}\"[","a":2,"more":{"deep":[1,{}]}} ] "#,
            vec!["1|x", "2|]}\"["],
        ),
        (r#"[{},{"a":null}]"#, vec!["∅|∅", "∅|∅"]),
        ("[\n{\n\"a\":\n1}\n]\n", vec!["1|∅"]),
        (r#"[{"b":"\u00b5-\ud83d\ude00"}]"#, vec!["∅|µ-😀"]),
    ];
    for (text, expected) in cases {
        assert_eq!(rows(step.clone(), text).await, expected, "{text}");
    }
}

#[tokio::test]
async fn an_array_under_a_path() {
    let step = |path: &str| json!({ "kind": "Json", "subPath": path, "ddlSchema": ["a INT"] });
    let text = r#"{"skip":[{"a":9}],"data":{"other":"}","items":[{"a":1},{"a":2}],"then":1},"tail":[{"a":7}]}"#;
    assert_eq!(rows(step("data.items"), text).await, ["1", "2"]);
    assert_says(&error(step("data.rows"), text).await, &["path: data.rows"]);
    assert_says(
        &error(step("data.then"), text).await,
        &["an array of objects is expected"],
    );
    // The array is whole, but the document is not.
    assert_says(
        &error(step("data.items"), &text.as_bytes()[..text.len() - 3]).await,
        &["cut off"],
    );
}

#[tokio::test]
async fn documents_that_are_not_whole_or_not_valid() {
    let step = json!({ "kind": "Json", "ddlSchema": ["a INT"] });
    let cases = [
        ("", "ends too early"),
        ("[", "ends too early"),
        (r#"[{"a":1}"#, "ends too early"),
        (r#"[{"a":1},"#, "ends too early"),
        (r#"[{"a":1}] {}"#, "behind the end"),
        (r#"[{"a":1} {"a":2}]"#, "a comma or a closing bracket"),
        (r#"[{"a":1},]"#, "a value is expected"),
        (r#"{"a":1}"#, "give the path"),
        ("[1]", "not an object"),
        ("[[]]", "not an object"),
        (r#"[{"a":01}]"#, "not valid JSON"),
        (r#"[{"a":1,}]"#, "not valid JSON"),
        (r#"[{a:1}]"#, "not valid JSON"),
        (r#"[{"a":tru}]"#, "not valid JSON"),
        (r#"[{"x":"\q"}]"#, "not valid JSON"),
        ("[{\"x\":\"\n\"}]", "not valid JSON"),
    ];
    for (text, part) in cases {
        let error = error(step.clone(), text).await;
        assert_eq!(error.kind(), ErrorKind::BadData, "{text}: {error}");
        assert_says(&error, &[part, "line: ", "file: input"]);
    }
    let deep = format!("[{{\"x\":{}{}}}]", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(rows(step, deep.clone()).await, ["∅"]);
    assert_says(
        &error(json!({ "kind": "Json" }), deep).await,
        &["not valid JSON", "recursion"],
    );
}

#[tokio::test]
async fn bad_rows_are_told_with_line_and_byte() {
    let array = json!({ "kind": "Json", "ddlSchema": ["a INT", "s STRUCT<x: DATE>"] });
    assert_says(
        &error(array.clone(), "[{\"a\":1},\n  {\"a\":2},\n  {\"a\":\"three\"}]").await,
        &[
            "'three' cannot be read as Int32",
            "column: a",
            "line: 3",
            "byte in line: 3",
        ],
    );
    assert_says(
        &error(array.clone(), "[\n{\"a\":1,\n \"s\":{\"x\":\"never\"}}]").await,
        &["'never' cannot be read as Date32 in x", "column: s", "line: 2"],
    );
    assert_says(
        &error(array.clone(), "[{\"a\":1},\n{\"a\":1, \"b\": nul}]").await,
        &["not valid JSON", "line: 2", "byte in line: 17"],
    );
    assert_says(
        &error(array, "[{\"a\":1},\n{\"s\":[]}]").await,
        &["does not fit", "field 's'", "line: 2", "text: {\"s\":[]}"],
    );
    let lines = json!({ "kind": "NdJson", "ddlSchema": ["a INT NOT NULL"] });
    assert_says(
        &error(lines.clone(), "{\"a\":1}\n\n{}\n").await,
        &["missing", "column: a", "line: 3"],
    );
    assert_says(
        &error(lines.clone(), "{\"a\":1}\n{\"a\":1\n").await,
        &["not valid JSON", "line: 2"],
    );
    assert_says(
        &error(lines, "{\"a\":1} {\"a\":2}\n").await,
        &["not valid JSON", "line: 1"],
    );
}

#[tokio::test]
async fn values_keep_all_their_digits() {
    let step = json!({ "kind": "NdJson", "ddlSchema": [
        "d DECIMAL(38,18)", "u BIGINT UNSIGNED", "t TEXT", "ts TIMESTAMP(9)", "x DOUBLE", "b BINARY",
    ] });
    let text = r#"{"d":12345678901234567890.123456789012345678,"u":18446744073709551615,"t":1.10e5,"ts":"2024-01-01T00:00:00.123456789Z","x":0.1,"b":"00fF"}
{"d":"0.5","u":"7","t":true,"x":-0}
"#;
    assert_eq!(
        rows(step, text).await,
        [
            "12345678901234567890.123456789012345678|18446744073709551615|1.10e5|2024-01-01T00:00:00.123456789Z|0.1|00ff",
            "0.500000000000000000|7|true|∅|-0.0|∅",
        ]
    );
    for (definition, value) in [
        ("a INT", "1.5"),
        ("a BIGINT", "9223372036854775808"),
        ("a BOOLEAN", "1"),
        ("a DECIMAL(3,1)", "1.25"),
        ("a TIMESTAMP", "1700000000000"),
        ("a DATE", "20240101"),
        ("a TIMESTAMP", "\"2024-01-01T00:00:00.1234Z\""),
    ] {
        let step = json!({ "kind": "NdJson", "ddlSchema": [definition] });
        assert_says(
            &error(step, format!("{{\"a\":{value}}}")).await,
            &["cannot be read as", "line: 1"],
        );
    }
}

#[tokio::test]
async fn nested_values() {
    let step = json!({ "kind": "NdJson", "ddlSchema": [
        "l ARRAY<INT>", "s STRUCT<x: DECIMAL(4,2), y: ARRAY<DATE>>", "m MAP<STRING, BIGINT>",
    ] });
    let text = r#"{"l":[1,null,3],"s":{"x":1.25,"y":["2024-01-01"]},"m":{"k":9007199254740993}}
{"l":[],"s":null,"m":{}}
{}
"#;
    assert_eq!(
        rows(step.clone(), text).await,
        [
            "[1, ∅, 3]|{x: 1.25, y: [2024-01-01]}|{k: 9007199254740993}",
            "[]|∅|{}",
            "∅|∅|∅"
        ]
    );
    assert_says(
        &error(step, format!("{text}{{\"l\":[1,2]}}\n{{\"l\":[3,4,\"x\"]}}\n")).await,
        &["'x' cannot be read as Int32", "column: l", "line: 5"],
    );
}

#[tokio::test]
async fn encodings_and_formats() {
    let step = json!({ "kind": "NdJson", "encoding": "utf-16le", "dateFormat": "dd.MM.yyyy",
        "timestampFormat": "%d.%m.%Y %H:%M", "ddlSchema": ["d DATE", "t TIMESTAMP", "s TEXT"] });
    let text = "{\"d\":\"29.02.2024\",\"t\":\"29.02.2024 10:30\",\"s\":\"ö\"}\n";
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(rows(step, bytes).await, ["2024-02-29|2024-02-29T10:30:00Z|ö"]);
    let step = json!({ "kind": "Json", "encoding": "latin1", "dateFormat": "yyyy", "ddlSchema": ["s TEXT"] });
    assert_eq!(rows(step, b"[{\"s\":\"\xe9\"}]").await, ["é"]);
}

#[tokio::test]
async fn inferred_columns() {
    let text = r#"{"i":1,"f":1,"b":true,"s":"2024-01-01","big":9007199254740993,"huge":18446744073709551615,"l":[1],"o":{"x":1}}
{"i":null,"f":0.5,"b":null,"mixed":1,"l":[2.5],"o":{"y":"z"},"none":null}
{"mixed":"x","l":null}
"#;
    let table = try_table(json!({ "kind": "NdJson" }), text).await.unwrap();
    let mut columns_found = table.columns;
    columns_found.sort_unstable();
    assert_eq!(
        columns_found,
        [
            "b Boolean",
            "big Int64",
            "f Float64",
            "huge Utf8",
            "i Int64",
            "l List(Float64)",
            "mixed Utf8",
            "none Utf8",
            "o Struct(\"x\": Int64, \"y\": Utf8)",
            "s Utf8",
        ]
    );
    assert_eq!(table.rows.len(), 3);
    assert_says(
        &error(json!({ "kind": "NdJson" }), "{\"a\":[1]}\n{\"a\":2}\n").await,
        &["no type in common", "column: a"],
    );
    assert_says(
        &error(json!({ "kind": "NdJson" }), "").await,
        &["no columns", "declare a schema"],
    );
    assert_eq!(columns(json!({ "kind": "Json" }), "[{\"a\":1}]").await, ["a Int64"]);
}

#[tokio::test]
async fn a_member_that_the_looked_at_rows_did_not_have_is_an_error() {
    let options = ReadOptions {
        infer_rows: Some(1),
        ..ReadOptions::default()
    };
    let step = super::step(json!({ "kind": "NdJson" }));
    let rows = read(&step, super::arriving("{\"a\":1}\n{\"a\":2,\"b\":3}\n"), &options)
        .await
        .unwrap();
    assert_says(&super::table(rows).await.unwrap_err(), &["'b'", "line: 2"]);
}

#[tokio::test]
async fn endless_new_names_need_a_declared_schema() {
    let rows = (0..=10_000_usize).collect::<Vec<_>>();
    let object = |names: &[usize]| {
        let members: Vec<String> = names.iter().map(|name| format!("\"{name}\":1")).collect();
        format!("{{{}}}\n", members.join(","))
    };
    let text: String = rows.chunks(4000).map(object).collect();
    let error = error(json!({"kind": "NdJson"}), text).await;
    assert_eq!(error.kind(), ErrorKind::BadData);
    assert!(error.to_string().contains("declare a schema"), "{error}");
}
