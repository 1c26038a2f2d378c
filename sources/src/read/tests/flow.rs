//! How bytes and batches flow: bounded, and no longer than somebody wants them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde_json::json;

use super::{assert_says, step, table};
use crate::read::{Format, ReadOptions, common_schema, read, read_as};
use crate::{Content, Error, ErrorKind, Input, Result};

const PIECE: usize = 64 << 10;

fn input(pieces: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Input {
    Input {
        name: "http://example.org/big".to_owned(),
        content: Content::Stream(pieces.boxed()),
    }
}

/// An input of the given head, of so many bytes of records, and the tail, and how many of its bytes have been pulled.
fn large(head: &str, record: &str, bytes: usize, tail: &str) -> (Input, Arc<AtomicUsize>) {
    let piece = Bytes::from(record.repeat(PIECE / record.len()));
    let pulled = Arc::new(AtomicUsize::new(0));
    let count = bytes / piece.len();
    let body = stream::repeat(piece).take(count);
    let pieces = stream::iter([Bytes::from(head.to_owned())])
        .chain(body)
        .chain(stream::iter([Bytes::from(tail.to_owned())]));
    let counter = Arc::clone(&pulled);
    let counted = pieces.map(move |piece| {
        counter.fetch_add(piece.len(), Ordering::SeqCst);
        Ok(piece)
    });
    (input(counted), pulled)
}

#[tokio::test(flavor = "multi_thread")]
async fn text_flows_through_without_being_held() {
    let options = ReadOptions {
        batch_rows: 1000,
        ..ReadOptions::default()
    };
    let csv = step(json!({ "kind": "Csv", "ddlSchema": ["a STRING", "b STRING"] }));
    let lines = step(json!({ "kind": "NdJson", "ddlSchema": ["a STRING"] }));
    let array = step(json!({ "kind": "Json", "subPath": "rows", "ddlSchema": ["a STRING"] }));
    let text = "x".repeat(1000);
    let object = format!("{{\"a\":\"{text}\"}}");
    let cases = [
        (csv, "", format!("{text},y\n"), ""),
        (lines, "", format!("{object}\n"), ""),
        (array, "{\"rows\":[{}", format!(",\n{object}"), "]}"),
    ];
    for (step, head, record, tail) in cases {
        let total = 24 << 20;
        let (input, pulled) = large(head, &record, total, tail);
        let mut rows = read(&step, input, &options).await.unwrap();
        let mut yielded = 0;
        let mut most = 0;
        while let Some(batch) = rows.next().await {
            yielded += batch.unwrap().num_rows() * record.len();
            most = most.max(pulled.load(Ordering::SeqCst).saturating_sub(yielded));
        }
        assert!(
            yielded > total - 2 * PIECE,
            "{step:?}: {yielded} of {total} bytes came out as rows"
        );
        // Three batches wait or are being made, each of about 1 MB, beside the buffers.
        assert!(most < 6 << 20, "{step:?}: {most} bytes were held at once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_and_behind_the_rows_is_not_held() {
    let array = step(json!({ "kind": "Json", "subPath": "rows", "ddlSchema": ["a INT"] }));
    let options = ReadOptions {
        max_record_bytes: 1000,
        ..ReadOptions::default()
    };
    let (input, _) = large(
        "{\"skipped\":[\"",
        "0123456789abcde",
        8 << 20,
        "\"],\"rows\":[{\"a\":1}]}",
    );
    let rows = read(&array, input, &options).await.unwrap();
    assert_eq!(table(rows).await.unwrap().rows, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_have_a_limit() {
    let options = ReadOptions {
        max_record_bytes: 100_000,
        ..ReadOptions::default()
    };
    let steps = [
        (json!({ "kind": "Csv", "ddlSchema": ["a STRING"] }), "\""),
        (json!({ "kind": "NdJson", "ddlSchema": ["a STRING"] }), "{\"a\":\""),
        (json!({ "kind": "Json", "ddlSchema": ["a STRING"] }), "[{\"a\":\""),
        (json!({ "kind": "NdGeoJson", "ddlSchema": ["a STRING"] }), "{\"a\":\""),
    ];
    for (definition, head) in steps {
        let (input, pulled) = large(head, "0123456789abcde", 64 << 20, "");
        let rows = read(&step(definition.clone()), input, &options).await.unwrap();
        assert_says(&table(rows).await.unwrap_err(), &["limit in bytes: 100000", "line: 1"]);
        assert!(pulled.load(Ordering::SeqCst) < 1 << 20, "{definition} went on");
    }
}

#[tokio::test]
async fn what_is_kept_on_disk_has_a_limit() {
    let options = ReadOptions {
        max_temp_bytes: 1 << 20,
        ..ReadOptions::default()
    };
    let (input, pulled) = large("", "0123456789abcde\n", 64 << 20, "");
    let error = read_as(Format::Csv, None, input, &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert!(pulled.load(Ordering::SeqCst) < 2 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_rows_stop_the_reader() {
    /// Says when it is dropped.
    struct Held(Option<tokio::sync::oneshot::Sender<()>>);
    impl Drop for Held {
        fn drop(&mut self) {
            let _ = self.0.take().map(|dropped| dropped.send(()));
        }
    }
    for hanging in [false, true] {
        let (sender, dropped) = tokio::sync::oneshot::channel();
        let held = Held(Some(sender));
        let count = AtomicU64::new(0);
        let pieces = stream::repeat_with(move || {
            let _ = &held;
            count.fetch_add(1, Ordering::SeqCst)
        });
        // Endless, or silent after some rows.
        let pieces = pieces.then(move |number| async move {
            if hanging && number == 10 {
                std::future::pending::<()>().await;
            }
            Ok(Bytes::from("1,2\n".repeat(10_000)))
        });
        let csv = step(json!({ "kind": "Csv" }));
        let options = ReadOptions {
            batch_rows: 10_000,
            ..ReadOptions::default()
        };
        let mut rows = read(&csv, input(pieces), &options).await.unwrap();
        // All that come before the silence, so that the reader waits for more.
        for _ in 0..10 {
            assert_eq!(rows.next().await.unwrap().unwrap().num_rows(), 10_000);
        }
        drop(rows);
        dropped.await.unwrap();
    }
}

#[tokio::test]
async fn an_input_that_fails_ends_the_rows_with_its_own_error() {
    for definition in [
        json!({ "kind": "Csv", "ddlSchema": ["a STRING", "b STRING"] }),
        json!({ "kind": "Csv" }),
        json!({ "kind": "Csv", "inferSchema": true }),
        json!({ "kind": "Json", "ddlSchema": ["a INT"] }),
        json!({ "kind": "NdJson" }),
        json!({ "kind": "Parquet" }),
        json!({ "kind": "EsriShapefile" }),
    ] {
        let text = if definition["kind"] == "Json" {
            "[{\"a\":1},"
        } else {
            "1,2\n"
        };
        let text = if definition["kind"] == "NdJson" {
            "{\"a\":1}\n"
        } else {
            text
        };
        let cut = Error::new(ErrorKind::Unavailable, "the connection broke");
        let pieces = stream::iter([Ok(Bytes::from(text)), Err(cut)]);
        let error = match read(&step(definition.clone()), input(pieces), &ReadOptions::default()).await {
            Ok(rows) => table(rows).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{definition}: {error}");
        assert_says(&error, &["the connection broke", "file: http://example.org/big"]);
    }
    for format in [Format::ArrowIpc, Format::Avro] {
        let cut = Error::new(ErrorKind::Unavailable, "the connection broke");
        let pieces = stream::iter([Ok(Bytes::from("Obj")), Err(cut)]);
        let error = read_as(format, None, input(pieces), &ReadOptions::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{format:?}: {error}");
    }
}

#[tokio::test]
async fn files_that_are_not_there() {
    let csv = step(json!({ "kind": "Csv" }));
    let error = read(&csv, super::at_rest("no/such/file.csv"), &ReadOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn formats_by_name_and_content_type() {
    let names = [
        ("a/b.csv", Some(Format::Csv)),
        ("b.JSON", Some(Format::Json)),
        ("b.jsonl", Some(Format::NdJson)),
        ("b.geojson", Some(Format::GeoJson)),
        ("b.parquet", Some(Format::Parquet)),
        ("b.arrow", Some(Format::ArrowIpc)),
        ("b.avro", Some(Format::Avro)),
        ("b.shp", Some(Format::Shapefile)),
        ("b.xlsx", None),
        ("csv", None),
    ];
    for (name, expected) in names {
        assert_eq!(Format::of_file_name(name), expected, "{name}");
    }
    let types = [
        ("text/csv; charset=utf-8; header=present", Some(Format::Csv)),
        ("application/JSON", Some(Format::Json)),
        ("application/x-ndjson", Some(Format::NdJson)),
        ("application/vnd.apache.arrow.stream", Some(Format::ArrowIpc)),
        ("text/html", None),
        ("", None),
    ];
    for (content_type, expected) in types {
        assert_eq!(Format::of_content_type(content_type), expected, "{content_type}");
    }
}

#[tokio::test]
async fn several_files_have_a_schema_in_common() {
    let common = async |format, texts: &[&str]| {
        let inputs = texts.iter().map(|text| super::arriving(*text)).collect();
        let schema = common_schema(format, inputs, &ReadOptions::default()).await?;
        let columns = schema
            .fields()
            .iter()
            .map(|field| format!("{} {}", field.name(), field.data_type()));
        Ok::<_, Error>(columns.collect::<Vec<_>>())
    };
    assert_eq!(
        common(Format::Csv, &["a,b\n1,\n", "a,b\n2.5,2024-01-01\n"])
            .await
            .unwrap(),
        ["a Float64", "b Date32"]
    );
    assert_eq!(
        common(Format::NdJson, &["{\"a\":null}\n", "", "{\"a\":1,\"b\":[]}\n"])
            .await
            .unwrap(),
        ["a Int64", "b List(Utf8)"]
    );
    assert_says(
        &common(Format::Csv, &["a,b\n1,2\n", "b,a\n"]).await.unwrap_err(),
        &["other columns", "file: input"],
    );
    assert_says(&common(Format::Csv, &[]).await.unwrap_err(), &["at least one"]);
}
