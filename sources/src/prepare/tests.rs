use std::io::{Cursor, Write};
use std::time::Duration;

use async_compression::tokio::write::{BzEncoder, GzipEncoder, ZstdEncoder};
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use jetway_odf::metadata::{CompressionFormat, PrepStep};
use tokio::io::AsyncWriteExt;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::{open, prepare};
use crate::fetch::FetchOptions;
use crate::input::{Content, Input};
use crate::{Error, ErrorKind, Result};

macro_rules! packed {
    ($encoder:ident, $bytes:expr) => {{
        let mut encoder = $encoder::new(Vec::new());
        encoder.write_all($bytes).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    }};
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn decompress(format: CompressionFormat, sub_path: Option<&str>) -> PrepStep {
    PrepStep::Decompress {
        format,
        sub_path: sub_path.map(str::to_owned),
    }
}

/// In small pieces, as a network brings them.
fn input(bytes: &[u8]) -> Input {
    let pieces: Vec<Result<Bytes>> = bytes
        .chunks(3_000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    Input {
        name: "data".to_owned(),
        content: Content::Stream(stream::iter(pieces).boxed()),
    }
}

async fn run(step: PrepStep, bytes: &[u8], options: &FetchOptions) -> Result<String> {
    let prepared = prepare(&[step], input(bytes), options).await?;
    let pieces: Vec<Bytes> = open(prepared.content).await?.try_collect().await?;
    Ok(String::from_utf8(pieces.concat()).unwrap())
}

async fn unpack(bytes: &[u8], sub_path: Option<&str>) -> Result<String> {
    run(
        decompress(CompressionFormat::Zip, sub_path),
        bytes,
        &FetchOptions::default(),
    )
    .await
}

fn pipe(command: &[&str]) -> PrepStep {
    PrepStep::Pipe {
        command: command.iter().map(|&word| word.to_owned()).collect(),
    }
}

#[tokio::test]
async fn archives_are_known_by_their_first_bytes() {
    let mut two = packed!(GzipEncoder, b"hello ");
    two.extend(packed!(GzipEncoder, b"world"));
    let archives = [
        two,
        packed!(ZstdEncoder, b"hello world"),
        packed!(BzEncoder, b"hello world"),
        zipped(&[("a", b"hello world")]),
    ];
    for archive in archives {
        let text = run(
            decompress(CompressionFormat::Gzip, None),
            &archive,
            &FetchOptions::default(),
        )
        .await
        .unwrap();
        assert_eq!(text, "hello world");
        let half = archive.get(..archive.len() - 6).unwrap();
        assert_eq!(unpack(half, None).await.unwrap_err().kind(), ErrorKind::BadData);
    }
    assert_eq!(unpack(b"plain", None).await.unwrap_err().kind(), ErrorKind::BadData);
    assert_eq!(unpack(b"", None).await.unwrap_err().kind(), ErrorKind::BadData);
}

#[tokio::test]
async fn a_file_of_a_zip_is_named_or_the_only_one() {
    let archive = zipped(&[("in/a.csv", b"a"), ("in/b.csv", b"b"), ("../../c.json", b"c")]);
    assert_eq!(unpack(&archive, Some("in/b.csv")).await.unwrap(), "b");
    assert_eq!(unpack(&archive, Some("*.json")).await.unwrap(), "c");
    for sub_path in [None, Some("*.csv"), Some("d")] {
        let error = unpack(&archive, sub_path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSource);
        assert!(error.to_string().contains("in/a.csv, in/b.csv"), "{error}");
    }
}

#[tokio::test]
async fn bombs_are_stopped() {
    let zeros = vec![0; 65 << 20];
    let options = FetchOptions {
        max_ratio: 100,
        ..FetchOptions::default()
    };
    for archive in [packed!(ZstdEncoder, &zeros), zipped(&[("a", &zeros)])] {
        let error = run(decompress(CompressionFormat::Zip, None), &archive, &options)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
        let small = FetchOptions {
            max_bytes: 1 << 20,
            ..FetchOptions::default()
        };
        let error = run(decompress(CompressionFormat::Zip, None), &archive, &small)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    }
}

#[tokio::test]
async fn a_command_runs_only_when_allowed() {
    let big = "line of text\n".repeat(50_000);
    assert_eq!(
        run(pipe(&["cat"]), big.as_bytes(), &FetchOptions::local())
            .await
            .unwrap(),
        big
    );
    let error = run(pipe(&["cat"]), b"x", &FetchOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_command_that_fails_is_an_error_also_after_output() {
    let error = run(
        pipe(&["sh", "-c", "cat; echo broken >&2; exit 3"]),
        b"x",
        &FetchOptions::local(),
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("standard error: broken"), "{error}");
    assert_eq!(
        run(pipe(&["no such command"]), b"", &FetchOptions::local())
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::InvalidSource
    );
}

#[tokio::test]
async fn input_that_breaks_off_is_an_error_after_a_command() {
    let pieces = vec![Ok(Bytes::from("x")), Err(Error::new(ErrorKind::Unavailable, "cut off"))];
    let broken = Input {
        name: "data".to_owned(),
        content: Content::Stream(stream::iter(pieces).boxed()),
    };
    let prepared = prepare(&[pipe(&["cat"])], broken, &FetchOptions::local())
        .await
        .unwrap();
    let read: Result<Vec<Bytes>> = open(prepared.content).await.unwrap().try_collect().await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_command_is_killed_when_dropped_or_late() {
    let prepared = prepare(
        &[pipe(&["sh", "-c", "echo $$; exec sleep 1000"])],
        input(b""),
        &FetchOptions::local(),
    )
    .await
    .unwrap();
    let mut output = open(prepared.content).await.unwrap();
    let id = String::from_utf8(output.next().await.unwrap().unwrap().to_vec()).unwrap();
    let process = std::path::PathBuf::from("/proc").join(id.trim());
    assert!(process.exists());
    drop(output);
    assert!(!process.exists());

    let options = FetchOptions {
        whole_timeout: Duration::from_millis(20),
        ..FetchOptions::local()
    };
    let error = run(pipe(&["sleep", "1000"]), b"", &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
}
