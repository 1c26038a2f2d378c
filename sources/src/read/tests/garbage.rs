//! Foreign bytes are errors or rows, never a panic.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use super::{arriving, step, table};
use crate::read::{Format, ReadOptions, read, read_as};
use crate::{ErrorKind, Result};

const FORMATS: [Format; 9] = [
    Format::Csv,
    Format::Json,
    Format::NdJson,
    Format::GeoJson,
    Format::NdGeoJson,
    Format::Shapefile,
    Format::Parquet,
    Format::ArrowIpc,
    Format::Avro,
];

/// Starts that lead readers on.
const HEADS: [&[u8]; 9] = [
    b"",
    b"a,b\n\"",
    b"[{\"a\":",
    b"{\"a\":[1,",
    b"{\"features\":[{\"type\":\"Feature\",\"properties\":{",
    b"PK\x03\x04",
    b"PAR1",
    b"\xff\xff\xff\xff\x10\x00\x00\x00",
    b"Obj\x01\x02\x16avro.schema\x0a\"int\"\x00",
];

fn steps() -> Vec<Value> {
    let columns = json!([
        "a INT",
        "b DECIMAL(5,2)",
        "c TIMESTAMP",
        "d DATE",
        "e TIME",
        "f BINARY",
        "g BOOLEAN",
        "h DOUBLE"
    ]);
    vec![
        json!({ "kind": "Csv", "ddlSchema": columns }),
        json!({ "kind": "Csv", "ddlSchema": ["a INT"], "escape": "\"", "encoding": "utf-16" }),
        json!({ "kind": "NdJson", "ddlSchema": ["a ARRAY<STRUCT<x: INT>>", "b MAP<STRING, DATE>"] }),
        json!({ "kind": "Json", "subPath": "a.b", "ddlSchema": columns, "timestampFormat": "%s" }),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(
        proptest::sample::select(b"abce\"\\,:;{}[]0123456789.-+eE \r\n\ttrufalsn\xc3\xff".to_vec()),
        0..300,
    )
}

#[test]
fn no_reader_panics() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let mut runner = TestRunner::new(Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    });
    let bytes = (
        proptest::sample::select(HEADS.to_vec()),
        prop_oneof![text(), proptest::collection::vec(any::<u8>(), 0..300)],
    )
        .prop_map(|(head, tail)| [head, tail.as_slice()].concat());
    let options = ReadOptions::default();
    runner
        .run(&bytes, |bytes| {
            runtime.block_on(async {
                for format in FORMATS {
                    let rows = read_as(format, None, arriving(bytes.clone()), &options).await;
                    check(&format!("{format:?}"), finish(rows).await)?;
                }
                for definition in steps() {
                    let rows = read(&step(definition.clone()), arriving(bytes.clone()), &options).await;
                    check(&definition.to_string(), finish(rows).await)?;
                }
                Ok(())
            })
        })
        .unwrap();
}

async fn finish(rows: Result<crate::RowStream>) -> Result<usize> {
    Ok(table(rows?).await?.rows.len())
}

fn check(reader: &str, result: Result<usize>) -> Result<(), TestCaseError> {
    match result {
        Err(error) => {
            prop_assert_ne!(error.kind(), ErrorKind::Internal, "{}: {}", reader, error);
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}
