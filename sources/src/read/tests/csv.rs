use serde_json::{Value, json};

use super::{assert_says, columns, error, rows, try_table};
use crate::ErrorKind;

fn csv(mut options: Value) -> Value {
    options["kind"] = json!("Csv");
    options
}

#[tokio::test]
async fn without_options_all_columns_are_text_and_numbered() {
    let table = try_table(csv(json!({})), "a,1\nb,\n").await.unwrap();
    assert_eq!(table.columns, ["column_1 Utf8", "column_2 Utf8"]);
    assert_eq!(table.rows, ["a|1", "b|∅"]);
}

#[tokio::test]
async fn every_option() {
    // What stands in the step, what is read, and the rows that come out.
    let cases = [
        (json!({ "separator": ";" }), "a;1,5\n", vec!["a|1,5"]),
        (json!({ "separator": "\t" }), "a\tb\n", vec!["a|b"]),
        (json!({ "separator": "\\t" }), "a\tb\n", vec!["a|b"]),
        (json!({ "quote": "'" }), "'a,\"b',c\n", vec!["a,\"b|c"]),
        (json!({ "quote": "" }), "\"a,b\n", vec!["\"a|b"]),
        (json!({ "escape": "\\" }), r#""a \"x\" b",c"#, vec![r#"a "x" b|c"#]),
        (json!({ "escape": "" }), r#""C:\new",c"#, vec![r"C:\new|c"]),
        (json!({}), "\"say \"\"hi\"\"\",c\n", vec!["say \"hi\"|c"]),
        (json!({ "nullValue": "NA" }), "NA,\"NA\"\n,x\n", vec!["∅|∅", "|x"]),
        (json!({ "header": true }), "x,y\n1,2\n", vec!["1|2"]),
        (json!({ "encoding": "utf8" }), "ö,δ\n", vec!["ö|δ"]),
    ];
    for (options, text, expected) in cases {
        assert_eq!(rows(csv(options.clone()), text).await, expected, "{options}");
    }
}

#[tokio::test]
async fn encodings() {
    let text = "city,é\nSão Paulo,µ-δ\n";
    let utf16 = |to_bytes: fn(u16) -> [u8; 2], mark: bool| -> Vec<u8> {
        let mark = mark.then_some(0xfeff);
        mark.into_iter().chain(text.encode_utf16()).flat_map(to_bytes).collect()
    };
    let mut marked = vec![0xef, 0xbb, 0xbf];
    marked.extend_from_slice(text.as_bytes());
    let cases = [
        ("utf-8", text.as_bytes().to_vec()),
        ("UTF8", marked),
        ("utf-16", utf16(u16::to_le_bytes, true)),
        ("utf-16", utf16(u16::to_be_bytes, true)),
        ("utf-16le", utf16(u16::to_le_bytes, false)),
        ("utf16be", utf16(u16::to_be_bytes, false)),
    ];
    for (encoding, bytes) in cases {
        let table = try_table(csv(json!({ "header": true, "encoding": encoding })), bytes)
            .await
            .unwrap();
        assert_eq!(table.columns, ["city Utf8", "é Utf8"], "{encoding}");
        assert_eq!(table.rows, ["São Paulo|µ-δ"], "{encoding}");
    }
    assert_eq!(
        rows(csv(json!({ "encoding": "latin1" })), b"caf\xe9,\xb5\n").await,
        ["café|µ"]
    );
    assert_eq!(
        rows(csv(json!({ "encoding": "windows-1251" })), b"\xca\xe8\xbf\xe2\n").await,
        ["Київ"]
    );
}

#[tokio::test]
async fn bytes_that_the_encoding_does_not_have_are_told_with_their_line() {
    let error = error(csv(json!({})), b"a,b\nc,d\ncaf\xe9,x\n").await;
    assert_eq!(error.kind(), ErrorKind::BadData);
    assert_says(&error, &["encoding: UTF-8", "line: 3", "file: input"]);
}

#[tokio::test]
async fn line_ends_and_empty_lines() {
    let expected = ["1|2", "3|4"];
    for text in [
        "1,2\n3,4\n",
        "1,2\r\n3,4\r\n",
        "1,2\n3,4",
        "\n1,2\n\n\n3,4\n\n",
        "1,2\r\r3,4\r",
    ] {
        assert_eq!(rows(csv(json!({})), text).await, expected, "{text:?}");
    }
}

#[tokio::test]
async fn quotes_hold_line_ends_and_lines_are_counted_through_them() {
    let step = csv(json!({ "ddlSchema": ["a STRING", "n INT"] }));
    assert_eq!(rows(step.clone(), "\"x\ny\",1\r\n\"\",2\n").await, ["x\ny|1", "∅|2"]);
    let error = error(step, "\"x\n\n\ny\",1\r\n\r\nz,oops\r\n").await;
    assert_says(
        &error,
        &["'oops' cannot be read as Int32", "column: n", "line: 6", "file: input"],
    );
}

#[tokio::test]
async fn a_quote_that_is_never_closed_is_an_error_not_the_rest_of_the_file() {
    let error = error(csv(json!({})), "a,b\n\"c,d\ne,f\n").await;
    assert_says(&error, &["not closed", "line: 2"]);
}

#[tokio::test]
async fn ragged_records_are_errors() {
    let step = csv(json!({ "ddlSchema": ["a STRING", "b STRING"] }));
    assert_says(
        &error(step.clone(), "1,2\n1,2,3\n").await,
        &["3 fields instead of 2", "line: 2", "text: 1 | 2 | 3"],
    );
    assert_says(&error(step, "1,2\n\n1\n").await, &["1 fields instead of 2", "line: 3"]);
    assert_says(&error(csv(json!({})), "1,2\n1\n").await, &["1 fields instead of 2"]);
}

#[tokio::test]
async fn a_header_finds_columns_by_name() {
    let step = csv(json!({ "header": true, "ddlSchema": ["id INT", "name STRING"] }));
    assert_eq!(rows(step.clone(), "name,id\nann,1\n").await, ["1|ann"]);
    assert_says(
        &error(step.clone(), "id,nam\n1,ann\n").await,
        &["missing in the header: name", "missing in the schema: nam"],
    );
    assert_says(&error(step.clone(), "id\n1\n").await, &["missing in the header: name"]);
    assert_says(
        &error(step.clone(), "id,name,more\n1,a,b\n").await,
        &["missing in the schema: more"],
    );
    assert_says(&error(step.clone(), "id,id\n1,a\n").await, &["same name", "column: id"]);
    assert_says(&error(step.clone(), "").await, &["empty"]);
    assert!(rows(step, "id,name\n").await.is_empty());
}

#[tokio::test]
async fn types_of_a_declared_schema() {
    let step = csv(json!({ "schema": { "fields": [
        { "name": "b", "type": "Bool" },
        { "name": "i", "type": { "kind": "Option", "inner": "UInt64" } },
        { "name": "f", "type": "Float64" },
        { "name": "d", "type": { "kind": "Decimal", "precision": 38, "scale": 10 } },
        { "name": "day", "type": "Date" },
        { "name": "t", "type": { "kind": "Time", "unit": "Microsecond" } },
        { "name": "ts", "type": { "kind": "Timestamp", "unit": "Nanosecond" } },
        { "name": "x", "type": "Binary" },
    ] } }));
    let text = "true,18446744073709551615,0.1,1234567890123456789012345678.0123456789,1969-12-31,23:59:59.000001,\
                2024-02-29T12:00:00.123456789+02:00,00ff\nFALSE,,-1e300,-0.5,2024-01-01,00:00:00,1969-01-01 00:00:00,\"\"\n";
    let table = try_table(step.clone(), text).await;
    // The second row has no bytes, which is null, in a column that must have values.
    assert_says(&table.unwrap_err(), &["missing", "column: x", "line: 2"]);
    let table = try_table(step, text.replace("\"\"", "0a")).await.unwrap();
    assert_eq!(table.columns.first().map(String::as_str), Some("b Boolean NOT NULL"));
    assert_eq!(
        table.rows,
        [
            "true|18446744073709551615|0.1|1234567890123456789012345678.0123456789|1969-12-31|23:59:59.000001|\
             2024-02-29T10:00:00.123456789Z|00ff",
            "false|∅|-1e300|-0.5000000000|2024-01-01|00:00:00|1969-01-01T00:00:00Z|0a",
        ]
    );
}

#[tokio::test]
async fn a_value_that_would_change_is_an_error() {
    let cases = [
        ("INT", "2147483648"),
        ("INT", "1.5"),
        ("INT", "1e3"),
        ("BIGINT", "9223372036854775808"),
        ("TINYINT", "128"),
        ("INT UNSIGNED", "-1"),
        ("BOOLEAN", "1"),
        ("DECIMAL(4,2)", "1.234"),
        ("DECIMAL(4,2)", "123.4"),
        ("DECIMAL(4,2)", "abc"),
        ("DECIMAL(4,2)", "1e-3"),
        ("DECIMAL(4,2)", "."),
        ("DATE", "2024-02-30"),
        ("DATE", "2024-02-01T10:00:00Z"),
        ("DATE", "24-02-01"),
        ("TIMESTAMP", "2024-02-01T10:00:00.0001Z"),
        ("TIMESTAMP(0)", "2024-02-01T10:00:00.5Z"),
        ("TIMESTAMP(9)", "2024-02-01T10:00:00.0123456789Z"),
        ("TIMESTAMP(9)", "2500-01-01T00:00:00Z"),
        ("TIMESTAMP", "1706781600000"),
        ("TIME", "10:00:00.0001"),
        ("BINARY", "abc"),
    ];
    for (data_type, text) in cases {
        let error = error(
            csv(json!({ "ddlSchema": [format!("a {data_type}")] })),
            format!("{text}\n"),
        )
        .await;
        assert_eq!(error.kind(), ErrorKind::BadData, "{data_type} {text}");
        assert_says(
            &error,
            &[&format!("'{text}' cannot be read as"), "column: a", "line: 1"],
        );
    }
    let kept = [
        ("INT", "2.00", "2"),
        ("INT", "-7", "-7"),
        ("DECIMAL(4,2)", "1.2300", "1.23"),
        ("DECIMAL(4,2)", "12e-1", "1.20"),
        ("DECIMAL(4,2)", "-.5", "-0.50"),
        ("DECIMAL(4,0)", "1.2e3", "1200"),
        ("DECIMAL(76,0)", &"9".repeat(76), &"9".repeat(76)),
        ("DOUBLE", "NaN", "NaN"),
        ("TIMESTAMP", "2024-02-01T10:00:00.1200Z", "2024-02-01T10:00:00.120Z"),
        ("TIMESTAMP", "2024-02-01", "2024-02-01T00:00:00Z"),
        ("TIMESTAMP(0)", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ];
    for (data_type, text, expected) in kept {
        let step = csv(json!({ "ddlSchema": [format!("a {data_type}")] }));
        assert_eq!(rows(step, format!("{text}\n")).await, [expected], "{data_type} {text}");
    }
}

#[tokio::test]
async fn formats_of_dates_and_timestamps() {
    let cases = [
        ("dateFormat", "DATE", "%d.%m.%Y", "29.02.2024", "2024-02-29"),
        ("dateFormat", "DATE", "dd/MM/yyyy", "29/02/2024", "2024-02-29"),
        ("dateFormat", "DATE", "d MMM yy", "1 Feb 24", "2024-02-01"),
        ("dateFormat", "DATE", "yyyyMMdd", "20240229", "2024-02-29"),
        ("dateFormat", "DATE", "rfc3339", "2024-02-29", "2024-02-29"),
        (
            "timestampFormat",
            "TIMESTAMP",
            "%Y-%m-%d %H:%M",
            "2024-02-29 07:05",
            "2024-02-29T07:05:00Z",
        ),
        (
            "timestampFormat",
            "TIMESTAMP",
            "%s",
            "1709190300",
            "2024-02-29T07:05:00Z",
        ),
        (
            "timestampFormat",
            "TIMESTAMP",
            "%Y-%m-%d %H:%M:%S%.f %z",
            "2024-02-29 07:05:00.5 +0200",
            "2024-02-29T05:05:00.500Z",
        ),
        (
            "timestampFormat",
            "TIMESTAMP",
            "yyyy-MM-dd HH:mm:ss",
            "2024-02-29 07:05:09",
            "2024-02-29T07:05:09Z",
        ),
        (
            "timestampFormat",
            "TIMESTAMP",
            "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "2024-02-29T07:05:09.250+02:00",
            "2024-02-29T05:05:09.250Z",
        ),
        (
            "timestampFormat",
            "TIMESTAMP",
            "yyyy-MM-dd'T'HH:mm:ssX",
            "2024-02-29T07:05:09Z",
            "2024-02-29T07:05:09Z",
        ),
        (
            "timestampFormat",
            "TIMESTAMP",
            "M/d/yyyy h:mm a",
            "2/9/2024 7:05 PM",
            "2024-02-09T19:05:00Z",
        ),
        (
            "timestampFormat",
            "TIMESTAMP",
            "yyyy-MM-dd",
            "2024-02-29",
            "2024-02-29T00:00:00Z",
        ),
        (
            "timestampFormat",
            "TIMESTAMP",
            "RFC3339",
            "2024-02-29t07:05:09z",
            "2024-02-29T07:05:09Z",
        ),
    ];
    for (option, data_type, format, text, expected) in cases {
        let step = csv(json!({ "ddlSchema": [format!("a {data_type}")], option: format }));
        assert_eq!(rows(step, format!("{text}\n")).await, [expected], "{format}");
    }
    let step = csv(json!({ "ddlSchema": ["a DATE"], "dateFormat": "dd.MM.yyyy" }));
    assert_says(
        &error(step, "2024-02-29\n").await,
        &["'2024-02-29' cannot be read as Date32", "line: 1"],
    );
    for pattern in ["%Q", "yyyy-qq", "[yyyy]", "'open", "", "SSSS"] {
        let error = error(csv(json!({ "timestampFormat": pattern })), "").await;
        assert_eq!(error.kind(), ErrorKind::InvalidSource, "{pattern}");
        assert_says(&error, &["timestampFormat", pattern]);
    }
}

#[tokio::test]
async fn inferred_types() {
    let step = csv(json!({ "header": true, "inferSchema": true }));
    let text = "int,big,float,bool,day,time,zip,mixed,none,long\n\
                1,9007199254740993,1.5,true,2024-01-01,2024-01-01T10:00:00Z,02134,1,,18446744073709551616\n\
                -2,1,3,false,2024-01-02,2024-01-01 10:00:00.000001,99999,x,,1\n";
    let table = try_table(step, text).await.unwrap();
    assert_eq!(
        table.columns,
        [
            "int Int64",
            "big Int64",
            "float Float64",
            "bool Boolean",
            "day Date32",
            "time Timestamp(µs, \"UTC\")",
            "zip Utf8",
            "mixed Utf8",
            "none Utf8",
            "long Utf8",
        ]
    );
    assert_eq!(
        table.rows,
        [
            "1|9007199254740993|1.5|true|2024-01-01|2024-01-01T10:00:00Z|02134|1|∅|18446744073709551616",
            "-2|1|3.0|false|2024-01-02|2024-01-01T10:00:00.000001Z|99999|x|∅|1",
        ]
    );
    let unnamed = csv(json!({ "inferSchema": true, "nullValue": "-" }));
    assert_eq!(
        columns(unnamed, "-,x\n7,-\n").await,
        ["column_1 Int64", "column_2 Utf8"]
    );
    // Large whole numbers among fractions would lose digits.
    let both = csv(json!({ "inferSchema": true }));
    assert_eq!(columns(both, "9007199254740993\n0.5\n").await, ["column_1 Utf8"]);
}

#[tokio::test]
async fn steps_that_make_no_sense() {
    let cases = [
        (json!({ "separator": "" }), "separator"),
        (json!({ "separator": "||" }), "separator"),
        (json!({ "quote": "¤" }), "quote"),
        (json!({ "escape": "\n" }), "escape"),
        (json!({ "encoding": "klingon" }), "encoding: klingon"),
        (json!({ "ddlSchema": [] }), "no columns"),
        (json!({ "ddlSchema": ["a INT", "a TEXT"] }), "two columns of one name"),
        (json!({ "ddlSchema": ["a ARRAY<INT>"] }), "column: a"),
        (
            json!({ "ddlSchema": ["a INT"], "schema": { "fields": [] } }),
            "either schema or ddlSchema",
        ),
    ];
    for (options, part) in cases {
        let error = error(csv(options.clone()), "1\n").await;
        assert_eq!(error.kind(), ErrorKind::InvalidSource, "{options}");
        assert_says(&error, &[part]);
    }
}

#[tokio::test]
async fn rows_before_a_bad_one_are_followed_by_the_error() {
    use futures::StreamExt;

    let options = crate::ReadOptions {
        batch_rows: 2,
        ..crate::ReadOptions::default()
    };
    let step = super::step(csv(json!({ "ddlSchema": ["a INT"] })));
    let stream = super::read(&step, super::arriving("1\n2\n3\nx\n5\n6\n"), &options)
        .await
        .unwrap();
    let results: Vec<_> = stream.collect().await;
    assert_eq!(results.len(), 2);
    assert_eq!(results[0].as_ref().unwrap().num_rows(), 2);
    assert_says(results[1].as_ref().unwrap_err(), &["'x'", "line: 4"]);
}

#[tokio::test]
async fn the_first_bad_row_is_told() {
    let step = csv(json!({ "ddlSchema": ["a INT", "b INT"] }));
    assert_says(
        &error(step, "1,1\n2,bad\nworse,3\n").await,
        &["'bad'", "line: 2", "column: b"],
    );
}

#[tokio::test]
async fn long_texts_are_shortened_in_errors() {
    let step = csv(json!({ "ddlSchema": ["a INT"] }));
    let error = error(step, "ü".repeat(100_000)).await;
    assert!(error.to_string().len() < 400, "{}", error.to_string().len());
}
