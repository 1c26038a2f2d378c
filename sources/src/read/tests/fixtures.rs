//! Inputs of another implementation, read with the steps of its manifests.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use futures::TryStreamExt;
use jetway_odf::manifest::{Manifest, read_manifests};
use jetway_odf::metadata::{MetadataEvent, ReadStep};
use serde_json::{Map, Value};

use super::at_rest;
use crate::read::{ReadOptions, read};

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/odf-0.265")
        .join(path)
}

fn read_step(manifest: &str) -> ReadStep {
    let text = fs::read_to_string(data(&format!("manifests/{manifest}.yaml"))).unwrap();
    let manifests = read_manifests(&text).unwrap();
    let metadata = manifests
        .iter()
        .filter_map(Manifest::as_snapshot)
        .flat_map(|snapshot| &snapshot.metadata);
    metadata
        .filter_map(|event| match event {
            MetadataEvent::AddPushSource(source) => Some(source.read.clone()),
            MetadataEvent::SetPollingSource(source) => Some(source.read.clone()),
            _ => None,
        })
        .next()
        .unwrap()
}

/// Rows of all inputs of a manifest, in the inputs' order, as JSON.
async fn rows(manifest: &str, prefix: &str) -> Vec<Value> {
    let step = read_step(manifest);
    let mut inputs: Vec<PathBuf> = fs::read_dir(data("inputs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix));
    inputs.sort_unstable();
    assert!(!inputs.is_empty());
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, LineDelimited>(Vec::new());
    for input in inputs {
        let stream = read(&step, at_rest(input), &ReadOptions::default()).await.unwrap();
        for batch in stream.try_collect::<Vec<_>>().await.unwrap() {
            writer.write(&batch).unwrap();
        }
    }
    writer.finish().unwrap();
    values(&String::from_utf8(writer.into_inner()).unwrap())
}

fn values(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn sorted(values: &[Value]) -> Vec<String> {
    let mut lines: Vec<String> = values
        .iter()
        .cloned()
        .map(|mut value| {
            // The order of members means nothing.
            value.sort_all_objects();
            value.to_string()
        })
        .collect();
    lines.sort_unstable();
    lines
}

/// The events that the other implementation made, without what a commit adds.
fn expected(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(data(&format!("expected/{name}.events.ndjson"))).unwrap();
    let mut events = values(&text);
    for event in &mut events {
        let event = event.as_object_mut().unwrap();
        for system in ["offset", "op", "system_time"] {
            event.remove(system);
        }
    }
    events
}

#[tokio::test]
async fn appended_rows_are_those_of_the_other_implementation() {
    for (manifest, prefix, name) in [
        ("append", "append-", "sensors.readings"),
        ("vocab", "vocab-", "weather.vocab"),
    ] {
        assert_eq!(sorted(&rows(manifest, prefix).await), sorted(&expected(name)), "{name}");
    }
}

#[tokio::test]
async fn rows_of_json_are_what_its_text_says() {
    for (manifest, prefix) in [
        ("ledger", "ledger-"),
        ("upsert", "upsert-"),
        ("changelog", "changelog-"),
    ] {
        let mut texts = Vec::new();
        for number in 0.. {
            let Ok(text) = fs::read_to_string(data(&format!("inputs/{prefix}{number}.ndjson"))) else {
                break;
            };
            texts.extend(values(&text));
        }
        assert_eq!(rows(manifest, prefix).await, texts, "{manifest}");
    }
}

#[tokio::test]
async fn rows_of_csv_are_what_its_text_says() {
    for (manifest, prefix) in [("snapshot", "snapshot-"), ("polling", "poll-")] {
        let mut inputs: Vec<PathBuf> = fs::read_dir(data("inputs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        inputs.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix));
        inputs.sort_unstable();
        let mut texts = Vec::new();
        for input in inputs {
            let text = fs::read_to_string(input).unwrap();
            let mut lines = text.lines().map(|line| line.split(','));
            let header: Vec<&str> = lines.next().unwrap().collect();
            for line in lines {
                let values = line.map(|text| text.parse().map_or_else(|_| Value::from(text), number));
                let row: Map<String, Value> = header.iter().map(ToString::to_string).zip(values).collect();
                texts.push(Value::Object(row));
            }
        }
        let mut found = rows(manifest, prefix).await;
        for value in found
            .iter_mut()
            .flat_map(|row| row.as_object_mut().unwrap().values_mut())
        {
            *value = value.as_f64().map_or_else(|| value.take(), number);
        }
        assert_eq!(found, texts, "{manifest}");
    }
}

fn number(number: f64) -> Value {
    Value::from(number)
}
